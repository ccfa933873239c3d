"""`bao-backup check`: lines for people and machines, exit codes, and what it works on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, plain_environment, start

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.core.check import probe_keys
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.result import decode_result
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import parse_cluster

#: What a folder does not tell of itself.
OF_BUCKETS = {"versioning", "lock", "lifecycle", "uploads", "encryption"}


def states(answer: Any) -> dict[str, str]:
    """Name and state of each line that is not about buckets alone."""
    return {line["name"]: line["state"] for line in answer["lines"] if line["name"] not in OF_BUCKETS}


def test_all_is_well(command: Command, world: World, server: DevelopmentServer) -> None:
    """Against the development server and a folder: exit code 0, each line passes, nothing is left."""
    assert server.address
    answer = command("check", "--output", "json")
    assert answer.code == answer.json["exitCode"] == 0
    assert set(states(answer.json).values()) == {"Passed"}
    assert (answer.json["namespace"], answer.json["name"]) == ("default", "prod")
    for line in answer.json["lines"]:
        assert set(line) == {"name", "state", "words", "remedy", "reason", "exitCode"}
    assert world.files() == set()
    assert answer.err.endswith("15 passed, 0 failed, 0 not permitted, 5 skipped\n")


def test_a_table_for_people(command: Command, world: World) -> None:
    """Each line with its state, the remedy below it; the exit code is that of the first that failed."""
    world.target.rmdir()
    answer = command("check", "--quiet")
    assert answer.code == 3
    lines = answer.out.splitlines()
    assert lines[0].split() == ["LINE", "STATE", "WHAT"]
    (number,) = (number for number, line in enumerate(lines) if line.startswith("leader "))
    assert "connection refused" in lines[number]
    assert lines[number + 1].strip().startswith("-> check that the cluster is running and unsealed")
    assert any("there is no such folder" in line for line in lines)
    assert not answer.err


def test_a_wrong_token(command: Command, world: World, server: DevelopmentServer) -> None:
    """A token that the server does not know is a failure of the login, which is told nowhere."""
    assert server.address
    world.set_token("hvs.nobody")
    answer = command("check", "--output", "json")
    assert answer.code == 2
    assert states(answer.json)["snapshot"] == "Failed"
    (login,) = (line["words"] for line in answer.json["lines"] if line["name"] == "login")
    assert "accepts" not in login  # a token is not asked about until it is used
    assert "hvs.nobody" not in answer.out + answer.err


def test_no_secret(command: Command, world: World, server: DevelopmentServer) -> None:
    """A Secret that is not there is told as the login's line."""
    assert server.address
    (world.folder / "secrets" / "token" / "token").unlink()
    answer = command("check", "--output", "json")
    assert answer.code == 2
    assert states(answer.json)["login"] == "Failed"
    assert states(answer.json)["write"] == "Passed"


def test_a_target_alone(command: Command, world: World) -> None:
    """Without a document the store alone is tried, for a cluster that need not have backups yet."""
    url = f"file://{world.target}"
    answer = command("check", "--target", url, "--cluster", "team/new", "--output", "json", config=None)
    assert answer.code == 0
    found = states(answer.json)
    assert {found[name] for name in ("leader", "login", "snapshot", "nextSlot")} == {"Skipped"}
    assert {found[name] for name in ("write", "read", "list", "delete")} == {"Passed"}
    assert (world.target / "team" / "new").is_dir()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--target", "file:///tmp"), "nothing says which cluster's folder is tried"),
        (("--credentials", "x"), "--credentials is for --target alone"),
        ((), "there is no --config, and no variable of a Job is set"),
        (("--wait", "-1", "--target", "file:///tmp"), "-1"),
    ],
)
def test_options_that_name_nothing(command: Command, arguments: tuple[str, ...], why: str) -> None:
    """They are wrong usage, and nothing is tried."""
    answer = command("check", *arguments, config=None)
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint


def test_of_several_clusters_one_is_named(command: Command, world: World) -> None:
    """As for each command."""
    world.configure(world.document(), world.document("other"))
    assert "name one with --cluster" in command("check").complaint
    answer = command("check", "--cluster", "other", "--output", "json")
    assert answer.json["name"] == "other"


def test_suspended(command: Command, world: World) -> None:
    """That no slot will count is said."""
    world.configure(world.document(suspend=True))
    (line,) = (x for x in command("check", "--output", "json").json["lines"] if x["name"] == "nextSlot")
    assert line["words"].startswith("none: spec.backup.suspend is true")


def test_leftovers_are_never_listed(command: Command, world: World) -> None:
    """What a killed check left is no backup for any command."""
    for key in probe_keys("default/prod", 5):
        (world.target / key).parent.mkdir(parents=True, exist_ok=True)
        (world.target / key).write_text("x")
    assert command("list", "--output", "json").json["backups"] == []


def test_as_a_job(world: World, server: DevelopmentServer, tmp_path: Path) -> None:
    """By the environment of a run, with a result as runs leave it; it knows no schedule."""
    assert server.address
    settings = settings_from_document(
        parse_cluster(world.document(), strict=True), str(world.folder / "secrets")
    )
    variables = {**to_environment(settings), "BACKUP_RESULT_PATH": str(tmp_path / "result.json")}
    process = start("check", "--output", "json", environment=plain_environment(**variables))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert states(json.loads(out))["nextSlot"] == "Skipped"
    result = decode_result((tmp_path / "result.json").read_bytes())
    assert result is not None
    assert (result.outcome, result.reason) == ("Succeeded", "ConfigurationProven")


def test_a_signal_while_it_waits(world: World, tmp_path: Path) -> None:
    """It ends soon, with what it found until then, and says so in its result."""
    file = tmp_path / "result.json"
    process = start("check", "--config", str(world.config), "--wait", "60", "--result", str(file))
    assert process.stderr is not None
    while "waiting for a leader" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 7, err
    assert out.startswith("LINE")
    result = decode_result(file.read_bytes())
    assert result is not None
    assert (result.reason, result.exit_code) == ("Interrupted", 7)
    assert world.files() == set()


def test_a_result_of_a_failure(command: Command, world: World, tmp_path: Path) -> None:
    """What failed, each with its remedy; and what kept the check from beginning, too."""
    file = tmp_path / "result.json"
    assert command("check", "--result", str(file)).code == 3
    result = decode_result(file.read_bytes())
    assert result is not None
    assert (result.outcome, result.reason, result.exit_code) == ("Failed", "NoLeader", 3)
    assert result.message.startswith("leader: find the active node of the cluster: ")
    world.config.write_text("kind: [")
    assert command("check", "--result", str(file)).code == 1
    result = decode_result(file.read_bytes())
    assert result is not None
    assert result.exit_code == 1
