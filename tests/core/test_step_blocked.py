"""Slots that may not start yet: each with its reason, tried again, and counted when they are over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.core.world import DAY, HOUR, MINUTE, World, at

from bao_backup.core.observed import Health, RunState
from bao_backup.core.status import OperationLock

Change = Callable[[World], None]
UPGRADE = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade", message="to 2.5")


def lock(world: World, held: OperationLock | None) -> None:
    """Somebody takes or releases the operation lock."""
    world.lock = held


def end_of_theirs(world: World) -> None:
    """The other manager's run ends."""
    world.theirs("backup-prod-x", RunState.FINISHED)


BLOCKED: dict[str, tuple[Change, Change]] = {
    "ClusterNotRunning": (
        lambda w: w.edit(status__phase="Upgrading"),
        lambda w: w.edit(status__phase="Running"),
    ),
    "UpgradeInProgress": (
        lambda w: w.edit(status__upgrade={"to": "2.5"}),
        lambda w: w.edit(status__upgrade=None),
    ),
    "RestoreInProgress": (
        lambda w: w.edit(status__restore={"name": "x"}),
        lambda w: w.edit(status__restore=None),
    ),
    "OperationLocked": (lambda w: lock(w, UPGRADE), lambda w: lock(w, None)),
    "AnotherManager": (lambda w: w.theirs("backup-prod-x"), end_of_theirs),
    "TooManyRuns": (lambda w: setattr(w, "room", False), lambda w: setattr(w, "room", True)),
    "AuthenticationRequired": (
        lambda w: w.edit(tokenSecretRef=None),
        lambda w: w.edit(tokenSecretRef={"name": "token"}),
    ),
    "Sealed": (
        lambda w: setattr(w, "health", Health(ready=False, reason="Sealed", message="every node is sealed")),
        lambda w: setattr(w, "health", Health(ready=True)),
    ),
}
cases = pytest.mark.parametrize(("reason", "changes"), BLOCKED.items(), ids=BLOCKED)


@cases
def test_a_blocked_slot_is_told_once_and_tried_each_minute(
    reason: str, changes: tuple[Change, Change]
) -> None:
    """Nothing starts; a condition and one event say why; the manager looks again after 60 s."""
    world = World()
    changes[0](world)
    world.until(at("01:30"))
    assert not world.started
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", reason)
    waiting = world.status.waiting
    assert waiting is not None
    assert (waiting.slot, waiting.reason) == (at("01:00"), reason)
    (told,) = world.told("BackupBlocked")
    assert told.startswith(f"{reason}: ")
    assert world.wake == at("01:31")
    assert world.status.consecutive_failures == 0


@cases
def test_the_slot_runs_soon_after_what_blocked_it_clears(reason: str, changes: tuple[Change, Change]) -> None:
    """Nobody need tell the manager: within a minute the slot runs, under its own name."""
    world = World()
    changes[0](world)
    world.until(at("01:58:30"))
    changes[1](world)
    world.now = world.wake or world.now
    world.settle()
    assert world.names == ["backup-prod-20261122-010000"], reason
    assert world.now - at("01:58:30") <= MINUTE
    assert world.status.waiting is None


@cases
def test_a_slot_that_was_blocked_to_its_end_is_one_failure(
    reason: str, changes: tuple[Change, Change]
) -> None:
    """It is missed at its deadline, once, for the reason that blocked it; the next one takes its turn."""
    world = World()
    changes[0](world)
    world.until(at("02:30"))
    assert world.status.consecutive_failures == 1
    assert world.status.last_failure_reason == reason
    (missed,) = world.told("BackupMissed")
    assert missed.startswith("the slot 2026-11-22T01:00:00Z was missed: ")
    assert world.status.last_failure_message == missed
    assert world.status.last_failure_time == at("02:00")
    changes[1](world)
    world.until(at("02:31"))
    assert world.names == ["backup-prod-20261122-020000"]
    world.finish()
    world.settle()
    assert world.status.consecutive_failures == 0


def test_every_missed_slot_counts() -> None:
    """Three slots without a backup are three failures."""
    world = World()
    world.edit(status__phase="Failed")
    world.until(at("04:00"))
    assert world.status.consecutive_failures == 3
    assert len(world.told("BackupMissed")) == 3


def test_the_starting_deadline_ends_the_waiting() -> None:
    """A slot is given up so many seconds after it, and not tried again when it could start."""
    world = World(startingDeadlineSeconds=90)
    world.edit(status__phase="Upgrading")
    world.until(at("01:01"))
    assert world.wake == at("01:01:30")
    world.until(at("01:01:30"))
    assert world.status.consecutive_failures == 1
    assert world.wake == at("02:00")
    world.edit(status__phase="Running")
    world.until(at("01:59"))
    assert not world.started


def test_a_slot_of_yesterday_is_caught_up_within_its_deadline_and_not_after() -> None:
    """A daily slot that nobody started is open until its starting deadline."""
    for late, expected in [(5 * HOUR, ["backup-prod-20261122-020000"]), (7 * HOUR, [])]:
        world = World(schedule="0 2 * * *", startingDeadlineSeconds=6 * 3600)
        world.settle()
        world.now = at("02:00") + late
        world.settle()
        assert world.names == expected


def test_reasons_that_change_are_each_told() -> None:
    """First sealed, then locked: two events, and the status names the newest."""
    world = World()
    world.health = Health(ready=False, reason="Sealed", message="sealed")
    world.until(at("01:05"))
    world.lock = UPGRADE
    world.until(at("01:10"))
    assert [told.partition(":")[0] for told in world.told("BackupBlocked")] == ["Sealed", "OperationLocked"]
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert ready.reason == "OperationLocked"
    assert ready.last_transition_time == at("01:00")


def test_the_server_is_asked_only_when_all_else_is_right() -> None:
    """Its health costs a request: none while a lock is held, and none between slots."""

    class Counting(World):
        asked = 0

        async def ask_health(self, uid: str) -> Health:
            self.asked += 1
            return await super().ask_health(uid)

    world = Counting()
    world.health = Health(ready=True)
    world.lock = UPGRADE
    world.until(at("01:10"))
    assert world.asked == 0
    world.lock = None
    world.until(at("01:20"))
    assert (world.asked, len(world.started)) == (1, 1)


def test_a_locked_cluster_keeps_its_lock() -> None:
    """Another holder's lock is as it was, however long it stays and whatever its age."""
    world = World()
    world.lock = OperationLock(
        operation="Restore", holder="openbaorestore/x", acquired_at=at("00:00") - 30 * DAY
    )
    before = world.lock
    world.until(at("05:00"))
    assert world.lock == before
    assert not world.started


def test_the_existing_operators_lock_is_kept_while_its_run_is_under_way() -> None:
    """It takes the lock by the very same name as we do; with its run it is its own."""
    world = World()
    world.theirs("backup-prod-20261122-003000")
    world.lock = OperationLock(operation="Backup", holder="openbaocluster/backup")
    before = world.lock
    world.until(at("01:10"))
    assert world.lock == before
    world.theirs("backup-prod-20261122-003000", RunState.FINISHED)
    world.until(at("01:11"))
    assert world.names == ["backup-prod-20261122-010000"]
    assert world.lock is not None
    assert world.lock.message == world.unfinished


def test_a_stale_lock_of_ours_is_released() -> None:
    """Without an attempt under way it means nothing, whatever the clock says."""
    world = World()
    world.lock = OperationLock(
        operation="Backup", holder="openbaocluster/backup", message="x", renewed_at=world.now
    )
    world.settle()
    assert world.lock is None


def test_a_run_of_ours_that_the_status_does_not_know_still_blocks() -> None:
    """A status that was restored from an older one must not let two runs work at once."""
    world = World()
    world.until(at("01:00"))
    status = world.status
    world.finish(after=MINUTE)
    world.until(at("02:00"))
    world.status, world.lock, world.version = status, None, world.version + 1
    world.now = at("02:30")
    world.round()
    assert world.names[-1] == "backup-prod-20261122-020000"
    assert len(world.started) == 2
