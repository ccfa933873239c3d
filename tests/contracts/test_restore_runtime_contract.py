"""What every runtime of restores promises: the port `RestoreRuntime`, held against each of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.contracts.kubernetes_runtime import node_of_runs
from tests.contracts.restore_runtimes import CLUSTER, KEY, NAME, RUN, SAFETY, RestoreStage, stage

from bao_backup.core.errors import InternalError
from bao_backup.core.observed import Emit, ForgetRun, Observed, Run, RunState
from bao_backup.core.restore_spec import RestorePhase, RestoreStatus
from bao_backup.core.restoring import (
    DiscardRun,
    ObservedRestore,
    ReleaseRun,
    RestoreVersions,
    StartRestore,
)
from bao_backup.core.status import BackupStatus, Condition, OperationLock

__all__ = ["node_of_runs", "stage"]
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
START = StartRestore(name=RUN)
STATUS = RestoreStatus(
    phase=RestorePhase.VALIDATING,
    start_time=NOW,
    completion_time=NOW,
    snapshot_key=KEY,
    snapshot_size=5,
    safety_backup_key=SAFETY,
    run_uid="5e3a",
    reason="OperationLocked",
    message="it waits",
    conditions=(
        Condition(
            type="RestoreComplete",
            status="False",
            reason="OperationLocked",
            message="it waits",
            last_transition_time=NOW,
            observed_generation=1,
        ),
    ),
)
OVER = replace(STATUS, phase=RestorePhase.FAILED)
LOCK = OperationLock(operation="Restore", holder=f"openbaorestore/{NAME}", message=RUN, acquired_at=NOW)
BACKUPS = OperationLock(operation="Backup", holder="openbaocluster/backup", message="x", acquired_at=NOW)


def look(stage: RestoreStage, uid: str = "") -> tuple[ObservedRestore, RestoreVersions]:
    """What is observed now, and its versions."""
    return stage.do(stage.runtime.observe(uid or stage.uid))


def see(stage: RestoreStage, uid: str = "") -> ObservedRestore:
    """What is observed of the restore now."""
    return look(stage, uid)[0]


def cluster(stage: RestoreStage) -> Observed:
    """What is observed of the cluster now."""
    return stage.do(stage.clusters.observe(stage.cluster_uid))[0]


def save(stage: RestoreStage, status: RestoreStatus, uid: str = "") -> bool:
    """Save over the newest version."""
    return stage.do(stage.runtime.save(uid or stage.uid, look(stage, uid)[1], status))


def own_run(stage: RestoreStage) -> Run:
    """The restore's own run."""
    run = see(stage).run
    assert run is not None
    return run


def begin(stage: RestoreStage, uid: str = "") -> None:
    """Make the restore's run, and let it begin."""
    restore = uid or stage.uid
    stage.do(stage.runtime.start(restore, START))
    run = see(stage, restore).run
    assert run is not None
    stage.do(stage.runtime.release(restore, ReleaseRun(name=RUN, uid=run.uid)))


# --- observe and save --------------------------------------------------------------------------


def test_fresh(stage: RestoreStage) -> None:
    """A restore that was just asked for has its document and its cluster, and nothing else."""
    observed = see(stage)
    assert (observed.namespace, observed.name, observed.uid) == (stage.namespace, NAME, stage.uid)
    assert observed.document is not None
    assert observed.document.spec.cluster == CLUSTER
    assert (observed.problems, observed.status, observed.leaving) == ((), RestoreStatus(), False)
    assert (observed.run, observed.namesake) == (None, None)
    assert observed.cluster is not None
    assert observed.cluster == cluster(stage)
    assert (observed.cluster.name, observed.cluster.lock, observed.cluster.restore_runs) == (
        CLUSTER,
        None,
        (),
    )
    known = [(restore.name, restore.created) for restore in observed.cluster.restores or ()]
    assert known == [(NAME, observed.created)]


def test_a_wrong_document(stage: RestoreStage) -> None:
    """It is observed with what is wrong with it, and is an unfinished restore of its cluster all the same."""
    # An API server refuses most of them, but knows no port from another number.
    source = {"latest": True, "target": {"bucket": "backups", "endpoint": "https://s3.example:99999"}}
    uid = stage.ask("wrong", source=source)
    observed = see(stage, uid)
    assert observed.document is None
    assert [problem.path for problem in observed.problems] == ["spec.source.target.endpoint"]
    assert observed.cluster is not None
    assert {restore.name for restore in observed.cluster.restores or ()} == {NAME, "wrong"}


def test_unknown(stage: RestoreStage) -> None:
    """A restore that is not there (any more) is a defect of whoever asks."""
    stage.remove_document(stage.uid)
    with pytest.raises(InternalError):
        look(stage)


def test_save(stage: RestoreStage) -> None:
    """What is saved is observed, every field, also after the manager was started again."""
    assert save(stage, STATUS)
    assert see(stage).status == STATUS
    stage.again()
    observed = see(stage)
    assert observed.status == STATUS
    assert observed.document is not None
    assert observed.document.status == STATUS
    assert save(stage, RestoreStatus(message="less"))
    assert see(stage).status == RestoreStatus(message="less")


def test_save_over_an_older_version(stage: RestoreStage) -> None:
    """A status that was made from an older one is refused, and changes nothing."""
    _, versions = look(stage)
    assert stage.do(stage.runtime.save(stage.uid, versions, STATUS))
    assert not stage.do(stage.runtime.save(stage.uid, versions, RestoreStatus(message="older")))
    assert see(stage).status == STATUS


def test_save_what_is_gone(stage: RestoreStage) -> None:
    """A document that was deleted meanwhile is not made again."""
    _, versions = look(stage)
    stage.remove_document(stage.uid)
    assert not stage.do(stage.runtime.save(stage.uid, versions, STATUS))


def test_an_end_unblocks_the_cluster(stage: RestoreStage) -> None:
    """From the moment that the end is in the status the cluster has one unfinished restore less."""
    assert save(stage, OVER)
    assert cluster(stage).restores == ()
    stage.again()
    assert cluster(stage).restores == ()


# --- the lock ----------------------------------------------------------------------------------


def test_lock(stage: RestoreStage) -> None:
    """The lock is the cluster's: taken, seen by both, and given back; the status stays as it was."""
    status = BackupStatus(last_attempt_time=NOW, consecutive_failures=3)
    _, version = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert stage.do(stage.clusters.save(stage.cluster_uid, version, status, None))
    for lock in (LOCK, None, LOCK):
        assert stage.do(stage.runtime.save_lock(stage.uid, look(stage)[1], lock))
        observed = see(stage).cluster
        assert observed is not None
        assert observed.lock == cluster(stage).lock == lock
        assert cluster(stage).status == status
    stage.again()
    assert cluster(stage).lock == LOCK


def test_lock_over_an_older_version(stage: RestoreStage) -> None:
    """Who takes the lock last is refused: a backup's, or another restore's, is never overwritten unseen."""
    _, versions = look(stage)
    _, version = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert stage.do(stage.clusters.save(stage.cluster_uid, version, BackupStatus(), BACKUPS))
    assert not stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))
    assert cluster(stage).lock == BACKUPS
    _, version = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert stage.do(stage.runtime.save_lock(stage.uid, look(stage)[1], LOCK))
    assert not stage.do(stage.clusters.save(stage.cluster_uid, version, BackupStatus(), BACKUPS))
    assert cluster(stage).lock == LOCK


def test_the_restores_own_status_does_not_hinder_the_lock(stage: RestoreStage) -> None:
    """The versions of one look serve for both: first the status, then the lock."""
    _, versions = look(stage)
    assert stage.do(stage.runtime.save(stage.uid, versions, STATUS))
    assert stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))


def test_without_a_cluster(stage: RestoreStage) -> None:
    """A restore whose cluster is missing is observed so, its status can be written, and nothing starts."""
    stage.remove_cluster()
    observed, versions = look(stage)
    assert (observed.cluster, observed.run) == (None, None)
    assert not stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))
    assert save(stage, STATUS)
    assert see(stage).status == STATUS


# --- runs --------------------------------------------------------------------------------------


def test_start_twice(stage: RestoreStage) -> None:
    """A repeated start finds the run, also after a crash of the manager; the cluster sees it, too."""
    stage.do(stage.runtime.start(stage.uid, START))
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.begun() == 1
    stage.again()
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.begun() == 1
    run = own_run(stage)
    assert (run.name, run.state, run.ours, run.result) == (RUN, RunState.UNFINISHED, True, None)
    assert cluster(stage).restore_runs == (run,)
    assert cluster(stage).runs == (), "it is no backup"


def test_ends_well(stage: RestoreStage) -> None:
    """A run that ended has its executor's own result, and is not started again."""
    begin(stage)
    stage.end(well=True)
    run = own_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert run.result.succeeded
    assert (run.result.key, run.result.size, run.result.safety_key) == (KEY, 5, SAFETY)
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.begun() == 1
    stage.again()
    assert own_run(stage) == run


def test_ends_without_a_word(stage: RestoreStage) -> None:
    """Of a run that began and said nothing at its end, what the server took is not known: exit code 9."""
    begin(stage)
    stage.end(well=False)
    run = own_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert not run.result.succeeded
    assert run.result.exit_code == 9


def test_is_removed(stage: RestoreStage) -> None:
    """A run that somebody removed is not observed any more."""
    stage.do(stage.runtime.start(stage.uid, START))
    stage.remove_run()
    assert see(stage).run is None
    assert cluster(stage).restore_runs == ()


def test_forget(stage: RestoreStage) -> None:
    """A run that is forgotten is not observed any more, and its name is used up; twice is no error."""
    begin(stage)
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=RUN)))
    assert own_run(stage).state is RunState.UNFINISHED, "not while it is under way"
    stage.end(well=True)
    for _ in range(2):
        stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=RUN)))
        observed = see(stage)
        assert (observed.run, observed.namesake) == (None, None)
        assert cluster(stage).restore_runs == ()
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.begun() == 1
    stage.again()
    assert see(stage).run is None
    assert cluster(stage).restore_runs == ()


def test_forget_what_never_was(stage: RestoreStage) -> None:
    """Forgetting or discarding a run that is not there is no error."""
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=RUN)))
    stage.do(stage.runtime.discard(stage.uid, DiscardRun(name=RUN)))
    assert see(stage).run is None


# --- a run that is held ------------------------------------------------------------------------


def test_a_run_is_held_until_it_is_released(stage: RestoreStage) -> None:
    """Only the one of that uid is, and once; it is told from another one that comes after it."""
    stage.do(stage.runtime.start(stage.uid, START))
    run = own_run(stage)
    assert (run.state, run.held, bool(run.uid)) == (RunState.UNFINISHED, True, True)
    assert cluster(stage).restore_runs == (run,)
    stage.do(stage.runtime.release(stage.uid, ReleaseRun(name=RUN, uid="another")))
    assert own_run(stage).held
    for _ in range(2):
        stage.do(stage.runtime.release(stage.uid, ReleaseRun(name=RUN, uid=run.uid)))
        assert own_run(stage) == replace(run, held=False)
        assert cluster(stage).restore_runs == (replace(run, held=False),)
    stage.again()
    assert own_run(stage) == replace(run, held=False)
    stage.remove_run()
    stage.do(stage.runtime.release(stage.uid, ReleaseRun(name=RUN, uid=run.uid)))
    stage.do(stage.runtime.start(stage.uid, START))
    assert own_run(stage).uid != run.uid
    stage.do(stage.runtime.release(stage.uid, ReleaseRun(name=RUN, uid=run.uid)))
    assert own_run(stage).held


def until_gone(stage: RestoreStage, remove: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Whatever changes the run meanwhile keeps it, and it is seen anew."""
    for _ in range(20):
        stage.do(remove())
        if cluster(stage).restore_runs == ():
            return
    raise AssertionError("it is there still")


def test_a_held_run_is_removed(stage: RestoreStage) -> None:
    """By its own document, by a new one of its name, and by its cluster; one that was released by none."""
    for _ in range(2):
        stage.do(stage.runtime.start(stage.uid, START))
        until_gone(stage, lambda: stage.runtime.discard(stage.uid, DiscardRun(name=RUN)))
    stage.do(stage.runtime.start(stage.uid, START))
    until_gone(stage, lambda: stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
    stage.do(stage.runtime.start(stage.uid, START))
    stage.remove_document(stage.uid)
    uid = stage.ask()
    namesake = see(stage, uid).namesake
    assert namesake is not None
    assert (namesake.held, namesake.ours) == (True, True)
    until_gone(stage, lambda: stage.runtime.discard(uid, DiscardRun(name=RUN)))
    assert see(stage, uid).namesake is None
    begin(stage, uid)
    stage.do(stage.runtime.discard(uid, DiscardRun(name=RUN)))
    stage.do(stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
    run = see(stage, uid).run
    assert run is not None
    assert not run.held


# --- a document that goes, and comes again -----------------------------------------------------


def test_the_run_outlives_its_document(stage: RestoreStage) -> None:
    """It belongs to the cluster, which sees it go on and end, and forgets it."""
    begin(stage)
    stage.remove_document(stage.uid)
    observed = cluster(stage)
    assert observed.restores == ()
    assert [(run.name, run.state) for run in observed.restore_runs] == [(RUN, RunState.UNFINISHED)]
    stage.do(stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
    assert len(cluster(stage).restore_runs) == 1, "not while it is under way"
    stage.again()
    stage.end(well=True)
    (run,) = cluster(stage).restore_runs
    assert run.result is not None
    assert run.result.safety_key == SAFETY
    for _ in range(2):
        stage.do(stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
        assert cluster(stage).restore_runs == ()


@pytest.mark.parametrize("forgotten", [False, True])
def test_the_same_name_again(stage: RestoreStage, *, forgotten: bool) -> None:
    """An earlier document's run is not the new one's; once it ended it makes room for it."""
    begin(stage)
    stage.remove_document(stage.uid)
    uid = stage.ask()
    assert uid != stage.uid
    observed = see(stage, uid)
    assert observed.run is None
    assert observed.namesake is not None
    assert (observed.namesake.name, observed.namesake.state) == (RUN, RunState.UNFINISHED)
    for action in (DiscardRun(name=RUN), DiscardRun(name="restore-other")):
        stage.do(stage.runtime.discard(uid, action))
    stage.do(stage.runtime.start(uid, START))
    assert stage.begun() == 1
    assert see(stage, uid).run is None

    stage.end(well=True)
    if forgotten:
        stage.do(stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
    stage.again()
    observed = see(stage, uid)
    assert (observed.run, observed.namesake and observed.namesake.state) == (None, RunState.FINISHED)
    for _ in range(2):
        stage.do(stage.runtime.discard(uid, DiscardRun(name=RUN)))
        assert see(stage, uid).namesake is None
    begin(stage, uid)
    assert stage.begun() == 2
    for _ in range(2):
        stage.do(stage.runtime.discard(uid, DiscardRun(name=RUN)))
        run = see(stage, uid).run
        assert run is not None, "a restore's own run is not discarded"
        assert run.state is RunState.UNFINISHED
    stage.end(well=True)
    stage.do(stage.runtime.discard(uid, DiscardRun(name=RUN)))
    run = see(stage, uid).run
    assert run is not None
    assert run.state is RunState.FINISHED


# --- events ------------------------------------------------------------------------------------


def test_emit(stage: RestoreStage) -> None:
    """People are told, at the restore."""
    first = Emit(reason="RestoreStarted", message="restore-back")
    second = Emit(reason="RestoreFailed", message="it is over", warning=True)
    for event in (first, second):
        stage.do(stage.runtime.emit(stage.uid, event))
    assert stage.told(stage.uid) == [first, second]
