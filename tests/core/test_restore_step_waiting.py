"""What a restore waits for, that it then waits without the lock, and that it begins afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.core.restore_world import BACK, CLUSTER, MINUTE, NOON, SECOND, RestoreWorld

from bao_backup.core import restore_preflight as restore_preflight_module
from bao_backup.core.errors import Problem
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Run, RunState, StartRun
from bao_backup.core.preflight import Blocked
from bao_backup.core.restore import step_restore
from bao_backup.core.restore_preflight import LOCKED, restore_preflight
from bao_backup.core.restore_spec import RestorePhase
from bao_backup.core.restoring import DiscardRun, StartRestore
from bao_backup.core.status import OperationLock

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
UPGRADE = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade")
FORCE = {"spec.force": True, "spec.overrideOperationLock": True}
A_BACKUP = StartRun(
    name="backup-prod-20261122-115900", key="k", slot=NOON - MINUTE, trigger=Trigger.SCHEDULED, number=1
)


def backup(world: RestoreWorld) -> None:
    """A backup's run is under way."""
    world._do(world.clusters.start(CLUSTER, A_BACKUP))


# what is in the way -> reason, a part of the message, and how it goes away
WAITS: dict[str, tuple[Callable[[RestoreWorld], object], str, str, Callable[[RestoreWorld], object]]] = {
    "no cluster": (
        lambda w: w.clusters.remove_document(CLUSTER),
        "ClusterMissing",
        "no OpenBaoCluster prod",
        lambda w: w.configure(),
    ),
    "paused": (
        lambda w: w.configure({"spec.paused": True}),
        "Paused",
        "spec.paused",
        lambda w: w.configure(),
    ),
    "a backup": (
        backup,
        "BackupRunning",
        A_BACKUP.name,
        lambda w: w.clusters.end(CLUSTER, A_BACKUP.name, None),
    ),
    "an upgrade": (
        lambda w: w.configure({"status.upgrade": {}}),
        "UpgradeInProgress",
        "status.upgrade",
        lambda w: w.configure(),
    ),
    "a later version's restore": (
        lambda w: w.configure({"status.restore": {"name": "x"}}),
        "RestoreInProgress",
        "status.restore",
        lambda w: w.configure(),
    ),
    "the lock": (lambda w: w.lock(UPGRADE), "OperationLocked", UPGRADE.holder, lambda w: w.lock(None)),
}


@pytest.mark.parametrize("case", WAITS)
def test_waiting(case: str) -> None:
    """It says what it waits for, tries again after a minute, and begins once that is gone."""
    come, reason, words, go = WAITS[case]
    world = RestoreWorld()
    come(world)
    world.ask()
    for _ in range(3):
        world.look()
        assert world.wake == world.time + MINUTE
        world.time += MINUTE
    status = world.status()
    assert (status.phase, status.reason) == (RestorePhase.VALIDATING, reason)
    assert status.message.startswith("it waits: ")
    assert words in status.message
    condition = status.condition("RestoreComplete")
    assert condition is not None
    assert (condition.status, condition.reason, condition.message) == ("False", reason, status.message)
    assert condition.last_transition_time == NOON
    assert world.names == []
    blocked = ["OperationLockBlocked"] if case == "the lock" else []
    assert world.told() == ["RestoreValidationStarted", *blocked], "told once"
    go(world)
    world.settle()
    assert (world.names, world.holder) == (["restore-back"], "openbaorestore/back")
    assert world.status().reason == ""


def test_a_cluster_that_is_wrong_where_the_restore_needs_it() -> None:
    """It waits until that is corrected, and says what it is; what else is wrong there does not matter."""
    world = RestoreWorld()
    world.ask()
    seen = world.seen()
    assert seen.cluster is not None
    invalid = replace(seen, cluster=replace(seen.cluster, document=None))
    assert StartRestore(name="restore-back") in step_restore(invalid, NOON).actions
    wrong = (Problem("spec.backup.target.bucket", "expected it"),)
    decision = step_restore(replace(invalid, cluster_document=None, cluster_problems=wrong), NOON)
    assert (decision.status.reason, decision.actions) == ("ClusterInvalid", ())
    assert "spec.backup.target.bucket: expected it" in decision.status.message


def test_each_reason_is_explained() -> None:
    """On the page of errors, in the section of restores."""
    section = PAGE.read_text().partition("## A restore's status")[2]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    source = Path(str(restore_preflight_module.__file__)).read_text()
    reasons = set(re.findall(r'reason="(\w+)"', source)) | {LOCKED}
    assert len(reasons) > 9
    assert reasons <= told


def test_what_it_waits_for_may_go_on() -> None:
    """A restore whose start was lost gives the lock back when something came into its way."""
    world = RestoreWorld()
    world.ask()
    world.dies_at = 4
    assert not world.survived(world.look)
    assert world.holder == "openbaorestore/back"
    world.configure({"status.upgrade": {}})
    world.look()
    assert (world.names, world.holder) == ([], "")


def test_who_comes_too_late_for_the_lock_does_not_begin() -> None:
    """Somebody took it since the look: nothing is started, and the next look waits for that."""
    world = RestoreWorld()
    world.ask()
    world.meanwhile["save_lock"] = lambda: world.lock(UPGRADE)
    world.look()
    assert (world.names, world.holder, world.wake) == ([], UPGRADE.holder, world.time)
    world.look()
    assert (world.status().reason, world.names) == ("OperationLocked", [])


def test_one_at_a_time() -> None:
    """The older one first, of two of the same second the one whose name comes first."""
    world = RestoreWorld()
    late, first, second = (
        world.ask({"metadata.name": name, "metadata.uid": f"u-{name}"}) for name in ("z", "a", "b")
    )
    world.settle()
    assert world.names == ["restore-a"]
    assert world.status(second).reason == "RestoreInProgress"
    assert "the OpenBaoRestore a is older" in world.status(second).message
    world.end(first, reason="RestoreRefused")
    world.settle()
    assert world.names == ["restore-a", "restore-b"]
    world.time += SECOND
    oldest = world.ask({"metadata.name": "0", "metadata.uid": "u-0"})
    world.end(second)
    world.settle()
    assert world.names == ["restore-a", "restore-b", "restore-z"], "by age before name"
    world.end(late)
    world.settle()
    world.end(oldest)
    world.settle()
    assert world.holder == ""


def test_a_run_without_its_document_is_waited_for() -> None:
    """One restore at a time, also where somebody deleted the document of the one that runs."""
    world = RestoreWorld()
    first = world.ask({"metadata.name": "first"})
    world.settle()
    world.restores.remove_document(first)
    world.ask()
    world.settle()
    assert (world.status().reason, world.names) == ("RestoreInProgress", ["restore-first"])
    assert "restore-first" in world.status().message


def test_the_same_name_again() -> None:
    """A new document does not take an earlier one's run for its own: it waits, and then runs itself."""
    world = RestoreWorld()
    world.ask({"metadata.uid": "one"})
    world.settle()
    world.restores.remove_document("one")
    world.ask({"metadata.uid": "two"})
    world.settle()
    assert world.status("two").reason == "RestoreInProgress"
    assert "an earlier restore of this name" in world.status("two").message
    assert len(world.names) == 1
    assert world.holder == "openbaorestore/back"
    world.restores.remove_document("two")
    world.ask({"metadata.uid": "one"})
    world.end("one")
    world.restores.remove_document("one")
    world.ask({"metadata.uid": "two"})
    world.settle()
    assert [uid for uid, _ in world.restores.started] == ["one", "two"]
    assert world.status("two").phase is RestorePhase.RUNNING


def test_a_document_that_is_being_deleted_does_not_begin() -> None:
    """It does not take the lock, and one that took it gives it back."""
    world = RestoreWorld()
    world.ask()
    world.dies_at = 4
    world.survived(world.look)
    world.restores.begin_removal(BACK)
    world.settle()
    assert (world.status().reason, world.names, world.holder) == ("BeingDeleted", [], "")


# --- by force ----------------------------------------------------------------------------------


def test_an_override() -> None:
    """It takes another's lock, past an upgrade that is dead, and says so by event and condition."""
    world = RestoreWorld()
    world.configure({"status.upgrade": {}})
    world.lock(UPGRADE)
    world.ask(FORCE)
    world.settle()
    assert (world.names, world.holder) == (["restore-back"], "openbaorestore/back")
    condition = world.status().condition("OperationLockOverride")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "OperationLockOverridden")
    assert UPGRADE.holder in condition.message
    assert world.told().count("OperationLockOverride") == 1
    assert next(e for e in world.restores.events(BACK) if e.reason == "OperationLockOverride").warning


def test_an_override_of_a_free_lock_is_none() -> None:
    """Neither at first, nor when the lock went between its writing down and the taking."""
    world = RestoreWorld()
    world.lock(UPGRADE)
    world.ask(FORCE)
    world.dies_at = 3  # before the lock
    assert not world.survived(world.look)
    assert world.status().condition("OperationLockOverride") is not None
    world.lock(None)
    world.settle()
    assert world.holder == "openbaorestore/back"
    assert world.status().condition("OperationLockOverride") is None
    assert "OperationLockOverride" not in world.told()


def test_an_override_does_not_break_into_what_is_alive() -> None:
    """A backup's run and another restore are waited for: the override is for what is dead."""
    world = RestoreWorld()
    backup(world)
    world.lock(OperationLock(operation="Backup", holder="openbaocluster/backup"))
    world.ask(FORCE)
    world.look()
    assert (world.status().reason, world.holder) == ("BackupRunning", "openbaocluster/backup")

    world = RestoreWorld()
    world.configure({"spec.backup.schedule": "5 12 * * *"})
    world.look_at_cluster()
    world.time += 6 * MINUTE
    world.dies_at = 2  # the attempt is in the status, and its run is not there
    assert not world.survived(world.look_at_cluster)
    assert (world.clusters.started, world.holder) == ([], "openbaocluster/backup")
    world.ask(FORCE)
    world.look()
    assert (world.status().reason, world.holder) == ("BackupRunning", "openbaocluster/backup")

    world = RestoreWorld()
    world.time += MINUTE
    younger = world.ask({"metadata.name": "younger"})
    world.settle()
    seen = replace(world.seen(younger), name="back", created=NOON, run=None)
    assert seen.document is not None
    forced = replace(
        seen.document, spec=replace(seen.document.spec, force=True, override_operation_lock=True)
    )
    assert restore_preflight(seen, forced) == Blocked(
        reason="RestoreInProgress", message="the run restore-younger is not finished"
    )
    assert seen.cluster is not None
    seen = replace(seen, cluster=replace(seen.cluster, restore_runs=()))
    blocked = restore_preflight(seen, forced)
    assert blocked is not None
    assert blocked.reason == "OperationLocked"


# --- beside another manager --------------------------------------------------------------------


@pytest.mark.parametrize("state", RunState)
def test_another_managers_run_of_that_name(state: RunState) -> None:
    """It is left alone, and so is a restore that it carries out."""
    world = RestoreWorld()
    world.ask()
    theirs = replace(world.seen(), namesake=Run(name="restore-back", state=state, ours=False))
    decision = step_restore(theirs, NOON)
    assert decision.status.reason == "AnotherManager"
    assert (decision.actions, [event.reason for event in decision.events]) == (
        (),
        ["RestoreValidationStarted"],
    )
    assert decision.lock is None
    running = replace(theirs, status=replace(theirs.status, phase=RestorePhase.RUNNING))
    decision = step_restore(running, NOON)
    assert (decision.status, decision.actions) == (running.status, ())


# --- a document that changes, as the other operator's CRD lets it -----------------------------------


def test_a_document_that_is_changed_while_it_waits() -> None:
    """Nothing of either is done: it fails, the lock is not taken, and a run that is held is removed."""
    world = RestoreWorld()
    world.lock(UPGRADE)
    world.ask()
    world.settle()
    waiting = replace(world.seen(), generation=2)
    assert waiting.status.phase is RestorePhase.VALIDATING
    decision = step_restore(waiting, NOON)
    assert (decision.status.phase, decision.status.reason) == (RestorePhase.FAILED, "DocumentChanged")
    assert "make a new document" in decision.status.message
    assert [event.reason for event in decision.events] == ["RestoreFailed"]
    assert decision.actions == ()
    held = replace(waiting, run=Run(name="restore-back", state=RunState.UNFINISHED, held=True))
    assert step_restore(held, NOON).actions == (DiscardRun(name="restore-back"),)


def test_a_document_that_is_changed_while_it_runs() -> None:
    """The run goes on with what it began with, and its end is the restore's."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    running = replace(world.seen(), generation=2)
    assert running.status.phase is RestorePhase.RUNNING
    decision = step_restore(running, NOON)
    assert (decision.status.phase, decision.actions) == (RestorePhase.RUNNING, ())


def test_a_document_that_is_deleted_while_it_waits_is_not_a_changed_one() -> None:
    """Kubernetes counts that as a generation, too."""
    world = RestoreWorld()
    world.lock(UPGRADE)
    world.ask()
    world.settle()
    leaving = replace(world.seen(), generation=2, leaving=True)
    assert step_restore(leaving, NOON).status.reason == "BeingDeleted"


def test_a_document_that_is_deleted_before_its_run_lets_others_go_on() -> None:
    """However long something keeps it: it is not the next in line, and holds neither run nor lock."""
    world = RestoreWorld()
    world.lock(UPGRADE)
    world.ask()
    world.settle()
    world.restores.begin_removal(BACK)
    assert world.cluster_seen().restore == ""
    world.time += MINUTE
    again = world.ask({"metadata.name": "again", "metadata.uid": "default/again"})
    world.lock(None)
    world.settle()
    assert (world.status().reason, world.status(again).phase) == ("BeingDeleted", RestorePhase.RUNNING)
