"""From a slot to a good backup in the status, and what is said of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.core.results import result_of, retention
from tests.core.world import DAY, HOUR, MINUTE, SECOND, World, at

from bao_backup.core.model import Trigger
from bao_backup.core.naming import parse_key
from bao_backup.core.result import decode_result, encode_result
from bao_backup.core.status import LOCK_HOLDER


def test_no_run_before_a_slot() -> None:
    """A cluster that is new waits for its first slot, and says when that is."""
    world = World(schedule="0 2 * * *")
    world.until(at("01:59:59"))
    assert not world.started
    assert world.status.next_scheduled_backup == at("02:00")
    assert world.wake == at("02:00")


def test_a_slot_starts_a_run_named_after_it() -> None:
    """The run's name and key are those of the slot, however late the manager looked."""
    world = World(schedule="0 2 * * *")
    world.settle()
    world.now = at("02:00:07")
    world.settle()
    (run,) = world.started
    assert run.name == "backup-prod-20261122-020000"
    assert (run.slot, run.trigger, run.number) == (at("02:00"), Trigger.SCHEDULED, 1)
    name = parse_key(run.key, "default/prod")
    assert name is not None
    assert name.taken == at("02:00")
    assert world.told("BackupStarted") == [f"{run.name}, into {run.key}"]


def test_while_a_run_is_under_way_the_lock_is_ours() -> None:
    """It names the run, is taken when the run is, and is free after it."""
    world = World()
    world.until(at("01:00"))
    assert world.lock is not None
    assert (world.lock.operation, world.lock.holder) == ("Backup", LOCK_HOLDER)
    assert (world.lock.message, world.lock.acquired_at) == (world.unfinished, at("01:00"))
    world.finish()
    world.settle()
    assert world.lock is None


def test_a_success_fills_the_status_from_the_result() -> None:
    """Times, sizes and names are the run's own, though somebody looked only hours later."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish(after=3 * MINUTE)
    world.now = at("05:00")
    world.settle()

    status, run = world.status, world.started[0]
    assert status.last_backup_time == at("02:02:55")
    assert status.last_attempt_time == at("02:00:05")
    assert status.last_attempt_scheduled_time == at("02:00")
    assert status.last_backup_size == 123_456
    assert status.last_backup_duration == "2m50s"
    assert status.last_backup_name == run.key
    assert status.next_scheduled_backup == at("02:00", 23)
    assert (status.successful_backups, status.consecutive_failures) == (1, 0)
    last = status.last_successful_backup
    assert last is not None
    assert (last.time, last.key, last.size) == (at("02:02:55"), run.key, 123_456)
    assert (last.sha256, last.duration, last.raft_index) == ("ab" * 32, "2m50s", 77)
    assert last.trigger is Trigger.SCHEDULED
    ready = status.condition("BackupReady")
    assert ready is not None
    assert (ready.status, ready.reason) == ("True", "BackupSucceeded")
    assert ready.last_transition_time == at("02:02:55")
    assert world.told("BackupCompleted") == [f"{run.key}, 121 KiB in 2m 50s"]


def test_a_run_that_ended_is_forgotten_only_after_its_result_is_in_the_status() -> None:
    """A manager that dies before the result is written finds the run again."""
    world = World()
    world.until(at("01:00"))
    world.finish()
    world.dies_at = 1  # at the save
    assert not world.round_or_death()
    assert not world.forgotten
    world.settle()
    assert world.forgotten == set(world.names)
    assert world.status.successful_backups == 1


def test_slots_follow_one_another() -> None:
    """A day of hourly slots is a day of runs, each once."""
    world = World()
    for hour in range(1, 24):
        world.until(at(f"{hour:02}:00"))
        world.finish(after=10 * MINUTE)
    world.settle()
    assert world.names == [f"backup-prod-20261122-{hour:02}0000" for hour in range(1, 24)]
    assert world.status.successful_backups == 23


def test_a_slot_that_comes_during_a_run_waits_for_its_end() -> None:
    """A run longer than the interval delays the next one; it starts as soon as it may."""
    world = World()
    world.until(at("02:30", 22) - HOUR - 30 * MINUTE)
    world.until(at("02:10"))
    waiting = world.status.waiting
    assert waiting is not None
    assert (waiting.slot, waiting.reason) == (at("02:00"), "BackupRunning")
    world.finish(after=75 * MINUTE)
    world.settle()
    assert world.names[1:] == ["backup-prod-20261122-020000"]
    assert world.began[world.unfinished] == at("02:15")
    assert world.status.waiting is None


def test_jitter_delays_the_start_and_not_the_name() -> None:
    """The run starts within the jitter after the slot, and is named after the slot."""
    world = World(jitterSeconds=600)
    world.until(at("01:10"))
    (name,) = world.names
    assert name == "backup-prod-20261122-010000"
    assert timedelta() < world.began[name] - at("01:00") <= timedelta(seconds=600)


def test_after_a_year_of_downtime_one_slot_is_caught_up() -> None:
    """The newest slot runs; those before it are one missed slot, told once."""
    world = World()
    world.settle()
    world.now += 365 * DAY + 30 * MINUTE
    world.settle()
    assert world.names == ["backup-prod-20271122-000000"]
    assert world.told("BackupMissed") == [
        "the slot 2027-11-21T23:00:00Z was missed: nobody was there to start it"
    ]
    assert world.status.consecutive_failures == 1


def test_downtime_over_no_slot_changes_nothing() -> None:
    """Between two slots nobody misses the manager."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00"))
    world.finish()
    world.settle()
    version = world.version
    world.now = at("23:00")
    world.settle()
    assert world.version == version
    assert world.names == ["backup-prod-20261122-020000"]


@pytest.mark.parametrize(
    ("outcome", "status", "reason", "words"),
    [
        (retention(), "True", "RetentionApplied", "2 kept, 0 dropped"),
        (retention(dropped=("a", "b")), "True", "RetentionApplied", "2 kept, 2 dropped"),
        (retention(failed=("a: denied",)), "False", "RetentionFailed", "1 not dropped: a: denied"),
        (replace(retention(), more_failed=3), "False", "RetentionFailed", "3 not dropped"),
    ],
)
def test_retention_is_told(outcome: object, status: str, reason: str, words: str) -> None:
    """What retention did is a condition; a refused deletion is a warning beside a success."""
    world = World()
    world.until(at("01:00"))
    world.finish(retention=outcome)
    world.settle()
    condition = world.status.condition("RetentionEnforced")
    assert condition is not None
    assert (condition.status, condition.reason, condition.message) == (status, reason, words)
    assert world.status.successful_backups == 1


def test_more_backups_were_dropped_than_the_result_has_room_to_name() -> None:
    """The number that is told is that of the deletions, not of the names that fit."""
    world = World()
    world.until(at("01:00"))

    many = retention(dropped=tuple(f"default/prod/{'x' * 50}{number}" for number in range(500)))
    sent = result_of(world.started[0], world.now, MINUTE, retention=many)
    read = decode_result(encode_result(sent))
    assert read is not None
    world.finish(retention=read.retention)
    world.settle()
    assert world.told("RetentionApplied") == ["2 kept, 500 dropped"]


def test_drops_that_a_result_had_no_room_to_name_are_told() -> None:
    """Not a single name fitted, and still it is said how many there were."""
    world = World()
    world.until(at("01:00"))
    world.finish(retention=replace(retention(), more_dropped=7))
    world.settle()
    assert world.told("RetentionApplied") == ["2 kept, 7 dropped"]


def test_a_run_is_looked_for_soon_after_its_start() -> None:
    """A start that was lost without anybody noticing is repeated within a minute, and only then."""
    world = World(schedule="0 2 * * *")
    world.until(at("02:00") - SECOND)
    world.now = at("02:00")
    world.round()
    assert world.wake == at("02:01")
    world.round()
    assert world.wake == at("02:00", 23)
