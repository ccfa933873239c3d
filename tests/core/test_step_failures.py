"""Runs that fail: counted by slot, tried again with growing pauses, superseded by the next slot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.world import MINUTE, SECOND, World, at

from bao_backup.core.observed import RunState, StartRun
from bao_backup.core.outcome import retry_delay


def test_a_failure_is_told_from_the_result() -> None:
    """Reason, message and time are the run's own."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish(reason="StorageDenied", after=2 * MINUTE)
    world.settle()
    status = world.status
    assert (status.last_failure_reason, status.last_failure_message) == (
        "StorageDenied",
        "it failed: StorageDenied",
    )
    assert status.last_failure_time == at("02:01:55")
    assert status.last_attempt_time == at("02:00:05")
    assert (status.consecutive_failures, status.last_backup_time) == (1, None)
    ready = status.condition("BackupReady")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "StorageDenied")
    assert world.told("BackupFailed") == [
        "StorageDenied: it failed: StorageDenied; tried again at 02:02:55 UTC"
    ]


def test_a_run_that_ends_without_a_result_is_a_failure_of_its_own() -> None:
    """Nobody takes silence for a success."""
    world = World()
    world.until(at("01:00"))
    world.finish(said=False)
    world.settle()
    assert world.status.last_failure_reason == "NoResult"
    (name,) = world.names
    assert world.status.last_failure_message == f"the run {name} ended without a result"
    assert world.status.successful_backups == 0


def test_the_same_slot_is_tried_again_under_a_name_of_its_own() -> None:
    """`-r2`, another key, the same slot; a success then makes all good."""
    world = World()
    world.until(at("01:00"))
    world.finish(reason="LeaderLost")
    world.until(at("01:02"))
    first, second = world.started
    assert second.name == "backup-prod-20261122-010000-r2"
    assert second.slot == first.slot
    assert second.key != first.key
    assert second.number == 2
    world.finish()
    world.settle()
    assert (world.status.consecutive_failures, world.status.successful_backups) == (0, 1)
    world.until(at("01:59"))
    assert len(world.started) == 2


def test_pauses_between_tries_grow_to_a_limit() -> None:
    """From the end of the try: 1, 2, 4, 8, then 15 minutes."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    pauses: list[timedelta] = []
    for _ in range(6):
        ended = world.began[world.unfinished] + MINUTE - 5 * SECOND
        world.finish(reason="NoLeader")
        world.settle()
        attempt = world.status.attempt
        assert attempt is not None
        assert attempt.retry_at is not None
        world.until(attempt.retry_at)
        pauses.append(world.began[world.unfinished] - ended)
    assert pauses == [n * MINUTE for n in (1, 2, 4, 8, 15, 15)]
    assert [retry_delay(n) for n in (1, 5, 99)] == [MINUTE, 15 * MINUTE, 15 * MINUTE]


def test_consecutive_failures_count_slots_and_not_tries() -> None:
    """Two slots that failed many times each are two."""
    world = World()
    for hour in (1, 2):
        world.until(at(f"{hour:02}:00"))
        for minute in range(3):
            world.finish(reason="NoLeader", after=30 * SECOND)
            world.until(at(f"{hour:02}:00") + (minute + 1) * 10 * MINUTE)
        world.finish(reason="NoLeader", after=30 * SECOND)
        world.settle()
    assert len(world.started) > 6
    assert world.status.consecutive_failures == 2


def test_the_next_slot_supersedes_a_retry() -> None:
    """There is no use in filling an old slot when the next one is due."""
    world = World(schedule="*/10 * * * *")
    world.until(at("00:10"))
    world.finish(reason="NoLeader", after=9 * MINUTE + 30 * SECOND)
    world.until(at("00:20"))
    assert world.names == ["backup-prod-20261122-001000", "backup-prod-20261122-002000"]
    world.finish()
    world.until(at("00:29"))
    assert len(world.started) == 2


def test_no_retry_after_the_starting_deadline() -> None:
    """It bounds the retries of a slot; the attempt is settled then."""
    world = World(startingDeadlineSeconds=300)
    world.until(at("01:00"))
    world.finish(reason="NoLeader", after=4 * MINUTE + 30 * SECOND)
    world.until(at("01:59"))
    assert len(world.started) == 1
    attempt = world.status.attempt
    assert attempt is not None
    assert attempt.settled
    assert world.told("BackupFailed") == ["NoLeader: it failed: NoLeader"]


def test_a_retry_that_is_blocked_waits_and_is_not_forgotten() -> None:
    """The manager looks each minute, not again and again, and the retry comes when it may."""
    world = World()
    world.until(at("01:00"))
    world.finish(reason="NoLeader")
    world.settle()
    world.edit(status__phase="Upgrading")
    world.until(at("01:10"))
    waiting = world.status.waiting
    assert waiting is not None
    assert (waiting.slot, waiting.reason) == (at("01:00"), "ClusterNotRunning")
    assert world.wake is not None
    assert world.wake - world.now <= MINUTE
    world.edit(status__phase="Running")
    world.until(world.wake)
    assert world.names[1:] == ["backup-prod-20261122-010000-r2"]


def test_a_retry_that_is_blocked_to_the_end_is_not_counted_again() -> None:
    """Its slot failed once already."""
    world = World()
    world.until(at("01:00"))
    world.finish(reason="NoLeader")
    world.settle()
    world.edit(status__phase="Upgrading")
    world.until(at("01:59:59"))
    assert world.status.consecutive_failures == 1
    world.until(at("02:00"))
    assert (world.status.consecutive_failures, world.told("BackupMissed")) == (1, [])


def test_a_failure_that_was_long_ago_is_tried_again_at_once() -> None:
    """The pause runs from the end of the run, also when nobody looked."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish(reason="NoLeader")
    world.now = at("07:00")
    world.settle()
    assert world.names[1:] == ["backup-prod-20261122-020000-r2"]
    assert world.told("BackupFailed")[0].endswith("; tried again at 07:00:00 UTC")


def test_a_failure_is_looked_at_only_after_the_deadline_of_its_slot() -> None:
    """The slot is over: it is not tried again, and the next one runs."""
    world = World()
    world.until(at("01:00"))
    world.finish(reason="NoLeader")
    world.now = at("02:30")
    world.settle()
    assert world.names[1:] == ["backup-prod-20261122-020000"]
    assert world.status.consecutive_failures == 1


def test_a_run_that_is_nowhere_is_started_again() -> None:
    """Its start was lost, or somebody removed it: the same name, while its slot is open."""
    world = World(schedule="0 2 * * *")
    world.lost = (StartRun,)
    world.until(at("02:30"))
    assert not world.started
    world.lost = ()
    world.until(at("02:31"))
    assert world.names == ["backup-prod-20261122-020000"]


def test_a_run_that_is_nowhere_when_its_slot_is_over_is_a_failure() -> None:
    """After a long downtime the newest slot runs, not the one whose start was lost."""
    world = World()
    world.lost = (StartRun,)
    world.until(at("01:00"))
    world.lost = ()
    world.now = at("03:30")
    world.settle()
    assert world.names == ["backup-prod-20261122-030000"]
    assert world.status.consecutive_failures == 2
    assert world.told("BackupFailed") == [
        "RunLost: the run backup-prod-20261122-010000 is nowhere to be found, and its time is over"
    ]


def test_a_name_that_another_manager_has_taken_is_not_ours() -> None:
    """The existing operator names its Jobs the same; its ended run neither blocks nor counts as ours."""
    world = World()
    world.theirs("backup-prod-20261122-010000", RunState.FINISHED)
    world.until(at("01:00"))
    assert world.names == ["backup-prod-20261122-010000-r2"]
    world.finish()
    world.settle()
    assert world.status.successful_backups == 1


def test_another_manager_takes_the_name_between_look_and_start() -> None:
    """The attempt fails and says so, rather than waiting for a run that is not there."""
    world = World()
    world.lost = (StartRun,)
    world.until(at("01:00"))
    world.lost = ()
    world.theirs("backup-prod-20261122-010000", RunState.FINISHED)
    world.settle()
    assert world.status.last_failure_reason == "AnotherManager"
    assert world.lock is None


@pytest.mark.parametrize("change", ["suspend", "spec__paused"])
def test_a_failed_run_is_not_tried_again_when_the_schedule_was_stopped(change: str) -> None:
    """Suspending means: no more of this."""
    world = World()
    world.until(at("01:00"))
    world.edit(**{change: True})
    world.finish(reason="NoLeader")
    world.until(at("01:50"))
    assert len(world.started) == 1
    attempt = world.status.attempt
    assert attempt is not None
    assert attempt.settled
