"""People ask for a run now: it runs once, when it may, and costs no slot its own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.world import MINUTE, SECOND, World, at

from bao_backup.core.model import Trigger
from bao_backup.core.observed import ClearTrigger


def asked(value: str = "please", **changes: Any) -> World:
    """A world in which somebody asked for a run at 00:10:07."""
    world = World(**changes)
    world.settle()
    world.now = at("00:10:07")
    world.trigger = value
    return world


def test_a_request_is_accepted_in_the_status_before_its_run_exists() -> None:
    """The run's time is the moment of acceptance, which is written down first."""
    world = asked()
    world.dies_at = 2  # observe, save, and then no more
    assert not world.round_or_death()
    assert not world.started
    attempt = world.status.attempt
    assert attempt is not None
    assert (attempt.slot, attempt.trigger) == (at("00:10:07"), Trigger.MANUAL)
    assert world.status.accepted_trigger == "please"
    world.now = at("00:12")
    world.settle()
    assert world.names == ["backup-prod-20261122-001007"]


def test_a_request_is_cleared_and_told() -> None:
    """It is gone after its acceptance, its value is remembered, and an event says so."""
    world = asked()
    world.settle()
    assert world.trigger == ""
    assert world.status.last_handled_manual_trigger == "please"
    assert world.status.accepted_trigger == ""
    assert world.told("BackupManualTriggerAccepted") == ["asked for by 'please'"]
    world.finish()
    world.settle()
    last = world.status.last_successful_backup
    assert last is not None
    assert last.trigger is Trigger.MANUAL
    assert len(world.started) == 1


def test_a_request_that_cannot_be_cleared_runs_once() -> None:
    """A right that is missing, or a crash, must not start backup after backup."""
    world = asked()
    for crash in range(1, 6):
        world.dies_at = crash
        world.round_or_death()
    world.lost = (ClearTrigger,)
    world.until(at("00:20"))
    world.finish()
    world.until(at("00:30"))
    assert len(world.started) == 1
    world.lost = ()
    world.settle()
    assert (world.trigger, len(world.started)) == ("", 1)


def test_the_same_value_may_be_asked_again_later() -> None:
    """Soon after it was cleared the manager sees that, and the next one of the same value counts."""
    world = asked()
    world.round()
    assert world.wake == at("00:10:08")
    world.until(at("00:10:10"))
    world.finish()
    world.settle()
    world.trigger = "please"
    world.settle()
    assert len(world.started) == 2


def test_another_value_before_the_first_was_cleared_is_a_request_of_its_own() -> None:
    """Clearing the first leaves the second alone, and it runs after the first."""
    world = asked("one")
    world.dies_at = 2
    world.round_or_death()
    world.trigger = "two"
    world.settle()
    assert world.trigger == "two"
    world.finish()
    world.settle()
    assert [run.trigger for run in world.started] == [Trigger.MANUAL, Trigger.MANUAL]
    assert world.status.last_handled_manual_trigger == "two"


def test_a_request_during_a_run_waits_for_its_end() -> None:
    """It is kept, told once, and runs next."""
    world = World()
    world.until(at("01:00"))
    world.trigger = "now"
    world.until(at("01:10"))
    assert (world.trigger, len(world.started)) == ("now", 1)
    assert len(world.told("BackupBlocked")) == 1
    world.finish(after=11 * MINUTE)
    world.settle()
    assert [run.trigger for run in world.started] == [Trigger.SCHEDULED, Trigger.MANUAL]


def test_a_request_that_is_taken_back_while_it_waits_is_forgotten() -> None:
    """Nothing runs when it might."""
    world = asked(status__phase="Upgrading")
    world.until(at("00:20"))
    world.trigger = ""
    world.edit(status__phase="Running")
    world.until(at("00:30"))
    assert not world.started
    assert world.status.waiting is None


def test_a_request_works_while_the_schedule_is_suspended() -> None:
    """`suspend` stops the schedule, not a person."""
    world = asked(suspend=True)
    world.settle()
    assert world.names == ["backup-prod-20261122-001007"]
    world.finish()
    world.until(at("05:00"))
    assert len(world.started) == 1


def test_a_request_waits_while_all_is_paused() -> None:
    """`spec.paused` stops everything, and says so."""
    world = asked(spec__paused=True)
    world.until(at("00:30"))
    assert not world.started
    assert world.told("BackupBlocked") == ["Paused: spec.paused is true"]
    world.edit(spec__paused=False)
    world.until(at("00:31"))
    assert len(world.started) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"schedule": "never"}, "InvalidDocument"), ({"spec__backup": None}, "NotConfigured")],
)
def test_a_request_that_the_document_does_not_allow_is_told_why(wrong: dict[str, Any], reason: str) -> None:
    """Once, without a wake of its own: the document's change brings the next round."""
    world = asked(**wrong)
    world.until(at("00:30"))
    assert not world.started
    assert [told.partition(":")[0] for told in world.told("BackupBlocked")] == [reason]
    assert world.wake is None


def test_a_manual_run_that_fails_is_counted_and_not_repeated() -> None:
    """Whoever asked sees the failure and asks again."""
    world = asked()
    world.settle()
    world.finish(reason="NoLeader")
    world.until(at("00:59"))
    assert (len(world.started), world.status.consecutive_failures) == (1, 1)


def test_a_request_while_a_slot_waits_for_its_retry_goes_first_and_loses_nothing() -> None:
    """The slot's retry follows when the manual run is over."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish(reason="NoLeader")
    world.settle()
    world.trigger = "now"
    world.settle()
    world.finish(reason="NoLeader", after=5 * MINUTE)
    world.settle()
    assert world.names == [
        "backup-prod-20261122-020000",
        "backup-prod-20261122-020100",
        "backup-prod-20261122-020000-r2",
    ]
    world.finish()
    world.settle()
    assert world.status.successful_backups == 1


def test_a_retry_that_fails_after_a_manual_success_is_a_failure_again() -> None:
    """The row of failures ended with the success; the newest run failed."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish(reason="NoLeader")
    world.settle()
    world.trigger = "now"
    world.settle()
    world.finish(after=5 * MINUTE)
    world.settle()
    assert world.status.consecutive_failures == 0
    world.finish(reason="NoLeader")
    world.settle()
    assert world.status.consecutive_failures == 1


def test_a_request_in_the_second_of_a_slot_leaves_the_slot_its_name() -> None:
    """Both run, one after the other, each under a name of its own."""
    world = World()
    world.settle()
    world.now, world.trigger = at("01:00"), "now"
    world.settle()
    world.finish()
    world.settle()
    assert world.names == ["backup-prod-20261122-010001", "backup-prod-20261122-010000"]
    world.finish(after=2 * MINUTE)
    world.settle()
    assert world.status.successful_backups == 2


def test_two_requests_within_a_second_have_two_names() -> None:
    """A run may be that short."""
    world = asked()
    world.settle()
    world.finish(after=0 * SECOND)
    world.settle()
    world.trigger = "again"
    world.settle()
    assert world.names == ["backup-prod-20261122-001007", "backup-prod-20261122-001007-r2"]


def test_a_missed_slot_behind_a_blocked_request_says_what_blocked_both() -> None:
    """Not that nobody was there."""
    world = asked(status__phase="Upgrading")
    world.until(at("02:10"))
    assert world.status.last_failure_reason == "ClusterNotRunning"
