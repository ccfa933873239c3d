"""What every runtime promises: the port `Runtime`, held against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from tests.contracts.runtimes import Stage, a_run, stage
from tests.manager.site import UID

from bao_backup.core.errors import InternalError
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Observed, Run, RunState
from bao_backup.core.status import BackupStatus, OperationLock

__all__ = ["stage"]
T = TypeVar("T")
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
STATUS = BackupStatus(last_attempt_time=NOW, consecutive_failures=3)
LOCK = OperationLock(operation="Backup", holder="openbaocluster/backup", message="a-run", acquired_at=NOW)


def do(call: Coroutine[Any, Any, T]) -> T:
    """Call a method of the port."""
    return asyncio.run(call)


def see(stage: Stage) -> Observed:
    """What is observed now."""
    return do(stage.runtime.observe(UID))[0]


def the_run(stage: Stage) -> Run:
    """The only run that is observed."""
    (run,) = see(stage).runs
    return run


# --- observe and save --------------------------------------------------------------------------


def test_fresh(stage: Stage) -> None:
    """A cluster that was just configured has its document, and nothing else."""
    observed = see(stage)
    assert (observed.namespace, observed.name, observed.uid) == ("default", "bao", UID)
    assert observed.document is not None
    assert (observed.problems, observed.runs, observed.trigger) == ((), (), "")
    assert (observed.status, observed.lock) == (BackupStatus(), None)
    assert observed.room


def test_save(stage: Stage) -> None:
    """What is saved is observed, status and lock together."""
    _, version = do(stage.runtime.observe(UID))
    assert do(stage.runtime.save(UID, version, STATUS, LOCK))
    observed, newer = do(stage.runtime.observe(UID))
    assert (observed.status, observed.lock) == (STATUS, LOCK)
    assert do(stage.runtime.save(UID, newer, STATUS, None))
    assert see(stage).lock is None


def test_save_over_an_older_version(stage: Stage) -> None:
    """A status that was made from an older one is refused, and changes nothing."""
    _, version = do(stage.runtime.observe(UID))
    assert do(stage.runtime.save(UID, version, STATUS, LOCK))
    assert not do(stage.runtime.save(UID, version, BackupStatus(), None))
    observed = see(stage)
    assert (observed.status, observed.lock) == (STATUS, LOCK)


def test_generation(stage: Stage) -> None:
    """A changed document has a higher generation, and leaves the status as it is."""
    before, version = do(stage.runtime.observe(UID))
    assert do(stage.runtime.save(UID, version, STATUS, None))
    stage.change_document()
    after = see(stage)
    assert after.generation > before.generation
    assert after.document != before.document
    assert after.status == STATUS


def test_unknown(stage: Stage) -> None:
    """A cluster that was never there is a defect of whoever asks."""
    with pytest.raises(InternalError):
        do(stage.runtime.observe("default/other"))


def test_health(stage: Stage) -> None:
    """Where the manager can ask the server, it gets the answer."""
    assert see(stage).can_ask_health
    assert see(stage).health is None
    assert do(stage.runtime.ask_health(UID)).ready


# --- runs --------------------------------------------------------------------------------------


def test_start_twice(stage: Stage) -> None:
    """A repeated start finds the run, also after a crash of the manager."""
    do(stage.runtime.start(UID, a_run()))
    do(stage.runtime.start(UID, a_run()))
    assert stage.begun() == 1
    stage.again()
    do(stage.runtime.start(UID, a_run()))
    assert stage.begun() == 1
    run = the_run(stage)
    assert (run.name, run.state, run.ours) == (a_run().name, RunState.UNFINISHED, True)


def test_ends_well(stage: Stage) -> None:
    """A run that ended has its executor's own result, and is not started again."""
    do(stage.runtime.start(UID, a_run()))
    stage.end(a_run(), well=True)
    run = the_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert run.result.succeeded
    assert run.result.key == a_run().key
    do(stage.runtime.start(UID, a_run()))
    assert stage.begun() == 1
    stage.again()
    assert the_run(stage) == run


def test_ends_without_a_word(stage: Stage) -> None:
    """A run that ended without a result is a failure of that name, not a success, and not lost."""
    do(stage.runtime.start(UID, a_run()))
    stage.end(a_run(), well=False)
    run = the_run(stage)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    assert not run.result.succeeded
    assert run.result.reason == "NoResult"
    assert run.result.exit_code == 8


def test_forget(stage: Stage) -> None:
    """A run that is forgotten is not observed any more, and its name is used up; twice is no error."""
    do(stage.runtime.start(UID, a_run()))
    stage.end(a_run(), well=True)
    for _ in range(2):
        do(stage.runtime.forget(UID, ForgetRun(name=a_run().name)))
        assert see(stage).runs == ()
    do(stage.runtime.start(UID, a_run()))
    assert see(stage).runs == ()
    assert stage.begun() == 1
    stage.again()
    do(stage.runtime.forget(UID, ForgetRun(name=a_run().name)))
    assert see(stage).runs == ()


def test_forget_what_is_under_way(stage: Stage) -> None:
    """A run that has not ended is not forgotten."""
    do(stage.runtime.start(UID, a_run()))
    do(stage.runtime.forget(UID, ForgetRun(name=a_run().name)))
    assert the_run(stage).state is RunState.UNFINISHED


def test_forget_what_never_was(stage: Stage) -> None:
    """Forgetting an unknown run is no error."""
    do(stage.runtime.forget(UID, ForgetRun(name="backup-bao-20000101-000000")))
    assert see(stage).runs == ()


# --- requests and events -----------------------------------------------------------------------


def test_clear(stage: Stage) -> None:
    """A request is observed until it is cleared; twice is no error, and another value clears nothing."""
    value = stage.ask()
    assert see(stage).trigger == value
    do(stage.runtime.clear_trigger(UID, ClearTrigger(value="another")))
    assert see(stage).trigger == value
    for _ in range(2):
        do(stage.runtime.clear_trigger(UID, ClearTrigger(value=value)))
        assert see(stage).trigger == ""
    stage.again()
    assert see(stage).trigger == ""


def test_emit(stage: Stage) -> None:
    """People are told."""
    event = Emit(reason="BackupStarted", message="it began")
    do(stage.runtime.emit(UID, event))
    assert stage.told() == [event]
