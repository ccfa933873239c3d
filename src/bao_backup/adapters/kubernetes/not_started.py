"""Why the Pod of a Job does not start, and since when: from its state and its Events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bao_backup.adapters.kubernetes import event_texts
from bao_backup.adapters.kubernetes.job_facts import Event, Job
from bao_backup.adapters.kubernetes.object_facts import LONG_AGO
from bao_backup.adapters.kubernetes.pod_facts import Pod, Waiting
from bao_backup.adapters.kubernetes.reasons import Account, quoted
from bao_backup.core.model import Value

#: Reasons of a waiting container, of pkg/kubelet/kuberuntime.
CONFIGURATION = frozenset({"CreateContainerConfigError"})
CREATION = frozenset({"CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError"})
#: Events of a Pod that got further than its volumes.
_PAST_VOLUMES = frozenset({"Pulling", "Pulled", "Created", "Started", "BackOff", "Failed"})
#: Events that say why a container does not start.
_OF_CONTAINERS = frozenset({"Failed", "BackOff", "ErrImageNeverPull", "InspectFailed"})
#: For so long an Event that names what is missing stands beside a newer one that does not.
_STILL_TELLING = timedelta(minutes=5)


class Trouble(Value, frozen=True, kw_only=True):
    """What keeps a Pod from starting."""

    account: Account
    #: When the API first told of it.
    since: datetime
    #: Whether it passes only when somebody corrects something: then waiting for it helps nobody.
    lasting: bool


def trouble_of(job: Job, pod: Pod | None, events: Sequence[Event]) -> Trouble | None:
    """What keeps the Pod from starting, or kept it when it is gone (None); None where nothing is known."""
    waiting = _waiting(job, pod)
    if pod is not None and waiting is not None:
        found = _of_waiting(job, pod, waiting, events)
        if found is not None:
            return found
    about_pod = [event for event in events if event.involved_object.kind == "Pod"]
    if any(event.reason == "Started" for event in about_pod):
        return None
    tries = (
        _of_volumes(job, pod, about_pod),
        _of_sandbox(job, about_pod),
        _of_scheduling(job, pod, about_pod),
    )
    found = next((trouble for trouble in tries if trouble is not None), None)
    if found is None and (pod is None or pod.is_over):
        return _of_gone_container(job, about_pod) or _of_no_pod(job, events)
    return found


def has_run(job: Job, pod: Pod) -> bool:
    """Whether the executor's container runs, or ran."""
    status = pod.main(job.container.name)
    if pod.is_over:
        return True
    return status is not None and bool(status.state.running or status.ended)


def _waiting(job: Job, pod: Pod | None) -> Waiting | None:
    """The state of the executor's container, or of one before or beside it that does not start."""
    statuses = (pod.status.container_statuses or ()) if pod is not None else ()
    first = sorted(statuses, key=lambda each: each.name != job.container.name)
    return next((each.state.waiting for each in first if each.state.waiting), None)


def _of_waiting(job: Job, pod: Pod, waiting: Waiting, events: Sequence[Event]) -> Trouble | None:
    run = job.metadata.name
    if waiting.reason in event_texts.IMAGE_REASONS:
        image = next((each.image for each in pod.spec.containers if each.name == job.container.name), "")
        account = event_texts.of_image(waiting.message, image, run)
        marks: tuple[str, ...] = (f'"{image}"', *(f"Error: {reason}" for reason in event_texts.IMAGE_REASONS))
    elif waiting.reason in CONFIGURATION:
        account = event_texts.of_container_config(waiting.message, run)
        marks = (waiting.message,)
    elif waiting.reason in CREATION:
        account = Account(reason="ContainerRefused", said=f"start {run}: {quoted(waiting.message)}")
        marks = (waiting.message,)
    else:
        return None
    told = (
        event.first
        for event in events
        if event.type == "Warning" and any(mark and mark in event.message for mark in marks)
    )
    return Trouble(account=account, since=min(told, default=_since(pod)), lasting=True)


def _of_volumes(job: Job, pod: Pod | None, events: Iterable[Event]) -> Trouble | None:
    """An Event `FailedMount` counts as long as nothing shows that the Pod got further."""
    events = tuple(events)
    if pod is not None and _is_true(pod, "PodReadyToStartContainers"):
        return None
    failed = [event for event in events if event.reason == "FailedMount"]
    if not failed:
        return None
    newest = failed[-1]
    if any(event.reason in _PAST_VOLUMES for event in events):
        return None
    spec = pod.spec if pod is not None else job.spec.template.spec
    told = [(event, event_texts.of_mount(event.message, spec, job.metadata.name)) for event in failed]
    # After two minutes the kubelet sums up, in words that name nothing.
    naming = (
        (event, account)
        for event, account in reversed(told)
        if account.reason != "VolumeNotMounted" and event.last >= newest.last - _STILL_TELLING
    )
    _, account = next(naming, told[-1])
    since = min(event.first for event, said in told if said == account)
    return Trouble(account=account, since=since, lasting=True)


def _of_sandbox(job: Job, events: Iterable[Event]) -> Trouble | None:
    """The node's network or runtime is at fault: it may pass."""
    failed = [event for event in events if event.reason == "FailedCreatePodSandBox"]
    if not failed:
        return None
    said = f"start {job.metadata.name}: {quoted(failed[-1].message)}"
    return Trouble(account=Account(reason="PodNotStarted", said=said), since=failed[0].first, lasting=False)


def _of_scheduling(job: Job, pod: Pod | None, events: Iterable[Event]) -> Trouble | None:
    """No node takes it: an autoscaler may bring one."""
    condition = pod.condition("PodScheduled") if pod is not None else None
    if condition is not None and condition.status == "True":
        return None
    failed = [event for event in events if event.reason == "FailedScheduling"]
    if condition is not None and condition.reason == "Unschedulable":
        text, since = condition.message or "", condition.last_transition_time or LONG_AGO
    elif pod is None and failed and not any(event.reason == "Scheduled" for event in events):
        text, since = failed[-1].message, failed[0].first
    else:
        return None
    account = Account(reason="Unschedulable", said=f"start {job.metadata.name}: {quoted(text)}")
    return Trouble(account=account, since=since, lasting=False)


def _of_gone_container(job: Job, events: Sequence[Event]) -> Trouble | None:
    """What was said of a container that never started."""
    for event in reversed(events):
        if event.reason in _OF_CONTAINERS and event.type == "Warning":
            account = event_texts.of_failed(event.message, job.container.image, job.metadata.name)
            if account is not None:
                return Trouble(account=account, since=event.first, lasting=True)
    return None


def _of_no_pod(job: Job, events: Iterable[Event]) -> Trouble | None:
    """The API server refuses to have the Pod at all."""
    about_job = [event for event in events if event.involved_object.kind == "Job"]
    refused = [event for event in about_job if event.reason == "FailedCreate"]
    if not refused or any(event.reason == "SuccessfulCreate" for event in about_job):
        return None
    account = event_texts.of_refused_pod(refused[-1].message, job.metadata.name)
    return Trouble(account=account, since=min(event.first for event in refused), lasting=True)


def _since(pod: Pod) -> datetime:
    """When the Pod got so far that its container could have started."""
    ready = pod.condition("PodReadyToStartContainers")
    at = ready.last_transition_time if ready is not None and ready.status == "True" else None
    return at or pod.status.start_time or pod.metadata.creation_timestamp or LONG_AGO


def _is_true(pod: Pod, kind: str) -> bool:
    condition = pod.condition(kind)
    return condition is not None and condition.status == "True"
