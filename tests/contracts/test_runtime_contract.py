"""What every runtime promises: the port `Runtime`, held against each of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.contracts.kubernetes_runtime import node_of_runs
from tests.contracts.runtimes import Stage, a_run, stage

from bao_backup.core.errors import InternalError
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Observed, Run, RunState, StartCheck
from bao_backup.core.status import BackupStatus, OperationLock

__all__ = ["node_of_runs", "stage"]
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
STATUS = BackupStatus(last_attempt_time=NOW, consecutive_failures=3)
LOCK = OperationLock(operation="Backup", holder="openbaocluster/backup", message="a-run", acquired_at=NOW)


def see(stage: Stage) -> Observed:
    """What is observed now."""
    return stage.do(stage.runtime.observe(stage.uid))[0]


def the_run(stage: Stage) -> Run:
    """The only run that is observed."""
    (run,) = see(stage).runs
    return run


# --- observe and save --------------------------------------------------------------------------


def test_fresh(stage: Stage) -> None:
    """A cluster that was just configured has its document, and nothing else."""
    observed = see(stage)
    assert (observed.namespace, observed.name, observed.uid) == (stage.namespace, "bao", stage.uid)
    assert observed.document is not None
    assert (observed.problems, observed.runs, observed.trigger) == ((), (), "")
    assert (observed.status, observed.lock) == (BackupStatus(), None)
    assert observed.room


def test_save(stage: Stage) -> None:
    """What is saved is observed, status and lock together."""
    _, version = stage.do(stage.runtime.observe(stage.uid))
    assert stage.do(stage.runtime.save(stage.uid, version, STATUS, LOCK))
    observed, newer = stage.do(stage.runtime.observe(stage.uid))
    assert (observed.status, observed.lock) == (STATUS, LOCK)
    assert stage.do(stage.runtime.save(stage.uid, newer, STATUS, None))
    assert see(stage).lock is None


def test_save_over_an_older_version(stage: Stage) -> None:
    """A status that was made from an older one is refused, and changes nothing."""
    _, version = stage.do(stage.runtime.observe(stage.uid))
    assert stage.do(stage.runtime.save(stage.uid, version, STATUS, LOCK))
    assert not stage.do(stage.runtime.save(stage.uid, version, BackupStatus(), None))
    observed = see(stage)
    assert (observed.status, observed.lock) == (STATUS, LOCK)


def test_generation(stage: Stage) -> None:
    """A changed document has a higher generation, and leaves the status as it is."""
    before, version = stage.do(stage.runtime.observe(stage.uid))
    assert stage.do(stage.runtime.save(stage.uid, version, STATUS, None))
    stage.change_document()
    after = see(stage)
    assert after.generation > before.generation
    assert after.document != before.document
    assert after.status == STATUS


def test_unknown(stage: Stage) -> None:
    """A cluster that was never there is a defect of whoever asks."""
    with pytest.raises(InternalError):
        stage.do(stage.runtime.observe("default/other"))


def test_health(stage: Stage) -> None:
    """Where the manager can ask the server, it gets the answer; elsewhere asking is a defect."""
    assert see(stage).health is None
    assert see(stage).can_ask_health is stage.asks_health
    if stage.asks_health:
        assert stage.do(stage.runtime.ask_health(stage.uid)).ready
    else:
        with pytest.raises(InternalError):
            stage.do(stage.runtime.ask_health(stage.uid))


# --- runs --------------------------------------------------------------------------------------


def test_start_twice(stage: Stage) -> None:
    """A repeated start finds the run, also after a crash of the manager."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.do(stage.runtime.start(stage.uid, a_run()))
    assert stage.begun() == 1
    stage.again()
    stage.do(stage.runtime.start(stage.uid, a_run()))
    assert stage.begun() == 1
    run = the_run(stage)
    assert (run.name, run.state, run.ours) == (a_run().name, RunState.UNFINISHED, True)


def test_ends_well(stage: Stage) -> None:
    """A run that ended has its executor's own result, and is not started again."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.end(a_run(), well=True)
    run = the_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert run.result.succeeded
    assert run.result.key == a_run().key
    stage.do(stage.runtime.start(stage.uid, a_run()))
    assert stage.begun() == 1
    stage.again()
    assert the_run(stage) == run


def test_ends_without_a_word(stage: Stage) -> None:
    """A run that ended without a result is a failure of that name, not a success, and not lost."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.end(a_run(), well=False)
    run = the_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert not run.result.succeeded
    assert run.result.reason == "NoResult"
    assert run.result.exit_code == 8


def test_forget(stage: Stage) -> None:
    """A run that is forgotten is not observed any more, and its name is used up; twice is no error."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.end(a_run(), well=True)
    for _ in range(2):
        stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=a_run().name)))
        assert see(stage).runs == ()
    stage.do(stage.runtime.start(stage.uid, a_run()))
    assert see(stage).runs == ()
    assert stage.begun() == 1
    stage.again()
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=a_run().name)))
    assert see(stage).runs == ()


def test_forget_what_is_under_way(stage: Stage) -> None:
    """A run that has not ended is not forgotten, and its end is observed."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=a_run().name)))
    assert the_run(stage).state is RunState.UNFINISHED
    stage.end(a_run(), well=True)
    result = the_run(stage).result
    assert result is not None
    assert result.succeeded


def test_forget_what_never_was(stage: Stage) -> None:
    """Forgetting an unknown run is no error."""
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name="backup-bao-20000101-000000")))
    assert see(stage).runs == ()


# --- checks ------------------------------------------------------------------------------------

CHECK = StartCheck(name="check-bao-0123abcd")


def test_a_check(stage: Stage) -> None:
    """It is no backup: seen apart, begun once, ended by its own word, and forgotten like a run."""
    stage.do(stage.runtime.start_check(stage.uid, CHECK))
    stage.do(stage.runtime.start_check(stage.uid, CHECK))
    observed = see(stage)
    assert observed.runs == ()
    assert [(run.name, run.ours) for run in observed.check_runs] == [(CHECK.name, True)]
    stage.end_check(CHECK.name)
    stage.again()
    (run,) = see(stage).check_runs
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert (run.result.succeeded, run.result.reason) == (True, "ConfigurationProven"), run.result.message
    for _ in range(2):
        stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=CHECK.name)))
        assert see(stage).check_runs == ()
    stage.do(stage.runtime.start_check(stage.uid, CHECK))
    assert see(stage).check_runs == ()


def test_a_check_beside_a_backup(stage: Stage) -> None:
    """Both are under way at once, and neither is taken for the other."""
    stage.do(stage.runtime.start(stage.uid, a_run()))
    stage.do(stage.runtime.start_check(stage.uid, CHECK))
    observed = see(stage)
    assert [run.name for run in observed.runs] == [a_run().name]
    assert [run.name for run in observed.check_runs] == [CHECK.name]


# --- requests and events -----------------------------------------------------------------------


def test_clear(stage: Stage) -> None:
    """A request is observed until it is cleared; twice is no error, and another value clears nothing."""
    value = stage.ask()
    assert see(stage).trigger == value
    stage.do(stage.runtime.clear_trigger(stage.uid, ClearTrigger(value="another")))
    assert see(stage).trigger == value
    for _ in range(2):
        stage.do(stage.runtime.clear_trigger(stage.uid, ClearTrigger(value=value)))
        assert see(stage).trigger == ""
    stage.again()
    assert see(stage).trigger == ""


def test_emit(stage: Stage) -> None:
    """People are told."""
    event = Emit(reason="BackupStarted", message="it began")
    stage.do(stage.runtime.emit(stage.uid, event))
    assert stage.told() == [event]
