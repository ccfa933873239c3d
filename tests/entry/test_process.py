"""The program as a process: pipes that close, Ctrl-C, terminals, and what it loads."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.archives import GENUINE
from tests.entry.world import Answer, World, finish, plain_environment, start

from bao_backup.adapters.development import DevelopmentServer

#: A name for every fourth byte: more than a pipe holds.
MANY = 3000


def into_closed_pipe(*arguments: str) -> Answer:
    """Run with a standard output that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return finish(start(*arguments, stdout=writing))
    finally:
        os.close(writing)


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["inspect", str(GENUINE), "--keys"]])
def test_a_reader_that_went_away_is_no_error(world: World, arguments: list[str]) -> None:
    """As `head` does; nothing is complained about."""
    config = ["--config", str(world.config)] if arguments == ["list"] else []
    answer = into_closed_pipe(*arguments, *config)
    assert answer.code == 0
    assert "Traceback" not in answer.err
    assert "BrokenPipe" not in answer.err


def test_a_long_list_into_head(world: World) -> None:
    """The reader goes away in the middle."""
    for day in range(MANY):
        world.add(day, proven=False, body=b"")
    process = start("list", "--config", str(world.config))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("TAKEN")
    process.stdout.close()
    assert finish(process).code == 0


def test_a_run_whose_answer_nobody_reads_ends_as_it_ends(world: World, server: DevelopmentServer) -> None:
    """Neither a closed standard output nor a closed standard error changes what is done."""
    config = ["--config", str(world.config)]
    assert into_closed_pipe("backup", *config).code == 0
    assert len(world.files()) == 2
    reading, writing = os.pipe()
    os.close(reading)
    assert finish(start("backup", *config, stdout=writing, stderr=writing)).code == 0
    assert len(world.files()) == 4
    world.set_token("s.wrong")
    assert finish(start("backup", *config, stdout=writing, stderr=writing)).code == 4
    os.close(writing)
    assert server.cluster.active is not None


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_is_closed_from_the_start(world: World, closed: int) -> None:
    """As some service managers and cron jobs start programs."""
    world.add(0)
    command = [sys.executable, "-m", "bao_backup", "list", "--config", str(world.config)]
    shell = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *command]
    done = subprocess.run(
        shell, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert (done.stdout == "") == (closed == 1)
    assert (done.stderr == "") == (closed == 2)


def test_an_answer_that_cannot_be_written_is_told(world: World) -> None:
    """A full disk under the output: a script must not take half an answer for a whole one."""
    with Path("/dev/full").open("w") as full:
        answer = finish(start("list", "--config", str(world.config), stdout=full))
    assert answer.code == 8
    assert "write to standard output: no space left on device" in answer.complaint


def test_ctrl_c_while_it_waits_for_a_leader(world: World) -> None:
    """A line, and exit code 7."""
    with socket.socket() as listening:  # bound, and answering nobody
        listening.bind(("127.0.0.1", 0))
        world.spec["connection"] = {"addresses": [f"http://127.0.0.1:{listening.getsockname()[1]}"]}
        world.configure()
        process = start("backup", "--config", str(world.config))
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for a leader: ")
        process.send_signal(signal.SIGINT)
        answer = finish(process)
    assert (answer.code, answer.out) == (7, "")
    assert answer.complaint.startswith("bao-backup: Interrupted: run: ended by SIGINT")
    assert world.files() == set()


@pytest.mark.parametrize("name", ["list", "backup"])
def test_ctrl_c_while_a_store_does_not_answer(world: World, name: str) -> None:
    """The storage library is busy for minutes then; the program ends all the same, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        s3 = {"provider": "s3", "bucket": "b", "endpoint": endpoint}
        world.configure(world.document(target={**s3, "credentialsSecretRef": {"name": "keys"}}))
        keys = world.folder / "secrets" / "keys"
        keys.mkdir()
        (keys / "accessKeyId").write_text("id")
        (keys / "secretAccessKey").write_text("key")
        process = start(name, "--config", str(world.config))
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)  # the request is under way
            process.send_signal(signal.SIGINT)
            answer = finish(process)
    assert (answer.code, answer.out) == (7, "")
    assert answer.complaint == "bao-backup: Interrupted: run: ended by SIGINT; run it again"


def on_terminal(columns: int, *arguments: str) -> tuple[int, str]:
    """Run on a terminal of that width; gives the exit code and the screen's lines."""
    ours, theirs = pty.openpty()
    environment = plain_environment(COLUMNS=str(columns), TERM="xterm")
    process = start(*arguments, environment=environment, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(60), shown.decode()


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_nothing_is_cut_however_narrow_the_terminal(world: World, columns: int) -> None:
    """Keys stay whole, and can be copied; no column is left out."""
    key = world.add(0)
    code, shown = on_terminal(columns, "list", "--config", str(world.config))
    assert code == 0
    assert key in shown
    assert "STATE" in shown
    assert "…" not in shown


@pytest.mark.parametrize("columns", [40, 300])
def test_a_terminal_shows_progress_and_then_the_answer(
    world: World, server: DevelopmentServer, columns: int
) -> None:
    """What it does stays readable, and so does the key."""
    code, shown = on_terminal(columns, "backup", "--config", str(world.config))
    assert code == 0
    assert f"the leader is {server.address}" in shown
    (key,) = (name for name in world.files() if name.endswith(".snap"))
    assert f"{key}\r\n" in shown
