"""`backup`: one run, against a server in this process and a folder."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, both

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks
from bao_backup.core.errors import InternalError
from bao_backup.core.naming import parse_key
from bao_backup.core.result import decode_result
from bao_backup.core.settings import RunSettings
from bao_backup.entry.executor import run_backup
from bao_backup.entry.progress import LogReporter


def test_a_good_run(command: Command, world: World, server: DevelopmentServer) -> None:
    """The key, the size and the digest on standard output; what it does on standard error."""
    answer = command("backup")
    assert answer.code == 0
    key, what = answer.out.splitlines()
    assert parse_key(key, "default/prod") is not None
    assert "sha256" in what
    assert world.files() == both(key)
    assert f"the leader is {server.address}" in answer.err


@pytest.fixture
def state(world: World) -> Path:
    """The folder of a manager that knows the cluster."""
    folder = world.folder / "manager"
    folder.mkdir()
    with closing(Database(folder / DATABASE)) as database:
        Clusters(database).put_document("default/prod", "default", "prod", json.dumps(world.document()))
    return folder


@pytest.mark.usefixtures("server")
def test_while_somebody_restores_no_backup_begins(
    command: Command, world: World, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be one of half a restore; found by name, in the folder that is named or the usual one."""
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    overwritten = Overwritten("default", "prod", (), by_name=True)
    with RestoreLocks(state, overwritten).hold(datetime.now(UTC)):
        for more in ([], ["--state", str(state)]):
            answer = command("backup", *more)
            assert answer.code == 1
            assert f"the process {os.getpid()} restores into it" in answer.complaint
        assert world.files() == set()
        assert command("backup", "--state", str(world.folder)).code == 0, "another manager's"
    assert command("backup", "--state", str(state)).code == 0


@pytest.mark.usefixtures("server")
def test_a_memory_that_cannot_be_read_hinders_no_backup(
    command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the folder was named: the usual one may be nothing to this person."""
    (state / DATABASE).write_bytes(b"no database" * 100)
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    answer = command("backup")
    assert answer.code == 0
    assert "warning: whether somebody restores into it was not seen" in answer.err
    assert command("backup", "--state", str(state)).code == 1


@pytest.mark.usefixtures("server")
def test_quiet_says_nothing_while_it_works(command: Command) -> None:
    """Only the answer."""
    answer = command("backup", "--quiet")
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.usefixtures("server")
def test_its_result_as_json_and_in_a_file(command: Command, tmp_path: Path) -> None:
    """Both are the same; a run by hand is Manual."""
    answer = command("backup", "--output", "json", "--result", "result.json")
    assert answer.code == 0
    assert (answer.json["outcome"], answer.json["trigger"]) == ("Succeeded", "Manual")
    assert json.loads((tmp_path / "result.json").read_bytes()) == answer.json


@pytest.mark.usefixtures("server")
def test_retention_is_applied_at_its_end(command: Command, world: World) -> None:
    """The older ones go, and it says so."""
    world.configure(world.document(retention={"maxCount": 2}))
    for day in range(3):
        world.add(day)
    answer = command("backup")
    assert answer.code == 0
    assert "retention: 2 kept, 2 dropped" in answer.err
    assert len(world.files()) == 4


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_failed_run(command: Command, world: World, server: DevelopmentServer, output: str) -> None:
    """One line on standard error and its exit code; with JSON its result on standard output."""
    world.set_token("s.wrong")
    answer = command("backup", "--output", output, "--result", "result.json")
    assert answer.code == 4
    assert answer.complaint.startswith(f"bao-backup: SnapshotDenied: read the snapshot of {server.address}")
    assert "s.wrong" not in answer.err + answer.out
    assert json.loads((world.folder / "result.json").read_bytes())["exitCode"] == 4
    if output == "json":
        assert (answer.json["outcome"], answer.json["reason"]) == ("Failed", "SnapshotDenied")
    else:
        assert answer.out == ""
    assert world.files() == set()


def test_a_wrong_configuration_has_a_result_too(command: Command, world: World) -> None:
    """A manager that waits for it learns why."""
    world.config.write_text("kind: [")
    answer = command("backup", "--output", "json", "--result", "result.json")
    assert answer.code == 1
    assert answer.json["reason"] == "InvalidConfiguration"
    assert json.loads((world.folder / "result.json").read_bytes()) == answer.json


def test_a_missing_token_is_a_failed_login(command: Command, world: World, server: DevelopmentServer) -> None:
    """The file that should have it is named."""
    token = world.folder / "secrets" / "token" / "token"
    token.unlink()
    answer = command("backup")
    assert answer.code == 2
    assert f"read the token from {token}: no such file or directory; put it there" in answer.complaint
    assert server.cluster.active is not None  # it was not the server's fault


def test_no_folder_for_the_result(command: Command, world: World, server: DevelopmentServer) -> None:
    """Nothing is begun whose result nobody would see."""
    answer = command("backup", "--result", "nowhere/result.json")
    assert (answer.code, answer.out) == (1, "")
    assert "write the result nowhere/result.json: there is no such folder" in answer.complaint
    assert world.files() == set()
    assert server.address not in answer.err


@pytest.mark.usefixtures("server")
def test_a_result_that_cannot_be_written(command: Command, world: World) -> None:
    """It is told as a failure, together with how the run ended: the backup stays."""
    answer = command("backup", "--result", "/dev/full")
    assert answer.code == 8
    assert "write the result /dev/full: no space left on device" in answer.complaint
    assert "the run itself ended with BackupSucceeded" in answer.complaint
    assert len(world.files()) == 2


def test_an_unforeseen_failure_is_a_result_too(tmp_path: Path) -> None:
    """Whatever happens, the manager gets a result; a text that nobody knows is in none of it."""

    def load() -> RunSettings:
        raise LookupError("hvs.SECRET")

    file = tmp_path / "result.json"
    ended = run_backup(load, environment={}, result_file=file, reporter=LogReporter(quiet=True))
    assert isinstance(ended.error, InternalError)
    assert (ended.result.exit_code, ended.result.reason) == (8, "InternalError")
    assert "SECRET" not in file.read_text()
    assert decode_result(file.read_bytes()) == ended.result
