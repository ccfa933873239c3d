"""The manager's one decision: from what is observed of a cluster, and the time, what to do next.

`step` is level-triggered: any wake-up may be lost and any action repeated, since each decision is
made from the whole state. Names are functions of the slot, so a repeated start finds itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.model import Trigger
from bao_backup.core.naming import backup_key, cluster_prefix, run_name, short_id
from bao_backup.core.observed import (
    Action,
    AskHealth,
    ClearTrigger,
    Decision,
    Emit,
    ForgetRun,
    Observed,
    RunState,
    StartRun,
)
from bao_backup.core.outcome import fold_failure, fold_success
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
from bao_backup.core.wanted import (
    Wanted,
    follow_schedule,
    give_up_at_of,
    record_missed,
    schedule_stopped,
    wanted_now,
)

#: How soon a blocked slot is tried again, when nothing happens before.
BLOCKED_AGAIN = timedelta(seconds=60)


def step(observed: Observed, now: datetime) -> Decision:
    """What to write, what to do, and when to look again."""
    status, actions = _settle_trigger(observed)
    status = replace(status, observed_generation=observed.generation)
    status, ended = _fold_run(observed, status, now)
    actions += ended
    status, told = _tell_of_document(observed, status, now)
    actions += told
    if observed.document is None or observed.document.spec.backup is None:
        return _without_schedule(observed, status, actions, now)

    schedule = observed.document.schedule
    status = follow_schedule(observed, observed.document.spec.backup, status, now)
    status, missed = record_missed(schedule, observed, status, now)
    actions += missed
    wanted = wanted_now(schedule, observed, status, now)
    wake = None if schedule_stopped(observed) else schedule.next_start(now)
    if wanted is not None:
        status, started, wake_wanted = _try_to_start(wanted, observed, status, now)
        actions += started
        wake = _earliest(wake, wake_wanted)
    elif status.waiting is not None:
        status = replace(status, waiting=None)
    if status.attempt is not None and not status.attempt.settled:
        wake = _earliest(wake, status.attempt.retry_at)
    status = replace(
        status, next_scheduled_backup=None if schedule_stopped(observed) else schedule.next_after(now)
    )
    return Decision(status=status, lock=_lock(observed, status, now), actions=actions, wake=wake)


# --- runs that ended ---------------------------------------------------------------------------


def _fold_run(
    observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Take the end of the attempt's run into the status; start again a run whose start was lost."""
    actions: tuple[Action, ...] = ()
    attempt = status.attempt
    current = attempt.name if attempt is not None and attempt.under_way else ""
    run = next((r for r in observed.runs if r.name == current and r.ours), None)
    if attempt is not None and current and run is None:
        actions += (_start_of(attempt),)
    elif attempt is not None and run is not None and run.state is RunState.FINISHED:
        if run.result is not None and run.result.succeeded:
            status, events = fold_success(status, attempt, run.result)
        else:
            give_up_at = give_up_at_of(observed, attempt)
            status, events = fold_failure(status, attempt, run, now=now, give_up_at=give_up_at)
        actions += (*events, ForgetRun(name=run.name))
    elif attempt is not None and attempt.retry_at is not None and not attempt.settled:
        give_up_at = give_up_at_of(observed, attempt)
        if give_up_at is None or now >= give_up_at:
            status = replace(status, attempt=replace(attempt, settled=True))
    leftovers = (r for r in observed.runs if r.ours and r.state is RunState.FINISHED and r.name != current)
    return status, (*actions, *(ForgetRun(name=r.name) for r in leftovers))


def _start_of(attempt: Attempt) -> StartRun:
    return StartRun(
        name=attempt.name,
        key=attempt.key,
        slot=attempt.slot,
        trigger=attempt.trigger,
        number=attempt.number,
    )


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
    again = _earliest(now + BLOCKED_AGAIN, wanted.give_up_at)
    old = status.waiting
    waiting = Waiting(slot=wanted.slot, reason=blocked.reason, message=blocked.message)
    if wanted.trigger is not Trigger.SCHEDULED and old is not None and old.reason == blocked.reason:
        return status, (), again
    known = old is not None and (old.slot, old.reason) == (waiting.slot, waiting.reason)
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
        accepted=now,
    )
    status = replace(status, attempt=attempt, waiting=None, last_attempt_time=now)
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
    return status, (*actions, _start_of(attempt), started)


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
    """A wrong document is told once; where an earlier one was right, that one stays in force."""
    old = status.condition("DocumentValid")
    if not observed.problems and old is None:
        return status, ()
    words = problems_in_words(observed)
    kept = "; the last valid one stays in force" if words and observed.document is not None else ""
    new = Condition(
        type="DocumentValid",
        status="False" if words else "True",
        reason="InvalidDocument" if words else "Valid",
        message=words + kept if words else "the document is valid",
        last_transition_time=now,
        observed_generation=status.observed_generation,
    )
    known = old is not None and (old.status, old.message) == (new.status, new.message)
    events = () if known or not words else (Emit(reason=new.reason, message=new.message, warning=True),)
    return with_condition(status, new), events


def _without_schedule(
    observed: Observed, status: BackupStatus, actions: tuple[Action, ...], now: datetime
) -> Decision:
    """The document is not valid, or asks for no backups: nothing starts."""
    status = replace(status, next_scheduled_backup=None, waiting=None)
    if observed.document is None:
        blocked = Blocked(reason="InvalidDocument", message=problems_in_words(observed))
        status = _not_ready(status, blocked, now)
    return Decision(status=status, lock=_lock(observed, status, now), actions=actions)


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


def _lock(observed: Observed, status: BackupStatus, now: datetime) -> OperationLock | None:
    """Held by us exactly while an attempt is under way; never another holder's."""
    lock = observed.lock
    if lock is not None and lock.holder != LOCK_HOLDER:
        return lock
    attempt = status.attempt
    if attempt is None or not attempt.under_way:
        return None
    if lock is not None and lock.message == attempt.name:
        return lock
    return OperationLock(
        operation="Backup", holder=LOCK_HOLDER, message=attempt.name, acquired_at=now, renewed_at=now
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((m for m in moments if m is not None), default=None)
