"""What became of a Job: from its own state, its Pods and their Events to a `Run` for the manager.

Everything here is a pure function of API objects as plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.adapters.kubernetes import event_texts, names
from bao_backup.adapters.kubernetes.ended_without_word import (
    LOST_AFTER,
    NOT_BEGUN,
    account_of,
    end_of,
    is_stuck,
)
from bao_backup.adapters.kubernetes.job_facts import Event, Job, read_events, read_job, read_pods
from bao_backup.adapters.kubernetes.manifests.work import BACKUP_TYPES
from bao_backup.adapters.kubernetes.not_started import has_run, trouble_of
from bao_backup.adapters.kubernetes.object_facts import LONG_AGO, JsonObject
from bao_backup.adapters.kubernetes.pod_facts import ContainerStatus, Pod
from bao_backup.adapters.kubernetes.reasons import REASONS, Account, exit_code_of_restore, parse_ended_because
from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.model import Outcome, Result, Trigger
from bao_backup.core.observed import Run, RunState
from bao_backup.core.restore_errors import RestoreSealedError
from bao_backup.core.result import decode_result

#: A Pod that could not start for so long, for a reason that lasts, has its Job ended.
START_LIMIT = timedelta(minutes=2)
#: The grace period of a Pod that says none.
_USUAL_GRACE = timedelta(seconds=30)

_TRIGGERS = {kind: trigger for trigger, kind in BACKUP_TYPES.items()}


def is_finished(job: JsonObject) -> bool:
    """Whether the Job's condition Complete or Failed holds. Asked of thousands at a time."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["status"] == "True" and each["type"] in ("Complete", "Failed") for each in conditions)


def is_ours(job: JsonObject) -> bool:
    """Whether this program made the Job."""
    labels = job["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY) == names.OURS)


def is_held(job: JsonObject) -> bool:
    """Whether it is a restore's Job of ours that was not released: no pod of it was ever made."""
    metadata = job["metadata"]
    restores = (metadata.get("labels") or {}).get(names.COMPONENT) == names.RESTORE_COMPONENT
    released = names.RELEASED in (metadata.get("annotations") or {})
    return is_ours(job) and restores and not released and _is_suspended(job)


def _is_suspended(job: JsonObject) -> bool:
    return bool((job.get("spec") or {}).get("suspend"))


def needs_pods(job: JsonObject, now: datetime) -> bool:
    """Whether the Job's Pods and Events must be looked at to say what became of it."""
    read = read_job(job)
    if read.finished is not None:
        return True
    look_at = _first_look(read)
    return look_at is not None and now >= look_at


def hung(job: JsonObject, pods: Iterable[JsonObject], now: datetime) -> bool:
    """Whether the Job cannot finish since its node is lost: all that is left of it should be gone."""
    read = read_job(job)
    return _is_hung(read, read_pods(read, pods), now)


def could_not_start(
    job: JsonObject, pods: Iterable[JsonObject], events: Iterable[JsonObject], now: datetime
) -> tuple[str, str] | None:
    """Reason and message with which the unfinished Job must be ended now; None as long as it may go on.

    Its Pod has not started within two minutes after trouble was first seen that lasts until somebody
    corrects something. A Job whose container runs or ran is never ended.
    """
    read = read_job(job)
    owned = read_pods(read, pods)
    if read.finished is not None or read.metadata.deletion_timestamp is not None or read.status.ready:
        return None
    if any(has_run(read, pod) or pod.metadata.deletion_timestamp is not None for pod in owned):
        return None
    if not owned and read.status.active:
        return None  # its Pod is not seen yet
    trouble = trouble_of(read, owned[-1] if owned else None, read_events(read, owned, events))
    if trouble is None or not trouble.lasting or now < trouble.since + START_LIMIT:
        return None
    return trouble.account.reason, _message(read, trouble.account)


def run_of(job: JsonObject, pods: Iterable[JsonObject], events: Iterable[JsonObject], now: datetime) -> Run:
    """The Job as a run: unfinished, or finished with its result.

    The result is what the executor left as termination message; else why we ended the Job; else what
    Job, Pods and Events say. Its times are theirs: `now` stands in only where they say none.
    """
    read = read_job(job)
    owned = read_pods(read, pods)
    ours = is_ours(job)
    name, uid = read.metadata.name, read.metadata.uid
    if read.finished is None and not _is_hung(read, owned, now):
        held = is_held(job)
        suspended = ours and _restores(read) and not held and _is_suspended(job)
        return Run(name=name, state=RunState.UNFINISHED, ours=ours, uid=uid, held=held, suspended=suspended)
    result = None
    if ours:
        events = tuple(events)
        seen = read_events(read, owned, events)
        result = _said(read, owned) or _worked_out(read, owned, seen, now)
        silent, gone = _silent(read, owned), _gone(read, owned, events)
        if _restores(read) and not _tells_all(result) and (silent or gone):
            result = _nobody_knows(result, _worked_out(read, silent, seen if silent else (), now))
    return Run(name=name, state=RunState.FINISHED, ours=ours, result=result, uid=uid)


def created_pods(job: JsonObject, events: Iterable[JsonObject]) -> tuple[str, ...]:
    """Names of the Pods that the Job's own Events say were made: by them, those that are gone have Events."""
    read = read_job(job)
    made = (e for e in read_events(read, (), events) if e.reason == "SuccessfulCreate")
    return tuple(name for name in (event_texts.created_pod(event.message) for event in made) if name)


def _first_look(job: Job) -> datetime | None:
    """When Pods are worth a look; None as long as all is well."""
    if job.status.ready:
        return None
    ending = job.condition("FailureTarget")
    if ending is not None and ending.last_transition_time is not None:
        seconds = job.spec.template.spec.termination_grace_period_seconds
        grace = _USUAL_GRACE if seconds is None else timedelta(seconds=seconds)
        return ending.last_transition_time + grace + LOST_AFTER
    return job.started + START_LIMIT if job.started is not None else None


def _is_hung(job: Job, pods: Sequence[Pod], now: datetime) -> bool:
    left = [pod for pod in pods if not pod.is_over]
    return job.finished is None and bool(left) and all(is_stuck(pod, now) for pod in left)


def _said(job: Job, pods: Sequence[Pod]) -> Result | None:
    """What the executor left: a success, or else its last word."""
    results = []
    for pod in pods:
        statuses = pod.status.container_statuses or ()
        for end in (end for status in statuses for end in reversed(status.ended)):
            result = decode_result(end.message.encode(errors="replace"))
            if result is not None and _is_about(job, result):
                results.append(result)
    # One start of a run may find the backup of another, or be told to end while the other has it. And what
    # one start of a restore does not know, another one cannot know either.
    return max(results, key=lambda each: (each.succeeded, _tells_all(each), each.finished), default=None)


def _tells_all(result: Result) -> bool:
    """Whether no other start of a restore changes what it tells: the data is there, or nobody knows."""
    unknown = result.exit_code == RestoreUnknownError.exit_code
    return result.succeeded or unknown or result.reason == RestoreSealedError.reason


def _silent(job: Job, pods: Sequence[Pod]) -> tuple[Pod, ...]:
    """Those whose executor may have done anything, and said nothing of it."""
    return tuple(pod for pod in pods if _began(pod.main(job.container.name)) and _said(job, [pod]) is None)


def _gone(job: Job, pods: Sequence[Pod], events: Sequence[JsonObject]) -> frozenset[str]:
    """Names of Pods of the Job that began, and are not there any more."""
    made = (each for each in read_events(job, (), events) if each.reason == "SuccessfulCreate")
    names_made = {event_texts.created_pod(event.message) for event in made}
    about = (event["involvedObject"]["name"] for event in events if event.get("reason") == "Started")
    return frozenset(names_made & set(about) - {pod.metadata.name for pod in pods})


def _nobody_knows(said: Result, worked_out: Result) -> Result:
    """The end of a restore of which one pod said that nothing was applied, and another one said nothing."""
    message = worked_out.message
    if said.reason != worked_out.reason:
        message = f"{message}; another pod of the run ended with {said.reason}, and knows nothing of this one"
    return replace(
        worked_out, message=message, exit_code=RestoreUnknownError.exit_code, safety_key=said.safety_key
    )


def _is_about(job: Job, result: Result) -> bool:
    """Whether it speaks of the Job's own backup; a failure may not have come to know its key."""
    key = job.metadata.annotation(names.KEY)
    return not key or result.key == key or (not result.key and not result.succeeded)


def _worked_out(job: Job, pods: Sequence[Pod], events: Sequence[Event], now: datetime) -> Result:
    started, finished = _times(job, pods, now)
    noted = parse_ended_because(job.metadata.annotation(names.ENDED_BECAUSE))
    if noted is not None:
        reason, message = noted
    else:
        account = account_of(job, pods, events, now)
        reason, message = account.reason, _message(job, account)
    return Result(
        outcome=Outcome.FAILED,
        reason=reason,
        message=message,
        exit_code=_exit_code(job, pods, events, reason),
        key=job.metadata.annotation(names.KEY),
        started=started,
        finished=max(started, finished),
        slot=_slot(job),
        trigger=_TRIGGERS.get(job.metadata.label(names.BACKUP_TYPE), Trigger.SCHEDULED),
    )


def _restores(job: Job) -> bool:
    return job.metadata.label(names.COMPONENT) == names.RESTORE_COMPONENT


def _exit_code(job: Job, pods: Sequence[Pod], events: Sequence[Event], reason: str) -> int:
    if not _restores(job):
        return REASONS[reason].exit_code
    started = any(each.reason == "Started" and each.involved_object.kind == "Pod" for each in events)
    began = started or any(_began(pod.main(job.container.name)) for pod in pods)
    return exit_code_of_restore(reason, began=began)


def _began(status: ContainerStatus | None) -> bool:
    """Whether the executor may have done anything."""
    if status is None:
        return False
    return status.state.running is not None or any(end.reason not in NOT_BEGUN for end in status.ended)


def _message(job: Job, account: Account) -> str:
    return account.message_of_restore if _restores(job) else account.message


def _times(job: Job, pods: Sequence[Pod], now: datetime) -> tuple[datetime, datetime]:
    """Start and end: the container's, else the Pod's, else the Job's."""
    pod = pods[-1] if pods else None
    end = end_of(job, pod) if pod is not None else None
    condition = job.finished
    starts = (
        end.started_at if end is not None else None,
        pod.status.start_time if pod is not None else None,
        job.started,
    )
    ends = (
        end.finished_at if end is not None else None,
        job.status.completion_time,
        condition.last_transition_time if condition is not None else None,
        pod.metadata.deletion_timestamp if pod is not None else None,
    )
    # Of a container that could not be started the runtime says 1970.
    began = job.metadata.creation_timestamp or LONG_AGO
    finished = next((time for time in ends if time is not None and time >= began), now)
    return next((time for time in starts if time is not None and time >= began), finished), finished


def _slot(job: Job) -> datetime | None:
    try:
        slot = datetime.fromisoformat(job.metadata.annotation(names.SLOT))
    except ValueError:
        return None
    return slot if slot.tzinfo is not None else None
