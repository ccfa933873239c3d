"""What a cluster's own round does about restores: it gives back what they left, and waits for them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.core.restore_world import BACK, CLUSTER, MINUTE, SECOND, RestoreWorld
from tests.core.world import World, at

from bao_backup.core.observed import ForgetRun, Observed, Run, RunState, StartRun
from bao_backup.core.restore_spec import RestorePhase
from bao_backup.core.status import OperationLock
from bao_backup.core.step import step

LOCK = OperationLock(operation="Restore", holder="openbaorestore/back", message="restore-back")


def test_a_lock_that_a_restore_left_is_given_back() -> None:
    """Nobody has a document or a run of that name: whatever the clock says, it means nothing."""
    world = RestoreWorld()
    world.lock(LOCK)
    world.look_at_cluster()
    assert world.holder == ""


def test_a_restore_that_is_not_known_to_be_over_keeps_its_lock() -> None:
    """Its document is unfinished, its run is, or nobody can see documents."""
    world = RestoreWorld()
    world.ask()
    world.lock(LOCK)
    world.look_at_cluster()
    assert world.holder == LOCK.holder, "its document is unfinished"

    world = RestoreWorld()
    world.ask()
    world.settle()
    world.restores.remove_document(BACK)
    world.settle()
    assert world.holder == LOCK.holder, "its run is unfinished"

    without = World()
    without.lock = LOCK
    without.settle()
    assert without.lock == LOCK, "a runtime without documents of restores"


def test_another_kind_of_lock_is_never_given_back() -> None:
    """Not an upgrade's, and not one whose holder only begins like a restore's."""
    for holder in ("openbaocluster/upgrade", "openbaorestore", "another/openbaorestore/back"):
        world = RestoreWorld()
        world.lock(OperationLock(operation="Restore", holder=holder))
        world.look_at_cluster()
        assert world.holder == holder


def test_an_end_is_written_before_the_lock_goes() -> None:
    """Until the end is in the status neither the restore's round nor the cluster's gives the lock back."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.end()
    world.look_at_cluster()
    assert world.holder == LOCK.holder
    world.dies_at = 2  # the end is written, the lock is not
    assert not world.survived(world.look)
    assert (world.status().phase, world.holder) == (RestorePhase.COMPLETED, LOCK.holder)
    world.look_at_cluster()
    assert world.holder == ""


@pytest.mark.parametrize("deleted", [False, True])
def test_a_slot_waits_for_a_restore(*, deleted: bool) -> None:
    """Also for one whose document is gone; it is filled as soon as the run ended."""
    world = RestoreWorld()
    world.configure({"spec.backup.schedule": "5 12 * * *"})
    world.look_at_cluster()
    world.ask()
    world.settle()
    if deleted:
        world.restores.remove_document(BACK)
    world.time += 6 * MINUTE
    world.settle()
    waiting = world.clusters.status(CLUSTER).waiting
    assert waiting is not None
    assert waiting.reason == "RestoreInProgress"
    assert world.clusters.started == []
    if deleted:
        world.clusters.end_restore(CLUSTER, "restore-back", None)
    else:
        world.end()
    world.time += SECOND
    world.settle()
    assert [run.name for _, run in world.clusters.started] == ["backup-prod-20261122-120500"]
    assert world.holder == "openbaocluster/backup"
    assert world.cluster_seen().restore_runs == ()


def test_a_run_of_a_restore_that_is_gone_is_forgotten() -> None:
    """Its end is nobody's to tell but the cluster's; one whose document is unfinished is left to that."""
    world = RestoreWorld()
    world.ask()
    world.settle()
    world.end()
    world.look_at_cluster()
    assert len(world.cluster_seen().restore_runs) == 1
    world.restores.remove_document(BACK)
    world.look_at_cluster()
    assert (world.cluster_seen().restore_runs, world.holder) == ((), "")


def test_another_managers_restore_is_not_touched() -> None:
    """Its lock has the same form: it stays while its run is there, and its run is not forgotten."""
    world = World()
    world.restores = ()
    world.restore_runs = (Run(name="restore-back", state=RunState.UNFINISHED, ours=False),)
    world.lock = LOCK
    world.settle()
    assert [world.lock] == [LOCK]
    world.restore_runs = (Run(name="restore-back", state=RunState.FINISHED, ours=False),)
    world.settle()
    assert [world.lock] == [None]
    assert world.forgotten == set()


def test_a_lost_start_of_a_backup_is_not_made_up_for_beside_a_restore() -> None:
    """Where a restore's run got in between, the attempt is told as one that did not begin."""
    world = World()
    world.settle()
    world.lost = (StartRun,)
    world.now = at("01:00")
    world.round()
    assert world.status.attempt is not None
    assert world.started == []
    world.lost = ()
    world.restores = ()
    world.restore_runs = (Run(name="restore-gone", state=RunState.UNFINISHED),)
    world.round()
    assert world.started == []
    assert world.status.last_failure_reason == "RestoreInProgress"


def test_no_end_is_forgotten_while_nobody_can_see_documents() -> None:
    """Its document may come back without its end: it would be started again once its Job is gone."""
    over = Run(name="restore-back", state=RunState.FINISHED)
    seen = Observed(namespace="default", name="prod", uid="uid", restore_runs=(over,))
    assert ForgetRun(name=over.name) not in step(seen, at("01:00")).actions
    assert ForgetRun(name=over.name) in step(replace(seen, restores=()), at("01:00")).actions
