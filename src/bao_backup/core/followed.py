"""Follows the schedule: since when its slots count, and which of them were missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.backup_spec import Backup
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Action, Emit, Observed
from bao_backup.core.outcome import record_failure
from bao_backup.core.schedule import Schedule
from bao_backup.core.status import BackupStatus, Condition, ObservedSchedule, with_condition
from bao_backup.core.wanted import deadline_of_slot, handled_until, newest_slot, schedule_stopped

#: A time so far in the future was written while a clock was wrong; without this, no slot would be
#: due until then.
WRONG_CLOCK = timedelta(days=1)


def follow_schedule(
    observed: Observed, backup: Backup, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Count slots from the moment that a schedule is first seen, changed or resumed.

    A slot that is open when the schedule changes belongs to no schedule any more: it is missed.
    """
    status = _suspended_condition(observed, status, now)
    if schedule_stopped(observed):
        return replace(status, schedule=None), ()
    status = _forget_the_future(status, now)
    seen = status.schedule
    if seen is not None and (seen.expression, seen.time_zone) == (backup.schedule, backup.time_zone):
        return status, ()
    actions: tuple[Action, ...] = ()
    if seen is not None:
        status, actions = _leave(seen, observed, backup, status, now)
    fresh = ObservedSchedule(expression=backup.schedule, time_zone=backup.time_zone, since=now)
    return replace(status, schedule=fresh), actions


def record_missed(
    schedule: Schedule, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Count a slot that no run could start for: a backup that was not made is a failure.

    However many were missed since somebody looked, only the newest of them is told and counted.
    """
    since, newest = handled_until(status), newest_slot(schedule, status, now)
    if since is None or newest is None:
        return status, ()
    slot: datetime | None = newest
    if now < deadline_of_slot(observed, newest):
        slot = schedule.latest_between(since, newest - timedelta(microseconds=1))
    if slot is None:
        return status, ()
    return _miss(status, slot, "SlotMissed", "nobody was there to start it", now)


def _leave(
    seen: ObservedSchedule, observed: Observed, backup: Backup, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    identity = observed.document.identity if observed.document else observed.uid
    try:
        old = Schedule.parse(seen.expression, seen.time_zone, backup.jitter_seconds, identity)
    except ConfigurationError:  # its time zone is gone from the database: nobody can count by it
        return status, ()
    slot = newest_slot(old, status, now)
    if slot is None:
        return status, ()
    return _miss(status, slot, "ScheduleChanged", "the schedule changed before it could start", now)


def _miss(
    status: BackupStatus, slot: datetime, reason: str, why: str, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Count the slot as a failure, with what kept it waiting where that is known."""
    waiting, ready = status.waiting, status.condition("BackupReady")
    if waiting is not None and (waiting.slot == slot or waiting.trigger is Trigger.MANUAL):
        reason, why = waiting.reason, waiting.message
    elif ready is not None and ready.reason == "InvalidDocument":
        reason, why = ready.reason, ready.message
    message = f"the slot {slot:%Y-%m-%dT%H:%M:%SZ} was missed: {why}"
    status = record_failure(status, reason, message, now, new_slot=True)
    status = replace(status, last_attempt_scheduled_time=slot, waiting=None)
    return status, (Emit(reason="BackupMissed", message=message, warning=True),)


def _forget_the_future(status: BackupStatus, now: datetime) -> BackupStatus:
    latest = now + WRONG_CLOCK
    if status.schedule is not None and status.schedule.since > latest:
        status = replace(status, schedule=None)
    if status.last_attempt_scheduled_time is not None and status.last_attempt_scheduled_time > latest:
        status = replace(status, last_attempt_scheduled_time=None)
    return status


def _suspended_condition(observed: Observed, status: BackupStatus, now: datetime) -> BackupStatus:
    stopped = schedule_stopped(observed)
    if not stopped and status.condition("Suspended") is None:
        return status
    paused = observed.document is not None and observed.document.spec.paused
    return with_condition(
        status,
        Condition(
            type="Suspended",
            status="True" if stopped else "False",
            reason=("Paused" if paused else "Suspended") if stopped else "Scheduled",
            message="no slot counts until it is resumed" if stopped else "the schedule is followed",
            last_transition_time=now,
            observed_generation=status.observed_generation,
        ),
    )
