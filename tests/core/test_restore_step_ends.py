"""A restore from its document to its end: phases, conditions, events, and whose the lock is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.core.restore_world import BACK, CLUSTER, KEY, MINUTE, NOON, SAFETY, SECOND, RestoreWorld

from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.restore import step_restore
from bao_backup.core.restore_spec import RestorePhase
from bao_backup.core.restoring import StartRestore
from bao_backup.core.status import OperationLock

UPGRADE = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade")


def test_a_whole_restore() -> None:
    """It is validated with the lock, runs once, ends with what its run said, and gives the lock back."""
    world = RestoreWorld()
    world.ask({"spec.source": {"key": KEY}})
    world.look()
    assert world.status().phase is RestorePhase.VALIDATING
    assert (len(world.restores.made), world.names) == (1, []), "it is made, and held"
    assert world.holder == "openbaorestore/back"
    lock = world.clusters.lock(CLUSTER)
    assert lock is not None
    assert (lock.operation, lock.message) == ("Restore", "restore-back")
    assert world.wake == NOON + SECOND

    world.time += SECOND
    world.look()
    running = world.status()
    assert (running.phase, running.start_time) == (RestorePhase.RUNNING, NOON + SECOND)
    assert (world.names, world.under_way) == (["restore-back"], "restore-back")
    run = world.seen().run
    assert run is not None
    assert (running.run_uid, run.held) == (run.uid, False)
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


LIST = "bao-backup list --class pre-restore"


@pytest.mark.parametrize("safety", [True, False])
@pytest.mark.parametrize(("reason", "exit_code", "holds", "told", "words"), ENDS)
def test_the_way_back_of_a_run_that_named_none(
    reason: str, exit_code: int, holds: str, told: str, words: str, safety: bool
) -> None:
    """One that was killed may have made it: the message says how it is found, unless none was wanted."""
    del told, words
    world = RestoreWorld()
    world.ask({"spec.safetyBackup": safety})
    world.settle()
    world.end(reason=reason, exit_code=exit_code)
    world.settle()
    assert (LIST in world.status().message) == (holds == "Unknown" and safety)


def test_the_way_back_of_a_run_that_vanished_is_told_too() -> None:
    """And not where one is named."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.restores.lose_run(BACK)
    world.settle()
    assert LIST in world.status().message
    named = RestoreWorld()
    named.ask()
    named.settle()
    named.end(reason="NoResult", exit_code=9, safety_key=SAFETY)
    named.settle()
    assert LIST not in named.status().message


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
    """A run that somebody let go, and that ended while no manager was there, is told with its own times."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.let_go()
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
    world.dies_at = 4  # after observing, saving, telling and locking
    assert not world.survived(world.look)
    assert (world.names, world.holder) == ([], "openbaorestore/back")
    decision = step_restore(world.seen(), world.time)
    assert StartRestore(name="restore-back") in decision.actions
    world.settle()
    assert world.names == ["restore-back"]


# --- a run that is made, and held ---------------------------------------------------------------


def test_a_held_run_that_somebody_removes_is_made_again() -> None:
    """Nothing of it had begun, so that the restore goes on as if it had never been there."""
    world = RestoreWorld()
    world.ask()
    for _ in range(3):
        world.look()
        world.restores.lose_run(BACK)
    assert (len(world.restores.made), world.names) == (3, [])
    assert world.status().phase is RestorePhase.VALIDATING
    world.settle()
    assert (len(world.restores.made), world.names) == (4, ["restore-back"])


def test_a_lost_release_is_repeated() -> None:
    """The status says which run is released before it is: who comes next releases that one."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.dies_at = 3  # after observing, saving and telling
    assert not world.survived(world.look)
    assert (world.status().phase, world.names) == (RestorePhase.RUNNING, [])
    world.look()
    assert (world.names, world.wake) == (["restore-back"], world.time + SECOND)
    assert world.told().count("RestoreStarted") == 1


def test_a_second_run_is_never_released() -> None:
    """One that a manager made which did not know yet that it leads no more: it is removed, not begun."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.restores.lose_run(BACK)
    world.make_again()
    seen = world.seen().run
    assert seen is not None
    assert seen.held
    world.settle()
    assert (world.status().phase, world.status().reason) == (RestorePhase.FAILED, "RestoreUnknown")
    assert (world.names, world.seen().run, world.holder) == (["restore-back"], None, "")


def test_a_held_run_without_its_document_is_removed() -> None:
    """Nobody would ever release it, and backups would wait for it for ever."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.restores.remove_document(BACK)
    world.settle()
    assert (world.cluster_seen().restore_runs, world.names, world.holder) == ((), [], "")
    world.ask({"metadata.uid": "another"})
    world.settle()
    assert [uid for uid, _ in world.restores.started] == ["another"]


def test_a_held_run_of_an_earlier_document_of_the_name_makes_room() -> None:
    """The new document's own run is made in its place."""
    world = RestoreWorld()
    world.ask({"metadata.uid": "one"})
    world.look("one")
    world.restores.remove_document("one")
    world.ask({"metadata.uid": "two"})
    world.look("two")
    assert world.status("two").reason == "NameTaken"
    world.settle()
    assert [uid for uid, _ in world.restores.started] == ["two"]


def test_what_comes_before_the_release_is_waited_for() -> None:
    """The run that was made is removed, and the lock is given back meanwhile."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.configure({"status.upgrade": {}})
    world.settle()
    assert (world.status().reason, world.holder) == ("UpgradeInProgress", "")
    assert (world.names, world.seen().run) == ([], None)
    world.configure()
    world.settle()
    assert (world.names, world.holder) == (["restore-back"], "openbaorestore/back")


def test_nothing_is_released_without_the_lock() -> None:
    """Somebody took it away: it is taken again first, and a look later the run begins."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.lock(None)
    world.look()
    assert (world.holder, world.names) == ("openbaorestore/back", [])
    world.look()
    assert world.names == ["restore-back"]


def test_what_was_to_be_released_waits_for_another_holder() -> None:
    """The manager died before the release, and somebody took the lock until the next one came."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.dies_at = 3  # after observing, saving and telling
    assert not world.survived(world.look)
    world.lock(UPGRADE)
    world.look()
    assert (world.names, world.holder, world.wake) == ([], UPGRADE.holder, world.time + MINUTE)
    assert "waits for the cluster's operation lock" in world.status().message
    world.lock(None)
    world.settle()
    assert (world.names, world.holder) == (["restore-back"], "openbaorestore/back")


def test_a_run_of_an_earlier_version_is_followed() -> None:
    """It was never held, and its uid is in no status."""
    world = RestoreWorld()
    world.ask()
    world.look()
    world.let_go()
    world.look()
    assert (world.status().phase, world.status().run_uid) == (RestorePhase.RUNNING, "run-1")
    earlier = replace(world.seen(), status=replace(world.status(), run_uid=""))
    decision = step_restore(earlier, world.time)
    assert (decision.status.phase, decision.actions) == (RestorePhase.RUNNING, ())


def test_a_run_that_somebody_suspends_is_told() -> None:
    """It would keep the lock for ever, and nobody would know why: what to do is in the status meanwhile."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    seen = world.seen()
    assert seen.run is not None
    decision = step_restore(replace(seen, run=replace(seen.run, suspended=True)), world.time)
    assert (decision.status.phase, decision.actions) == (RestorePhase.RUNNING, ())
    assert decision.status.message.startswith("the Job restore-back was suspended")
    assert "delete it" in decision.status.message
    again = step_restore(replace(seen, status=decision.status), world.time)
    assert again.status.message == "the run restore-back is under way"


# --- what is told ---------------------------------------------------------------------------------


def test_what_the_status_says_is_told_though_the_lock_is_refused() -> None:
    """Each thing once: the round after it finds the status written, and has nothing more to tell of it."""
    world = RestoreWorld()
    world.ask({"spec.targetLifecycle": "Retain"})
    world.meanwhile["save_lock"] = lambda: world.lock(None)
    world.look()
    assert (world.holder, world.restores.made) == ("", [])
    assert world.told() == ["RestoreValidationStarted", "FieldIgnored"]
    world.settle()
    assert world.told() == ["RestoreValidationStarted", "FieldIgnored", "RestoreStarted"]


def test_a_lock_that_was_refused_is_not_told_to_be_taken() -> None:
    """What an override breaks is told when it is broken."""
    world = RestoreWorld()
    world.lock(UPGRADE)
    world.ask({"spec.force": True, "spec.overrideOperationLock": True})
    world.meanwhile["save_lock"] = lambda: world.lock(UPGRADE)
    world.look()
    assert world.told() == ["RestoreValidationStarted"]
    world.look()
    assert world.told() == ["RestoreValidationStarted", "OperationLockOverride"]
