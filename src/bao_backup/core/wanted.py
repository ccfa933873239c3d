"""Which run is wanted now: slots that are due, missed or tried again, and requests of people."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.backup_spec import Backup
from bao_backup.core.model import Trigger, Value
from bao_backup.core.observed import Action, Emit, Observed
from bao_backup.core.outcome import record_failure
from bao_backup.core.schedule import Schedule
from bao_backup.core.status import Attempt, BackupStatus, Condition, ObservedSchedule, with_condition


class Wanted(Value, frozen=True, kw_only=True):
    """A run that is wanted now, if preflight allows it."""

    slot: datetime
    trigger: Trigger
    number: int = 1
    #: The value of the request, for a manual run.
    request: str = ""
    #: From here on the slot is given up.
    give_up_at: datetime | None = None


def schedule_stopped(observed: Observed) -> bool:
    """Whether no slot counts now: suspended, or paused as a whole."""
    document = observed.document
    backup = document.spec.backup if document else None
    return document is None or backup is None or backup.suspend or document.spec.paused


def give_up_at_of(observed: Observed, attempt: Attempt) -> datetime | None:
    """Until when a scheduled slot may be tried again; a manual run is never repeated by itself."""
    if attempt.trigger is not Trigger.SCHEDULED or observed.document is None:
        return None
    if schedule_stopped(observed):
        return None
    return observed.document.schedule.deadline_of(attempt.slot, _starting_deadline(observed))


def _starting_deadline(observed: Observed) -> timedelta | None:
    backup = observed.document.spec.backup if observed.document else None
    return backup.starting_deadline if backup else None


def follow_schedule(observed: Observed, backup: Backup, status: BackupStatus, now: datetime) -> BackupStatus:
    """Count slots from the moment that a schedule is first seen, changed or resumed."""
    status = _suspended_condition(observed, status, now)
    if schedule_stopped(observed):
        return replace(status, schedule=None)
    seen = status.schedule
    if seen is None or (seen.expression, seen.time_zone) != (backup.schedule, backup.time_zone):
        fresh = ObservedSchedule(expression=backup.schedule, time_zone=backup.time_zone, since=now)
        return replace(status, schedule=fresh)
    return status


def _handled_until(status: BackupStatus) -> datetime | None:
    """The newest moment whose slots are dealt with; None while no slot counts."""
    if status.schedule is None:
        return None
    last = status.last_attempt_scheduled_time
    return max(status.schedule.since, last) if last else status.schedule.since


def _newest_slot(schedule: Schedule, status: BackupStatus, now: datetime) -> datetime | None:
    """The newest slot whose start has come, and that was neither attempted nor missed before."""
    since = _handled_until(status)
    return None if since is None else schedule.newest_started(since, now)


def record_missed(
    schedule: Schedule, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Count a slot that no run could start for: a backup that was not made is a failure."""
    since = _handled_until(status)
    newest = _newest_slot(schedule, status, now)
    if since is None or newest is None:
        return status, ()
    slot: datetime = newest
    if now < schedule.deadline_of(newest, _starting_deadline(observed)):
        earlier = schedule.latest_between(since, newest - timedelta(microseconds=1))
        if earlier is None:
            return status, ()
        slot = earlier
    waiting = status.waiting
    if waiting is not None and waiting.slot == slot:
        reason, why = waiting.reason, waiting.message
    else:
        reason, why = "SlotMissed", "nobody was there to start it"
    message = f"the slot {slot:%Y-%m-%dT%H:%M:%SZ} was missed: {why}"
    status = record_failure(status, reason, message, now, new_slot=True)
    status = replace(status, last_attempt_scheduled_time=slot, waiting=None)
    return status, (Emit(reason="BackupMissed", message=message, warning=True),)


def wanted_now(schedule: Schedule, observed: Observed, status: BackupStatus, now: datetime) -> Wanted | None:
    """A person's request first, then the newest slot, then the retry of an earlier one."""
    if observed.trigger and observed.trigger != status.accepted_trigger:
        return Wanted(slot=now.replace(microsecond=0), trigger=Trigger.MANUAL, request=observed.trigger)
    slot = _newest_slot(schedule, status, now)
    if slot is not None:
        give_up_at = schedule.deadline_of(slot, _starting_deadline(observed))
        return Wanted(slot=slot, trigger=Trigger.SCHEDULED, give_up_at=give_up_at)
    attempt = status.attempt
    if attempt is not None and attempt.retry_at is not None and not attempt.settled:
        until = give_up_at_of(observed, attempt)
        if until is not None and attempt.retry_at <= now < until:
            number = attempt.number + 1
            return Wanted(slot=attempt.slot, trigger=attempt.trigger, number=number, give_up_at=until)
    return None


def _suspended_condition(observed: Observed, status: BackupStatus, now: datetime) -> BackupStatus:
    stopped = schedule_stopped(observed)
    if not stopped and status.condition("Suspended") is None:
        return status
    return with_condition(
        status,
        Condition(
            type="Suspended",
            status="True" if stopped else "False",
            reason="Suspended" if stopped else "Scheduled",
            message="no slot counts until it is resumed" if stopped else "the schedule is followed",
            last_transition_time=now,
            observed_generation=status.observed_generation,
        ),
    )
