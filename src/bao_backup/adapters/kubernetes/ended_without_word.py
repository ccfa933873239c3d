"""The account of a run that ended without a word of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bao_backup.adapters.kubernetes import event_texts
from bao_backup.adapters.kubernetes.job_facts import Event, Job
from bao_backup.adapters.kubernetes.not_started import has_run, trouble_of
from bao_backup.adapters.kubernetes.pod_facts import Pod, Terminated
from bao_backup.adapters.kubernetes.reasons import Account, quoted
from bao_backup.core.duration import format_duration

#: A Pod that is to be gone since so long is on a node that nobody hears of.
LOST_AFTER = timedelta(minutes=1)

#: Why the condition `DisruptionTarget` holds: the node is gone, or does not answer.
_NODE_IS_LOST = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
#: Reasons of a Pod that a node turned away, or out.
_EVICTED = frozenset({"Evicted", "Preempting", "Terminated", "NodeShutdown"})
#: Reasons of a container whose program was never executed.
NOT_BEGUN = frozenset({"StartError", "ContainerCannotRun"})
#: Reason of a container that the kubelet could not find any more; it makes up the exit code.
_UNKNOWN = "ContainerStatusUnknown"
_KILLED = 137
_TERMINATED = 143


def account_of(job: Job, pods: Sequence[Pod], events: Sequence[Event], now: datetime) -> Account:
    """Why the run ended, from the most telling of what is there."""
    pod = pods[-1] if pods else None
    return (
        (_of_container(job, pod) if pod is not None else None)
        or (_of_pod(job, pod, now) if pod is not None else None)
        or _of_gone_node(job, pod, events)
        or _of_start(job, pod, events)
        or _of_deadline(job)
        or _of_silence(job, pod)
    )


def is_stuck(pod: Pod, now: datetime) -> bool:
    """Whether the Pod should be gone since a minute, and is not: its node does not answer."""
    gone_by = pod.metadata.deletion_timestamp
    return gone_by is not None and not pod.is_over and now >= gone_by + LOST_AFTER


def end_of(job: Job, pod: Pod) -> Terminated | None:
    """The newest end of the executor's container."""
    status = pod.main(job.container.name)
    return next(iter(status.ended), None) if status is not None else None


def _of_container(job: Job, pod: Pod) -> Account | None:
    run, end = job.metadata.name, end_of(job, pod)
    if end is None:
        return None
    if end.reason == "OOMKilled":
        return _of_memory(job, pod)
    if end.reason in NOT_BEGUN:
        return Account(reason="ContainerRefused", said=f"start {run}: {quoted(end.message)}")
    return None


def _of_memory(job: Job, pod: Pod) -> Account:
    container = next((c for c in pod.spec.containers if c.name == job.container.name), job.container)
    limit = (container.resources.limits or {}).get("memory")
    said = f"run {job.metadata.name}: it was killed for "
    if limit is None:
        return Account(
            reason="OutOfMemory",
            said=f"{said}its memory, and has no limit of its own: the node had none left",
            hint="give it spec.backup.jobTemplate.resources: requests and limits of memory",
        )
    return Account(reason="OutOfMemory", said=f"{said}using more memory than its limit of {limit}")


def _of_pod(job: Job, pod: Pod, now: datetime) -> Account | None:
    run, node = job.metadata.name, pod.spec.node_name or "unknown"
    target = pod.condition("DisruptionTarget")
    target = target if target is not None and target.status == "True" else None
    why = target.reason if target is not None else ""
    if pod.status.reason == "NodeLost" or why in _NODE_IS_LOST or is_stuck(pod, now):
        words = quoted((target.message if target is not None else "") or pod.status.message)
        return _node_lost(run, node, words)
    if target is not None or pod.status.reason in _EVICTED:
        words = quoted(pod.status.message or (target.message if target is not None else "") or "")
        return Account(reason="Evicted", said=f"run {run}: it was evicted from node {node}: {words}")
    if pod.status.phase == "Failed" and pod.status.reason and not pod.status.container_statuses:
        # The kubelet did not admit it: OutOfcpu, NodeAffinity, UnexpectedAdmissionError, …
        words = quoted(f"{pod.status.reason}: {pod.status.message}")
        return Account(reason="PodNotStarted", said=f"start {run}: node {node} refused it: {words}")
    return None


def _node_lost(run: str, node: str, words: str) -> Account:
    ending = f": {words}" if words else ""
    return Account(reason="NodeLost", said=f"run {run}: its node {node} is lost{ending}")


def _of_gone_node(job: Job, pod: Pod | None, events: Sequence[Event]) -> Account | None:
    """Of a Pod that is gone, Events may still tell why."""
    if pod is not None:
        return None
    run = job.metadata.name
    for event in reversed([each for each in events if each.involved_object.kind == "Pod"]):
        if event.reason == "TaintManagerEviction" and event_texts.marks_for_deletion(event.message):
            return Account(reason="NodeLost", said=f"run {run}: its node was lost, and its pod is deleted")
        if event.reason in ("Evicted", "Preempted", "Preempting"):
            return Account(reason="Evicted", said=f"run {run}: its pod was evicted: {quoted(event.message)}")
    return None


def _of_start(job: Job, pod: Pod | None, events: Sequence[Event]) -> Account | None:
    if pod is not None and _ended(job, pod):
        return None
    trouble = trouble_of(job, pod, events)
    return trouble.account if trouble is not None else None


def _ended(job: Job, pod: Pod) -> bool:
    """Whether the container came so far as to run; one that the kubelet never saw did not."""
    end = end_of(job, pod)
    if end is None:
        return has_run(job, pod) and not pod.is_over
    return end.reason != _UNKNOWN


def _of_deadline(job: Job) -> Account | None:
    condition = job.condition("Failed") or job.condition("FailureTarget")
    if condition is None or condition.reason != "DeadlineExceeded":
        return None
    limit = timedelta(seconds=job.spec.active_deadline_seconds or 0)
    said = f"run {job.metadata.name}: not finished within {format_duration(limit)}"
    return Account(reason="DeadlineExceeded", said=said)


def _of_silence(job: Job, pod: Pod | None) -> Account:
    run = job.metadata.name
    if pod is None:
        if job.condition("Complete"):
            return Account(
                reason="NoResult",
                said=f"run {run}: it ended well, but its pod is gone, and its result with it",
                hint="bao-backup list shows whether its backup is there",
            )
        return Account(reason="PodDeleted", said=f"run {run}: its pod is gone, and its result with it")
    if pod.metadata.deletion_timestamp is not None:
        return Account(reason="PodDeleted", said=f"run {run}: its pod was deleted while it ran")
    end = end_of(job, pod)
    if end is None or end.reason == _UNKNOWN:
        return Account(reason="NoResult", said=f"run {run}: its pod ended, and nothing says how")
    return Account(reason="NoResult", said=f"run {run}: its container ended {_ending(end)} without a result")


def _ending(end: Terminated) -> str:
    """How a process ended; of its message nothing, since that may be its log."""
    codes = {_KILLED: ", killed by SIGKILL,", _TERMINATED: ", killed by SIGTERM,"}
    signal = f", killed by signal {end.signal}," if end.signal else codes.get(end.exit_code, "")
    return f"with exit code {end.exit_code}{signal}"
