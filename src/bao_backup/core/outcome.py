"""Folds the end of a run into the status."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.duration import format_duration
from bao_backup.core.model import Result
from bao_backup.core.observed import Action, Emit, Run
from bao_backup.core.status import Attempt, BackupStatus, Condition, SuccessfulBackup, with_condition
from bao_backup.core.words import duration_in_words, size_in_words

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(minutes=15)


def retry_delay(number: int) -> timedelta:
    """How long to wait after the failed attempt `number` (from 1): doubled each time, to a limit."""
    doublings: int = 2 ** min(number - 1, 10)
    return min(FIRST_RETRY * doublings, LONGEST_RETRY)


def fold_success(
    status: BackupStatus, attempt: Attempt, result: Result
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """The status after a run that ended in a proven backup."""
    duration = format_duration(result.finished - result.started)
    status = replace(
        status,
        attempt=replace(attempt, settled=True),
        # A success ends the row of failures: what fails after it counts anew.
        deferred=replace(status.deferred, counted=False) if status.deferred else None,
        last_backup_time=result.finished,
        last_backup_size=result.size,
        last_backup_duration=duration,
        last_backup_name=result.key,
        last_attempt_time=result.started,
        consecutive_failures=0,
        successful_backups=status.successful_backups + 1,
        last_successful_backup=SuccessfulBackup(
            time=result.finished,
            key=result.key,
            size=result.size,
            sha256=result.sha256,
            duration=duration,
            raft_index=result.raft_index,
            trigger=attempt.trigger,
        ),
    )
    status = with_condition(
        status,
        Condition(
            type="BackupReady",
            status="True",
            reason="BackupSucceeded",
            message=f"{result.key} is stored and proven",
            last_transition_time=result.finished,
            observed_generation=status.observed_generation,
        ),
    )
    status, events = _fold_retention(status, result)
    size, took = size_in_words(result.size), duration_in_words(result.finished - result.started)
    done = Emit(reason="BackupCompleted", message=f"{result.key}, {size} in {took}")
    return status, (done, *events)


def _fold_retention(status: BackupStatus, result: Result) -> tuple[BackupStatus, tuple[Action, ...]]:
    retention = result.retention
    if retention is None:
        return status, ()
    enforced = retention.failed_count == 0
    if enforced:
        words = f"{retention.kept} kept, {retention.dropped_count} dropped"
    else:
        # A result may have had no room to name any of them.
        words = ": ".join((f"{retention.failed_count} not dropped", *retention.failed[:1]))
    status = with_condition(
        status,
        Condition(
            type="RetentionEnforced",
            status="True" if enforced else "False",
            reason="RetentionApplied" if enforced else "RetentionFailed",
            message=words,
            last_transition_time=result.finished,
            observed_generation=status.observed_generation,
        ),
    )
    if enforced and retention.dropped_count == 0:
        return status, ()
    reason = "RetentionApplied" if enforced else "RetentionFailed"
    return status, (Emit(reason=reason, message=words, warning=not enforced),)


def fold_failure(
    status: BackupStatus,
    attempt: Attempt,
    run: Run,
    *,
    now: datetime,
    give_up_at: datetime | None,
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """The status after a run that did not end in a proven backup.

    The slot is tried again after a while, unless that would be at or after `give_up_at` (None:
    never again). `consecutiveFailures` counts slots: a slot's further failures do not add to it.
    """
    result = run.result
    reason = result.reason if result else "NoResult"
    message = result.message if result else f"the run {run.name} ended without a result"
    ended = result.finished if result else now
    retry_at = max(ended + retry_delay(attempt.number), now)
    again = give_up_at is not None and retry_at < give_up_at
    status = replace(
        status,
        attempt=replace(attempt, counted=True, retry_at=retry_at if again else None, settled=not again),
        last_attempt_time=result.started if result else attempt.accepted,
    )
    status = record_failure(status, reason, message, ended, new_slot=not attempt.counted)
    outlook = f"; tried again at {retry_at:%H:%M:%S} UTC" if again else ""
    return status, (Emit(reason="BackupFailed", message=f"{reason}: {message}{outlook}", warning=True),)


def record_failure(
    status: BackupStatus, reason: str, message: str, moment: datetime, *, new_slot: bool
) -> BackupStatus:
    """The status with this failure told; `new_slot` when the slot was not yet counted as failed."""
    status = replace(
        status,
        consecutive_failures=status.consecutive_failures + new_slot,
        last_failure_reason=reason,
        last_failure_message=message,
        last_failure_time=moment,
    )
    return with_condition(
        status,
        Condition(
            type="BackupReady",
            status="False",
            reason=reason,
            message=message,
            last_transition_time=moment,
            observed_generation=status.observed_generation,
        ),
    )
