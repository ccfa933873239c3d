"""A restore from its document to its end: phases, conditions, events, and whose the lock is."""

from __future__ import annotations

import pytest
from tests.core.restore_world import BACK, CLUSTER, KEY, MINUTE, NOON, SAFETY, SECOND, RestoreWorld

from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.restore import step_restore
from bao_backup.core.restore_spec import RestorePhase
from bao_backup.core.restoring import StartRestore
from bao_backup.core.status import OperationLock


def test_a_whole_restore() -> None:
    """It is validated with the lock, runs once, ends with what its run said, and gives the lock back."""
    world = RestoreWorld()
    world.ask({"spec.source": {"key": KEY}})
    world.look()
    assert world.status().phase is RestorePhase.VALIDATING
    assert (world.names, world.holder) == (["restore-back"], "openbaorestore/back")
    lock = world.clusters.lock(CLUSTER)
    assert lock is not None
    assert (lock.operation, lock.message) == ("Restore", "restore-back")
    assert world.wake == NOON + SECOND

    world.time += SECOND
    world.look()
    running = world.status()
    assert (running.phase, running.start_time) == (RestorePhase.RUNNING, NOON + SECOND)
    assert (running.snapshot_key, running.reason) == (KEY, "")
    condition = running.condition("RestoreComplete")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "RestoreRunning")

    world.end(safety_key=SAFETY)
    world.look()
    status = world.status()
    assert status.phase is RestorePhase.COMPLETED
    assert (status.start_time, status.completion_time) == (NOON + SECOND, NOON + SECOND + MINUTE)
    assert (status.snapshot_key, status.snapshot_size) == (KEY, 1_234_567)
    assert status.safety_backup_key == SAFETY
    assert status.message.startswith("restored; unseal with the keys of then")
    assert SAFETY in status.message
    condition = status.condition("RestoreComplete")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "RestoreSucceeded")
    assert world.holder == ""
    assert world.seen().run is None
    assert world.told() == ["RestoreValidationStarted", "RestoreStarted", "RestoreCompleted"]


# reason, exit code -> the condition's status and reason, and what the message has
ENDS = [
    ("RestoreRefused", 4, "False", "RestoreFailed", "it failed: RestoreRefused"),
    ("InvalidDocument", 1, "False", "RestoreFailed", "it failed"),
    ("RestoreSealed", 4, "False", "RestoreSealed", "it failed"),
    ("RestoreUnknown", 9, "Unknown", "RestoreUnknown", "it failed"),
    ("NoResult", 8, "Unknown", "RestoreUnknown", "is not known"),
    ("PodDeleted", 9, "Unknown", "RestoreUnknown", RestoreUnknownError.default_hint),
    ("ImageNotFound", 1, "False", "RestoreFailed", "it failed"),
]


@pytest.mark.parametrize(
    ("reason", "exit_code", "holds", "told", "words"), ENDS, ids=lambda each: str(each)[:20]
)
def test_failures(reason: str, exit_code: int, holds: str, told: str, words: str) -> None:
    """A failure has its reason, the way back, and what is not known; it never runs again."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.end(reason=reason, exit_code=exit_code, safety_key=SAFETY)
    world.settle()
    status = world.status()
    assert (status.phase, status.reason) == (RestorePhase.FAILED, reason)
    condition = status.condition("RestoreComplete")
    assert condition is not None
    assert (condition.status, condition.reason) == (holds, told)
    assert words in status.message
    assert ("is not known" in status.message) == (holds == "Unknown" and reason != "RestoreUnknown")
    assert SAFETY in status.message
    assert status.safety_backup_key == SAFETY
    assert world.told()[-1] == "RestoreFailed"
    assert (world.names, world.holder) == (["restore-back"], "")


def test_a_run_that_is_gone() -> None:
    """A run that was seen and vanished is never started again: what the server took is not known."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    assert world.status().phase is RestorePhase.RUNNING
    world.restores.lose_run(BACK)
    world.settle()
    status = world.status()
    assert (status.phase, status.reason) == (RestorePhase.FAILED, "RestoreUnknown")
    assert "is not known" in status.message
    assert RestoreUnknownError.default_hint in status.message
    assert (world.names, world.holder) == (["restore-back"], "")


def test_an_end_that_was_never_seen_running() -> None:
    """A run that began and ended while no manager was there is told with its own times."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.end()
    world.settle()
    status = world.status()
    assert status.phase is RestorePhase.COMPLETED
    assert (status.start_time, status.completion_time) == (NOON + SECOND, NOON + MINUTE)


@pytest.mark.parametrize("phase", ["Completed", "Failed", "Unknown"])
def test_one_that_is_over_never_runs(phase: str) -> None:
    """Also when everything would allow it; Unknown is a later version's, and left to it."""
    world = RestoreWorld()
    world.ask({"status": {"phase": phase, "message": "as it was"}})
    before = world.status()
    world.settle()
    assert (world.status(), world.names, world.told()) == (before, [], [])
    assert world.wake is None


def test_a_wrong_document() -> None:
    """It fails at once with every problem, also where its cluster is missing, and never runs."""
    world = RestoreWorld()
    world.ask({"spec.source": {}, "spec.overrideOperationLock": True, "spec.cluster": "nowhere"})
    world.settle()
    status = world.status()
    assert (status.phase, status.reason, status.completion_time) == (
        RestorePhase.FAILED,
        "InvalidDocument",
        NOON,
    )
    for field in ("spec.source", "spec.overrideOperationLock"):
        assert field in status.message
    condition = status.condition("RestoreComplete")
    assert condition is not None
    assert (condition.status, condition.reason, condition.message) == (
        "False",
        "RestoreFailed",
        status.message,
    )
    assert (world.names, world.holder, world.told()) == ([], "", ["RestoreFailed"])


def test_fields_without_effect() -> None:
    """They are told once, and the restore runs."""
    world = RestoreWorld()
    world.ask({"spec.targetLifecycle": "Retain"})
    world.settle()
    condition = world.status().condition("DocumentValid")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "FieldIgnored")
    assert "spec.targetLifecycle" in condition.message
    assert world.told().count("FieldIgnored") == 1
    assert world.names == ["restore-back"]


def test_a_lock_that_somebody_took_away_is_taken_again() -> None:
    """While the run is under way; another's is left alone then."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.lock(None)
    world.settle()
    assert world.holder == "openbaorestore/back"
    world.lock(OperationLock(operation="Upgrade", holder="openbaocluster/upgrade"))
    world.end()
    world.settle()
    assert (world.is_over(), world.holder) == (True, "openbaocluster/upgrade")


def test_an_end_is_told_though_the_lock_cannot_be_given_back_yet() -> None:
    """Somebody changed the cluster since the look: the next look, at once, gives the lock back."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.end()
    lock = world.clusters.lock(CLUSTER)
    world.meanwhile["save_lock"] = lambda: world.lock(lock)
    world.look()
    assert world.told()[-1] == "RestoreCompleted"
    assert (world.holder, world.wake) == ("openbaorestore/back", world.time)
    world.look()
    assert (world.holder, world.told().count("RestoreCompleted")) == ("", 1)


def test_a_lost_start_is_repeated() -> None:
    """As long as no run was seen, the start is decided again, and finds itself."""
    world = RestoreWorld()
    world.ask()
    world.dies_at = 3  # after observing, saving and locking
    assert not world.survived(world.look)
    assert (world.names, world.holder) == ([], "openbaorestore/back")
    decision = step_restore(world.seen(), world.time)
    assert StartRestore(name="restore-back") in decision.actions
    world.settle()
    assert world.names == ["restore-back"]
