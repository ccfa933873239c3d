"""Which run is wanted now: slots that are due or tried again, and requests of people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Trigger, Value
from bao_backup.core.naming import run_name
from bao_backup.core.observed import Observed
from bao_backup.core.schedule import Schedule
from bao_backup.core.status import Attempt, BackupStatus

_SECOND = timedelta(seconds=1)
_NOT_KNOWN_YET = datetime.max.replace(tzinfo=UTC)


class Wanted(Value, frozen=True, kw_only=True):
    """A run that is wanted now, if preflight allows it."""

    slot: datetime
    trigger: Trigger
    number: int = 1
    #: Its slot's failure is counted already.
    counted: bool = False
    #: The value of the request, for a manual run.
    request: str = ""
    #: From here on the slot is given up.
    give_up_at: datetime | None = None


def schedule_stopped(observed: Observed) -> bool:
    """Whether no slot counts now: suspended, or paused as a whole."""
    document = observed.document
    backup = document.spec.backup if document else None
    return document is None or backup is None or backup.suspend or document.spec.paused


def starting_deadline_of(observed: Observed) -> timedelta | None:
    """How long a slot may wait; None: until the next one."""
    backup = observed.document.spec.backup if observed.document else None
    return backup.starting_deadline if backup else None


def deadline_of_slot(observed: Observed, slot: datetime) -> datetime:
    """When a slot of the document's schedule is given up."""
    if observed.document is None:
        raise InternalError("reckon with a schedule", "the document is not valid")
    return observed.document.schedule.deadline_of(slot, starting_deadline_of(observed))


def give_up_at_of(observed: Observed, attempt: Attempt) -> datetime | None:
    """Until when a scheduled slot may be tried again; a manual run is never repeated by itself.

    While the document is not valid nobody knows: that is decided when it is valid again.
    """
    if attempt.trigger is not Trigger.SCHEDULED:
        return None
    if observed.document is None:
        return _NOT_KNOWN_YET
    return None if schedule_stopped(observed) else deadline_of_slot(observed, attempt.slot)


def handled_until(status: BackupStatus) -> datetime | None:
    """The newest moment whose slots are dealt with; None while no slot counts."""
    if status.schedule is None:
        return None
    last = status.last_attempt_scheduled_time
    return max(status.schedule.since, last) if last else status.schedule.since


def newest_slot(schedule: Schedule, status: BackupStatus, now: datetime) -> datetime | None:
    """The newest slot whose start has come, and that was neither attempted nor missed before."""
    since = handled_until(status)
    return None if since is None else schedule.newest_started(since, now)


def request_of(observed: Observed, status: BackupStatus, now: datetime) -> Wanted | None:
    """The run that a person asks for, unless that request is accepted already."""
    if not observed.trigger or observed.trigger == status.accepted_trigger:
        return None
    moment = now.replace(microsecond=0)
    document = observed.document
    if document is not None and document.spec.backup is not None:
        # The name is made of the time: that of a slot belongs to the slot.
        is_slot = document.schedule.next_after(moment - _SECOND) == moment
        moment += _SECOND if is_slot else timedelta()
    return Wanted(
        slot=moment,
        trigger=Trigger.MANUAL,
        number=_first_free(observed, status, moment),
        request=observed.trigger,
    )


def wanted_now(schedule: Schedule, observed: Observed, status: BackupStatus, now: datetime) -> Wanted | None:
    """A person's request first, then the newest slot, then the retry of an earlier one."""
    request = request_of(observed, status, now)
    if request is not None:
        return request
    slot = newest_slot(schedule, status, now)
    if slot is not None:
        return Wanted(
            slot=slot,
            trigger=Trigger.SCHEDULED,
            number=_first_free(observed, status, slot),
            give_up_at=deadline_of_slot(observed, slot),
        )
    attempt = status.attempt
    if attempt is None or attempt.settled or attempt.retry_at is None or now < attempt.retry_at:
        return None
    return Wanted(
        slot=attempt.slot,
        trigger=attempt.trigger,
        number=_first_free(observed, status, attempt.slot, attempt.number + 1),
        counted=attempt.counted,
        give_up_at=give_up_at_of(observed, attempt),
    )


def _first_free(observed: Observed, status: BackupStatus, slot: datetime, number: int = 1) -> int:
    """The first number from `number` on whose name is nobody's, as far as is known."""
    taken = {run.name for run in observed.runs}
    if status.attempt is not None:
        taken.add(status.attempt.name)
    while run_name(observed.name, slot, number) in taken:
        number += 1
    return number
