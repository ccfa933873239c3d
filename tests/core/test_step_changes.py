"""Schedules that are suspended, resumed, changed, taken out and put back: no slot is invented by that."""

from __future__ import annotations

from tests.core.world import DAY, HOUR, World, at


def test_while_suspended_no_slot_counts_and_none_is_caught_up() -> None:
    """Resuming invents nothing: the next slot is the first, and nothing was missed."""
    world = World()
    world.edit(suspend=True)
    world.until(at("05:30"))
    assert world.status.next_scheduled_backup is None
    suspended = world.status.condition("Suspended")
    assert suspended is not None
    assert (suspended.status, suspended.reason) == ("True", "Suspended")
    assert world.wake is None
    world.edit(suspend=False)
    world.until(at("05:59"))
    assert (world.names, world.status.consecutive_failures) == ([], 0)
    suspended = world.status.condition("Suspended")
    assert suspended is not None
    assert (suspended.status, suspended.reason) == ("False", "Scheduled")
    world.until(at("06:00"))
    assert world.names == ["backup-prod-20261122-060000"]


def test_a_run_goes_on_while_the_schedule_is_suspended() -> None:
    """What began is ended, and counts."""
    world = World()
    world.until(at("01:00"))
    world.edit(suspend=True)
    world.settle()
    world.finish()
    world.settle()
    assert world.status.successful_backups == 1
    assert world.lock is None


def test_a_changed_schedule_invents_no_slot() -> None:
    """At 05:30 the schedule becomes one whose slot was at 05:15: that one never was due."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish()
    world.until(at("05:30"))
    world.edit(schedule="15 * * * *")
    world.until(at("06:14"))
    assert (len(world.started), world.status.consecutive_failures) == (1, 0)
    assert world.status.next_scheduled_backup == at("06:15")
    world.until(at("06:15"))
    assert world.names[-1] == "backup-prod-20261122-061500"


def test_a_slot_that_waits_when_the_schedule_changes_is_told_as_missed() -> None:
    """It is of no schedule any more; what kept it waiting is its reason."""
    world = World()
    world.edit(status__phase="Upgrading")
    world.until(at("01:10"))
    world.edit(schedule="30 * * * *", status__phase="Running")
    world.until(at("01:29"))
    assert not world.started
    assert world.status.last_failure_reason == "ClusterNotRunning"
    assert world.status.consecutive_failures == 1


def test_a_time_zone_that_changes_is_a_change_of_the_schedule() -> None:
    """02:00 in Tokyo was nine hours ago: it is not due now."""
    world = World(schedule="0 2 * * *")
    world.until(at("12:00"))
    world.finish()
    world.settle()
    world.edit(timeZone="Asia/Tokyo")
    world.until(at("16:59"))
    assert len(world.started) == 1
    world.until(at("17:00"))
    assert world.names[-1] == "backup-prod-20261122-170000"


def test_backups_that_are_taken_out_and_put_back_invent_no_slot() -> None:
    """A document without spec.backup counts no slots, as a suspended one."""
    world = World()
    world.until(at("01:00"))
    world.finish()
    world.settle()
    backup = world.content["spec"]["backup"]
    world.edit(spec__backup=None)
    world.until(at("09:30"))
    assert world.wake is None
    world.edit(spec__backup=backup)
    world.until(at("09:59"))
    assert (len(world.started), world.status.consecutive_failures) == (1, 0)


def test_a_clock_that_was_wrong_once_does_not_stop_the_backups() -> None:
    """What was written in a far future does not count as dealt with until then."""
    world = World(start=at("00:00") + 70 * 365 * DAY)
    world.settle()
    world.now += 2 * HOUR
    world.settle()
    world.finish()
    world.settle()
    world.now = at("00:30")
    world.until(at("01:00"))
    assert world.names[-1] == "backup-prod-20261122-010000"
