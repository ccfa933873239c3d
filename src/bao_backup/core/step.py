"""The manager's one decision: from what is observed of a cluster, and the time, what to do next.

`step` is level-triggered: any wake-up may be lost and any action repeated, since each decision is
made from the whole state. Names are functions of the slot, so a repeated start finds itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.checking import settle_check
from bao_backup.core.ended import settle_runs, start_of
from bao_backup.core.followed import follow_schedule, record_missed
from bao_backup.core.model import Trigger
from bao_backup.core.naming import backup_key, cluster_prefix, restore_run_name, run_name, short_id
from bao_backup.core.observed import (
    Action,
    AskHealth,
    ClearTrigger,
    Decision,
    Emit,
    ForgetRun,
    Observed,
    RunState,
    StartCheck,
    StartRun,
)
from bao_backup.core.operation_lock import lock_in_force
from bao_backup.core.preflight import HEALTH_UNKNOWN, Blocked, preflight, problems_in_words
from bao_backup.core.status import (
    LOCK_HOLDER,
    Attempt,
    BackupStatus,
    Condition,
    OperationLock,
    Waiting,
    with_condition,
)
from bao_backup.core.unverified import tell_of_store
from bao_backup.core.wanted import Wanted, request_of, schedule_stopped, wanted_now

#: How soon a blocked slot is tried again, when nothing happens before; and how soon to see whether
#: a run that was started is there.
LOOK_AGAIN = timedelta(seconds=60)
#: How soon to see that a request was cleared, so that the same value may be asked again.
AFTER_CLEARING = timedelta(seconds=1)


def step(observed: Observed, now: datetime) -> Decision:
    """What to write, what to do, and when to look again."""
    # What a restore left does not hinder this very round.
    observed = replace(observed, lock=lock_in_force(observed))
    status, actions = _settle_trigger(observed)
    status = replace(status, observed_generation=observed.generation)
    status, ended = settle_runs(observed, status, now)
    status, told = _tell_of_document(observed, status, now)
    status, unverified = tell_of_store(observed, status, now)
    status, checked = settle_check(observed, status, now)
    actions += (*ended, *_forget_restores(observed), *told, *unverified, *checked)
    if observed.document is None or observed.document.spec.backup is None:
        return _without_schedule(observed, status, actions, now)

    schedule = observed.document.schedule
    status, left = follow_schedule(observed, observed.document.spec.backup, status, now)
    status, missed = record_missed(schedule, observed, status, now)
    actions += (*left, *missed)
    if not left and not missed:
        status = _valid_again(observed, status, now)
    stopped = schedule_stopped(observed)
    wake = None if stopped else schedule.next_start(now)
    wanted = wanted_now(schedule, observed, status, now)
    if wanted is not None:
        status, started, wake_wanted = _try_to_start(wanted, observed, status, now)
        actions += started
        wake = _earliest(wake, wake_wanted)
    else:
        status = replace(status, waiting=None)
    attempt = status.attempt
    if attempt is not None and not attempt.settled and attempt.retry_at is not None:
        wake = _earliest(wake, attempt.retry_at if attempt.retry_at > now else None)
    wake = _earliest(wake, _see_that_it_happened(actions, now))
    status = replace(status, next_scheduled_backup=None if stopped else schedule.next_after(now))
    return Decision(status=status, lock=_lock(observed, status, now), actions=actions, wake=wake)


# --- what is wanted now ------------------------------------------------------------------------


def _try_to_start(
    wanted: Wanted, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...], datetime | None]:
    blocked = preflight(observed, wanted.trigger)
    if status.attempt is not None and status.attempt.under_way:
        blocked = Blocked(reason="BackupRunning", message=f"the run {status.attempt.name} is not finished")
    if blocked is HEALTH_UNKNOWN:
        return status, (AskHealth(),), None
    if blocked is None:
        return *_start(wanted, observed, status, now), None
    again = _earliest(now + LOOK_AGAIN, wanted.give_up_at)
    old, slot = status.waiting, wanted.slot
    if old is not None and old.trigger is wanted.trigger is Trigger.MANUAL:
        slot = old.slot  # a request has no time of its own before it is accepted
    waiting = Waiting(slot=slot, trigger=wanted.trigger, reason=blocked.reason, message=blocked.message)
    known = old is not None and (old.slot, old.reason) == (slot, blocked.reason)
    status = replace(status, waiting=waiting)
    if blocked.reason != "BackupRunning":
        status = _not_ready(status, blocked, now)
    words = f"{blocked.reason}: {blocked.message}"
    events = () if known else (Emit(reason="BackupBlocked", message=words, warning=True),)
    return status, events, again


def _start(
    wanted: Wanted, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    assert observed.document is not None and observed.document.spec.backup is not None  # noqa: S101, PT018 - preflight has seen to it
    prefix = cluster_prefix(
        observed.document.spec.backup.target.path_prefix, observed.namespace, observed.name
    )
    attempt = Attempt(
        name=run_name(observed.name, wanted.slot, wanted.number),
        key=backup_key(prefix, wanted.slot, short_id(observed.uid, wanted.slot, wanted.number)),
        slot=wanted.slot,
        trigger=wanted.trigger,
        number=wanted.number,
        counted=wanted.counted,
        accepted=now,
    )
    before = status.attempt
    waits = wanted.trigger is not Trigger.SCHEDULED and before is not None and not before.settled
    status = replace(
        status,
        attempt=attempt,
        deferred=before if waits else None,
        waiting=None,
        last_attempt_time=now,
    )
    actions: tuple[Action, ...] = ()
    if wanted.request:
        status = replace(status, accepted_trigger=wanted.request, last_handled_manual_trigger=wanted.request)
        actions += (
            Emit(reason="BackupManualTriggerAccepted", message=f"asked for by {wanted.request!r}"),
            ClearTrigger(value=wanted.request),
        )
    if wanted.trigger is Trigger.SCHEDULED:
        status = replace(status, last_attempt_scheduled_time=wanted.slot)
    started = Emit(reason="BackupStarted", message=f"{attempt.name}, into {attempt.key}")
    return status, (*actions, start_of(attempt), started)


# --- the rest of the status --------------------------------------------------------------------


def _settle_trigger(observed: Observed) -> tuple[BackupStatus, tuple[Action, ...]]:
    """An accepted request is cleared; once it is gone, the same value may be asked again."""
    status = observed.status
    if not status.accepted_trigger:
        return status, ()
    if observed.trigger == status.accepted_trigger:
        return status, (ClearTrigger(value=observed.trigger),)
    return replace(status, accepted_trigger=""), ()


def _tell_of_document(
    observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """A wrong document is told once, and so is a field that has no effect here.

    Where an earlier one was right, that one stays in force.
    """
    old = status.condition("DocumentValid")
    valid, reason, words = _judge_document(observed)
    if reason == "Valid" and old is None:
        return status, ()
    new = Condition(
        type="DocumentValid",
        status="True" if valid else "False",
        reason=reason,
        message=words,
        last_transition_time=now,
        observed_generation=status.observed_generation,
    )
    known = old is not None and (old.status, old.message) == (new.status, new.message)
    events = () if known or reason == "Valid" else (Emit(reason=reason, message=words, warning=True),)
    return with_condition(status, new), events


def _judge_document(observed: Observed) -> tuple[bool, str, str]:
    """Whether it is right, and a reason and words for that."""
    if observed.problems:
        kept = "; the last valid one stays in force" if observed.document is not None else ""
        return False, "InvalidDocument", problems_in_words(observed.problems) + kept
    ignored = observed.document.ignored if observed.document is not None else ()
    if ignored:
        return True, "FieldIgnored", f"the document is valid; without effect here: {', '.join(ignored)}"
    return True, "Valid", "the document is valid"


def _see_that_it_happened(actions: tuple[Action, ...], now: datetime) -> datetime | None:
    if any(isinstance(action, ClearTrigger) for action in actions):
        return now + AFTER_CLEARING
    if any(isinstance(action, StartRun | StartCheck) for action in actions):
        return now + LOOK_AGAIN
    return None


def _without_schedule(
    observed: Observed, status: BackupStatus, actions: tuple[Action, ...], now: datetime
) -> Decision:
    """The document is not valid, or asks for no backups: nothing starts."""
    status = replace(status, next_scheduled_backup=None)
    if observed.document is None:
        blocked = Blocked(reason="InvalidDocument", message=problems_in_words(observed.problems))
        status = _not_ready(status, blocked, now)
    else:
        status = replace(status, schedule=None)
    request = request_of(observed, status, now)
    if request is None:
        status = replace(status, waiting=None)
    else:
        status, refused, _again = _try_to_start(request, observed, status, now)
        actions += refused
    wake = _see_that_it_happened(actions, now)
    return Decision(status=status, lock=_lock(observed, status, now), actions=actions, wake=wake)


def _valid_again(observed: Observed, status: BackupStatus, now: datetime) -> BackupStatus:
    """When the document becomes right, it is not what keeps backups from being ready any more."""
    ready, valid = status.condition("BackupReady"), observed.status.condition("DocumentValid")
    if ready is None or ready.reason != "InvalidDocument" or valid is None or valid.status == "True":
        return status
    unknown = replace(
        ready,
        status="Unknown",
        reason="Valid",
        message="the document is valid again; no backup was tried since",
        last_transition_time=now,
        observed_generation=status.observed_generation,
    )
    return with_condition(status, unknown)


def _not_ready(status: BackupStatus, blocked: Blocked, now: datetime) -> BackupStatus:
    return with_condition(
        status,
        Condition(
            type="BackupReady",
            status="False",
            reason=blocked.reason,
            message=blocked.message,
            last_transition_time=now,
            observed_generation=status.observed_generation,
        ),
    )


def _forget_restores(observed: Observed) -> tuple[Action, ...]:
    """The restores' runs that are over, or that nobody will release, and whose documents are gone.

    Where there are no documents of restores at all just now, as while their kind is installed anew, they
    wait: a run that is forgotten before its end is in the document's status would be started again.
    """
    if observed.restores is None:
        return ()
    waited_for = {restore_run_name(each.name) for each in observed.restores}
    return tuple(
        ForgetRun(name=run.name)
        for run in observed.restore_runs
        if run.ours and (run.held or run.state is RunState.FINISHED) and run.name not in waited_for
    )


def _lock(observed: Observed, status: BackupStatus, now: datetime) -> OperationLock | None:
    """Held by us exactly while an attempt is under way; never another's that is in force.

    The existing operator's backups hold it by the same name: with one of its runs it is theirs.
    """
    lock = observed.lock
    if lock is not None and lock.holder != LOCK_HOLDER:
        return lock
    attempt = status.attempt
    if attempt is None or not attempt.under_way:
        theirs = any(not run.ours and run.state is RunState.UNFINISHED for run in observed.runs)
        return lock if theirs else None
    if lock is not None and lock.message == attempt.name:
        return lock
    return OperationLock(
        operation="Backup", holder=LOCK_HOLDER, message=attempt.name, acquired_at=now, renewed_at=now
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((m for m in moments if m is not None), default=None)
