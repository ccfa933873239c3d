"""A run from its settings to its result: there always is one, it is whole, and it says what happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.entry.runs import SECRET, SETTINGS, Run
from tests.entry.signalling import SignallingClock
from tests.flows.site import EARLIER, KEY, SLOT

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao
from bao_backup.adapters.memory_store import Fault, FaultyStore
from bao_backup.core.errors import ConfigurationError, InternalError, LoginError
from bao_backup.core.model import Outcome, Stored, Trigger, VerifyLevel
from bao_backup.core.naming import parse_key
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.settings import RunSettings
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageDeniedError, StorageFullError, StorageUnavailableError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that would go well."""
    return Run(tmp_path)


def test_a_success_is_written_and_answered(run: Run) -> None:
    """The same in both places, and true."""
    ended = run.end()
    assert (ended.error, ended.result) == (None, run.written)
    result = ended.result
    assert (result.outcome, result.exit_code, result.key) == (Outcome.SUCCEEDED, 0, KEY)
    assert (result.size, result.slot, result.trigger) == (len(run.site.body(KEY)), SLOT, Trigger.MANUAL)
    assert (result.tries, result.raft_index, result.server_version) == (1, 2, "2.4.4")
    assert (result.verification, result.retention, result.warnings) == (VerifyLevel.HEAD, None, ())
    assert result.started <= result.finished


def test_a_failure_is_written_and_answered(run: Run) -> None:
    """With reason, exit code, key, slot and tries; and the error itself for who prints it."""
    run.bao = MemoryBao(
        run.site.cluster, [BaoFault(method="login", error=LoginError("log in to bao", "403"))]
    )
    ended = run.end()
    assert ended.result == run.written
    assert isinstance(ended.error, LoginError)
    result = ended.result
    assert (result.outcome, result.exit_code, result.reason) == (Outcome.FAILED, 2, "LoginFailed")
    assert (result.key, result.slot, result.trigger, result.tries) == (KEY, SLOT, Trigger.MANUAL, 1)
    assert (result.size, result.sha256) == (0, "")
    assert result.message.startswith("log in to bao: 403; ")


def test_a_configuration_that_cannot_be_read_has_a_result(run: Run) -> None:
    """Nothing was started; the manager still is told why."""

    def load() -> RunSettings:
        raise ConfigurationError("read the environment", "BACKUP_BUCKET is not set")

    ended = run.end(load)
    assert (run.written.exit_code, run.written.reason) == (1, "InvalidConfiguration")
    assert "BACKUP_BUCKET is not set" in run.written.message
    assert isinstance(ended.error, ConfigurationError)


class PanicException(BaseException):
    """What a library written in Rust dies with: no Exception."""


@pytest.mark.parametrize("defect", [ValueError(SECRET), RuntimeError(SECRET), PanicException(SECRET)])
@pytest.mark.parametrize("where", ["load", "list", "put"])
def test_a_defect_has_a_result_that_tells_no_secret(run: Run, defect: BaseException, where: str) -> None:
    """Its type is told and nothing of its text, which nobody knows; the upload is aborted."""

    def load() -> RunSettings:
        if where == "load":
            raise defect
        return run.settings

    run.store = FaultyStore(
        run.site.store, [Fault("put", defect)] if where == "put" else [Fault("sweep", defect)]
    )
    ended = run.end(load)
    assert (run.written.exit_code, run.written.reason) == (8, "InternalError")
    assert type(defect).__name__ in run.written.message
    body = run.file.read_text()
    assert SECRET not in body
    assert "Traceback" not in body
    assert isinstance(ended.error, InternalError)
    assert SECRET not in ended.error.message
    assert KEY not in run.site.visible()


def test_a_signal_while_the_settings_are_read_has_a_result(run: Run) -> None:
    """Not the sudden death that a signal is by default."""

    def load() -> RunSettings:
        os.kill(os.getpid(), signal.SIGTERM)
        return run.settings

    run.end(load)
    assert (run.written.exit_code, run.written.reason) == (7, "Interrupted")
    assert "SIGTERM" in run.written.message
    assert KEY not in run.site.visible()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_settings_and_the_run_is_not_lost(run: Run, number: signal.Signals) -> None:
    """It comes when the clock is asked for the second time: the settings are read, nothing has begun."""
    run.clock = SignallingClock(number)
    run.end()
    assert (run.written.exit_code, run.written.reason) == (7, "Interrupted")
    assert number.name in run.written.message
    assert KEY not in run.site.visible()


def test_a_signal_in_mid_stream_has_a_result(run: Run) -> None:
    """And nothing is visible."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)  # this is the upload's thread: the main one is to hear the signal meanwhile

    run.site.reporter.at_bytes = (2000, end)
    run.end()
    assert (run.written.exit_code, run.written.reason, run.written.tries) == (7, "Interrupted", 1)
    assert KEY not in run.site.visible()


def test_the_deadline_is_that_of_the_settings(run: Run) -> None:
    """A run that may take no time at all says so."""
    run.settings = replace(SETTINGS, deadline_seconds=1e-9)
    run.end()
    assert (run.written.exit_code, run.written.reason) == (7, "DeadlineExceeded")


def test_handlers_of_signals_are_given_back(run: Run) -> None:
    """A program that runs a backup in between is as it was."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    run.end()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


# --- retention ---------------------------------------------------------------------------------


def test_retention_follows_the_backup(run: Run) -> None:
    """What it did is in the result."""
    run.settings = replace(SETTINGS, retention=RetentionPolicy(max_count=1))
    run.end()
    retention = run.written.retention
    assert retention is not None
    assert (retention.kept, retention.dropped, retention.failed) == (1, (EARLIER,), ())
    assert run.site.proven() == {KEY}


def test_no_retention_follows_a_failure(run: Run) -> None:
    """A run that made no backup drops none."""
    run.settings = replace(SETTINGS, retention=RetentionPolicy(max_count=1))
    run.store = FaultyStore(run.site.store, [Fault("put", StorageUnavailableError("upload", "503"))])
    run.end()
    assert run.written.retention is None
    assert run.site.proven() == {EARLIER}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("delete", StorageDeniedError("delete", "403")), f"not dropped: {EARLIER}: 403"),
        (Fault("list", StorageUnavailableError("list", "503")), "not dropped: 503"),
        (Fault("list", ConfigurationError("list", "no such thing")), "not dropped: no such thing"),
        (Fault("list", ValueError(SECRET)), "not dropped: ValueError"),
    ],
)
def test_retention_that_fails_leaves_a_success_with_a_warning(run: Run, fault: Fault, words: str) -> None:
    """The backup is there, whatever comes after it."""
    run.settings = replace(SETTINGS, retention=RetentionPolicy(max_count=1))
    run.store = FaultyStore(run.site.store, [fault])
    ended = run.end()
    assert (ended.error, run.written.outcome, run.written.exit_code) == (None, Outcome.SUCCEEDED, 0)
    assert run.written.warnings == (words,)
    assert run.written.retention is not None
    assert run.written.retention.failed
    assert run.site.proven() == {EARLIER, KEY}


def test_a_signal_during_retention_leaves_a_success(run: Run) -> None:
    """What is not dropped yet is left for the next run."""

    class Signalled(FaultyStore):
        def list(self, prefix: str) -> Iterator[Stored]:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().list(prefix)

    run.site.run(key=EARLIER.replace("01-00", "01-30"))
    run.settings = replace(SETTINGS, retention=RetentionPolicy(max_count=1))
    run.store = Signalled(run.site.store)
    run.end()
    retention = run.written.retention
    assert run.written.succeeded
    assert retention is not None
    assert (retention.dropped_count, retention.failed_count) == (0, 2)


# --- keys --------------------------------------------------------------------------------------


def test_a_key_that_nobody_chose_is_made_from_the_time(run: Run) -> None:
    """Of the slot where there is one; the class stands before it; two runs have two keys."""
    run.settings = replace(SETTINGS, key="", kind="pre-upgrade")
    run.end()
    name = parse_key(run.written.key, "default/prod")
    assert name is not None
    assert (name.taken, name.kind) == (SLOT, "pre-upgrade")
    assert run.written.key in run.site.proven()


@pytest.mark.parametrize("fails", [False, True])
def test_a_store_that_is_not_verified_is_a_warning(run: Run, fails: bool) -> None:
    """Of each run, however it ends."""
    store = StoreSettings(provider="memory", insecure_skip_verify=True)
    run.settings = replace(SETTINGS, store=store)
    if fails:
        run.store = FaultyStore(run.site.store, [Fault("put", StorageFullError("put", "it is full"))])
    run.end()
    assert run.written.succeeded is not fails
    (warning,) = run.written.warnings
    assert "insecureSkipVerify" in warning
