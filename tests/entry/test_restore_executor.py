"""A restore from its settings to its result: there always is one, and it tells the way back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.entry.restores import SECRET, RestoreRun
from tests.entry.signalling import SignallingClock
from tests.flows.restore_site import FOREIGN, PLACE, sha256
from tests.flows.site import EARLIER

from bao_backup.adapters.memory_bao import BaoFault
from bao_backup.adapters.memory_store import Fault, FaultyStore
from bao_backup.core.errors import (
    ConfigurationError,
    InternalError,
    LeaderError,
    LoginError,
    RestoreUnknownError,
)
from bao_backup.core.model import Outcome, Trigger
from bao_backup.core.restore_settings import RestoreSettings, Wanted
from bao_backup.core.storage_errors import StorageUnavailableError


@pytest.fixture
def run(tmp_path: Path) -> RestoreRun:
    """A restore that would go well."""
    return RestoreRun(tmp_path)


def test_a_success_is_written_and_answered(run: RestoreRun) -> None:
    """The same in both places, with the way back; the lock is held around it alone."""
    ended = run.end()
    assert (ended.error, ended.result) == (None, run.written)
    result = ended.result
    assert (result.outcome, result.reason, result.exit_code) == (Outcome.SUCCEEDED, "RestoreSucceeded", 0)
    assert (result.key, result.size, result.sha256) == (EARLIER, len(run.site.old), sha256(run.site.old))
    assert (result.trigger, result.tries, result.raft_index) == (Trigger.MANUAL, 1, 1)
    assert [result.safety_key] == run.site.way_back()
    assert run.site.data() == "old"
    assert ended.may_be_new
    assert run.held == ["taken", "given back"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_settings_and_the_run_is_not_lost(
    run: RestoreRun, number: signal.Signals
) -> None:
    """It comes when the clock is asked for the second time: the settings are read, nothing has begun."""
    run.clock = SignallingClock(number)
    run.end()
    assert (run.written.exit_code, run.written.reason) == (7, "Interrupted")
    assert number.name in run.written.message
    assert (run.site.data(), run.site.cluster.submissions, run.site.way_back()) == ("new", 0, [])


def test_a_store_that_is_both_places_is_opened_once(run: RestoreRun) -> None:
    """Two are two."""
    run.end()
    assert run.opened == [PLACE]


def test_a_file_is_restored(run: RestoreRun, tmp_path: Path) -> None:
    """Its safety backup goes to the place that is named."""
    file = tmp_path / "vault.snap"
    file.write_bytes(run.site.old)
    ended = run.end(wanted=Wanted(file=str(file)), source=None)
    assert ended.error is None
    assert (ended.result.key, run.site.data()) == (str(file), "old")
    assert [ended.result.safety_key] == run.site.way_back()


@pytest.mark.parametrize(
    ("fault", "code", "reason", "submitted"),
    [
        (BaoFault(method="login", error=LoginError("log in", "403")), 2, "LoginFailed", 0),
        (BaoFault(method="find_leader", times=999, error=LeaderError("find", "sealed")), 3, "NoLeader", 0),
        (BaoFault(method="restore", after=700), 4, "RestoreCutOff", 1),
        (BaoFault(method="restore", after=100_000), 9, "RestoreUnknown", 1),
    ],
)
def test_a_failure_is_written_and_answered(
    run: RestoreRun, fault: BaoFault, code: int, reason: str, submitted: int
) -> None:
    """With its exit code and reason; the server has what it had, and nothing is sent twice."""
    run.befall(fault)
    ended = run.end()
    assert ended.result == run.written
    assert (ended.result.exit_code, ended.result.reason) == (code, reason)
    assert (ended.result.trigger, ended.result.tries) == (Trigger.MANUAL, submitted)
    assert run.site.cluster.submissions == submitted
    assert run.site.data() == "new"
    assert [ended.result.safety_key] == (run.site.way_back() or [""])
    assert bool(ended.result.safety_key) == bool(submitted)
    assert ended.may_be_new == (code == 9)


def test_a_sealed_server_is_told_with_the_way_back(run: RestoreRun) -> None:
    """It was taken, with keys that the server does not have."""
    run.site.cluster.keys_differ = True
    ended = run.end(force=True)
    assert (ended.result.exit_code, ended.result.reason) == (4, "RestoreSealed")
    assert [ended.result.safety_key] == run.site.way_back()
    assert ended.may_be_new


def test_a_backup_that_is_not_whole_is_refused_before_the_server_hears_of_it(run: RestoreRun) -> None:
    """Exit 6; nobody is asked, and no lock is taken."""
    run.site.store.put(EARLIER, iter([run.site.old[:-20]]))
    asked: list[object] = []
    run.on_proposal = asked.append
    ended = run.end()
    assert ended.result.exit_code == 6
    assert (asked, run.held, run.site.cluster.submissions) == ([], [], 0)


def test_no_is_no(run: RestoreRun) -> None:
    """Who does not agree has changed nothing, not even by a safety backup."""

    def refuse(_proposal: object) -> None:
        raise ConfigurationError("restore default/prod", "nobody said yes")

    run.on_proposal = refuse
    ended = run.end()
    assert (ended.result.exit_code, ended.result.key, ended.result.safety_key) == (1, EARLIER, "")
    assert (run.site.cluster.submissions, run.site.way_back(), run.held) == (0, [], [])


def test_a_signal_while_a_person_thinks_ends_it(run: RestoreRun) -> None:
    """Exit 7."""
    run.on_proposal = lambda _proposal: os.kill(os.getpid(), signal.SIGTERM)
    ended = run.end()
    assert (ended.result.exit_code, ended.result.reason) == (7, "Interrupted")
    assert (run.site.cluster.submissions, run.held) == (0, [])


@pytest.mark.parametrize("words", ["backing up what is there", "sending"])
def test_a_signal_before_the_server_has_it_ends_it(run: RestoreRun, words: str) -> None:
    """Exit 7: the server has what it had, and the lock is given back."""
    run.site.reporter.at_words = (words, lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = run.end()
    assert (ended.result.exit_code, ended.result.reason) == (7, "Interrupted")
    assert (run.site.data(), run.site.cluster.applied) == ("new", [])
    assert run.held == ["taken", "given back"]


def test_a_signal_after_the_server_has_it_leaves_it_unknown(run: RestoreRun) -> None:
    """Exit 9, since nobody looks any longer."""
    run.site.cluster.looks_until_applied = 50
    run.site.reporter.at_words = ("waiting for the server", lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = run.end()
    assert (ended.result.exit_code, ended.result.reason) == (9, "RestoreUnknown")
    assert "ended by SIGTERM" in ended.result.message
    assert [ended.result.safety_key] == run.site.way_back()


class PanicException(BaseException):
    """What a library written in Rust dies with: no Exception."""


@pytest.mark.parametrize("defect", [ValueError(SECRET), PanicException(SECRET)])
@pytest.mark.parametrize("where", ["load", "head", "proposal"])
def test_a_defect_before_the_submission_tells_no_secret(
    run: RestoreRun, defect: BaseException, where: str
) -> None:
    """Exit 8; its type is told, and nothing of its text."""

    def fail(*_: object) -> RestoreSettings:
        raise defect

    if where == "head":
        run.store = FaultyStore(run.site.store, [Fault("head", defect)])
    if where == "proposal":
        run.on_proposal = fail
    ended = run.end(fail if where == "load" else None)
    assert isinstance(ended.error, InternalError)
    assert (run.written.exit_code, run.site.cluster.submissions) == (8, 0)
    assert type(defect).__name__ in run.written.message
    assert SECRET not in run.file.read_text()


@pytest.mark.parametrize("defect", [ValueError(SECRET), PanicException(SECRET)])
def test_a_defect_after_the_submission_is_an_unknown_end(run: RestoreRun, defect: BaseException) -> None:
    """Exit 9: the server may have taken it, whatever befell us."""

    def fail() -> None:
        raise defect

    run.site.reporter.at_words = ("the server takes it", fail)
    ended = run.end()
    assert isinstance(ended.error, RestoreUnknownError)
    assert (run.written.exit_code, run.written.reason) == (9, "RestoreUnknown")
    assert SECRET not in run.file.read_text()
    assert [run.written.safety_key] == run.site.way_back()


def test_a_store_that_does_not_answer(run: RestoreRun) -> None:
    """Exit 5."""
    run.store = FaultyStore(run.site.store, [Fault("head", StorageUnavailableError("head", "503"))])
    assert run.end().result.exit_code == 5


def test_a_backup_of_another_cluster_by_its_whole_key(run: RestoreRun) -> None:
    """It is restored, with a warning that it is another one's."""
    ended = run.end(wanted=Wanted(key=FOREIGN))
    assert ended.error is None
    assert any("another folder" in warning for warning in ended.result.warnings)


def test_no_folder_for_the_result_is_said_before_anything(run: RestoreRun, tmp_path: Path) -> None:
    """Nothing was opened."""
    run.file = tmp_path / "nowhere" / "result.json"
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        run.end()
    assert run.opened == []
