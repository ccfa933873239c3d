"""What became of the attempt: its run ended or was lost, or a retry of it waits."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Outcome, Result, Trigger
from bao_backup.core.observed import Action, Emit, ForgetRun, Observed, Run, RunState, StartRun
from bao_backup.core.outcome import fold_failure, fold_success, record_failure
from bao_backup.core.status import LOCK_HOLDER, Attempt, BackupStatus
from bao_backup.core.wanted import deadline_of_slot, give_up_at_of, schedule_stopped

#: A run may be missing from what is observed for a moment after its start. So long after the start,
#: and with its slot over, it is lost.
LOST_AFTER = timedelta(minutes=5)


def settle_runs(
    observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Take the end of the attempt's run into the status, and let go of all runs that ended."""
    actions: tuple[Action, ...] = ()
    if status.attempt is not None and status.attempt.under_way:
        status, actions = _look_after(status.attempt, observed, status, now)
    if status.deferred is not None and status.attempt is not None and status.attempt.settled:
        status = replace(status, attempt=status.deferred, deferred=None)
    ended = (r for r in observed.runs if r.ours and r.state is RunState.FINISHED)
    return _give_up(observed, status, now), (*actions, *(ForgetRun(name=r.name) for r in ended))


def start_of(attempt: Attempt) -> StartRun:
    """What starts the attempt's run; the same each time."""
    return StartRun(
        name=attempt.name,
        key=attempt.key,
        slot=attempt.slot,
        trigger=attempt.trigger,
        number=attempt.number,
    )


def _look_after(
    attempt: Attempt, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    run = next((r for r in observed.runs if r.name == attempt.name), None)
    if run is None:
        return _start_again(attempt, observed, status, now)
    if not run.ours:
        reason, message = "AnotherManager", f"another manager has a run of the name {run.name}"
        return _fail(attempt, status, now, reason=reason, message=message)
    if run.state is RunState.UNFINISHED:
        return status, ()
    if run.result is not None and run.result.succeeded:
        return fold_success(status, attempt, run.result)
    return fold_failure(status, attempt, run, now=now, give_up_at=give_up_at_of(observed, attempt))


def _start_again(
    attempt: Attempt, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """The start was lost, or somebody removed the run: start it, unless it is over, or not wanted now."""
    document, over = observed.document, attempt.accepted + LOST_AFTER
    if document is None:
        if now < over:
            return status, ()  # it may become valid again soon
        why = "the document is not valid"
        return _did_not_begin(attempt, observed, status, now, reason="InvalidDocument", why=why)
    if document.spec.backup is None:
        return replace(status, attempt=replace(attempt, settled=True)), ()
    if hindrance := _hindrance(observed, attempt):
        return _did_not_begin(attempt, observed, status, now, reason=hindrance[0], why=hindrance[1])
    if attempt.trigger is Trigger.SCHEDULED:
        over = max(deadline_of_slot(observed, attempt.slot), over)
    if now >= over:
        message = f"the run {attempt.name} is nowhere to be found, and its time is over"
        return _fail(attempt, status, now, reason="RunLost", message=message)
    return status, (start_of(attempt),)


def _did_not_begin(
    attempt: Attempt, observed: Observed, status: BackupStatus, now: datetime, *, reason: str, why: str
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """The attempt is a failure, and lets go of the lock; its slot may be tried again once that is over."""
    result = Result(
        outcome=Outcome.FAILED,
        reason=reason,
        message=f"the run {attempt.name} is not there, and is not started: {why}",
        exit_code=InternalError.exit_code,
        key=attempt.key,
        started=attempt.accepted,
        finished=now,
        slot=attempt.slot,
        trigger=attempt.trigger,
    )
    run = Run(name=attempt.name, state=RunState.FINISHED, result=result)
    return fold_failure(status, attempt, run, now=now, give_up_at=give_up_at_of(observed, attempt))


def _hindrance(observed: Observed, attempt: Attempt) -> tuple[str, str] | None:
    """Reason and words for why the attempt's run must not be started after all."""
    document, lock = observed.document, observed.lock
    if document is not None and document.spec.paused:
        return "Paused", "spec.paused is true"
    if attempt.trigger is Trigger.SCHEDULED and schedule_stopped(observed):
        return "Suspended", "spec.backup.suspend is true"
    if lock is not None and lock.holder != LOCK_HOLDER:
        return "OperationLocked", f"{lock.holder} holds the operation lock for {lock.operation}"
    restoring = observed.restore or observed.unfinished_restore_run
    if restoring or (document is not None and document.status.restore is not None):
        return "RestoreInProgress", "a restore is in progress"
    return None


def _fail(
    attempt: Attempt, status: BackupStatus, now: datetime, *, reason: str, message: str
) -> tuple[BackupStatus, tuple[Action, ...]]:
    status = replace(status, attempt=replace(attempt, settled=True))
    status = record_failure(status, reason, message, now, new_slot=not attempt.counted)
    return status, (Emit(reason="BackupFailed", message=f"{reason}: {message}", warning=True),)


def _give_up(observed: Observed, status: BackupStatus, now: datetime) -> BackupStatus:
    """A retry whose slot is over, or whose schedule was stopped, does not come any more."""
    attempt = status.attempt
    if attempt is None or attempt.settled or attempt.retry_at is None or observed.document is None:
        return status
    until = give_up_at_of(observed, attempt)
    if until is not None and now < until:
        return status
    return replace(status, attempt=replace(attempt, settled=True))
