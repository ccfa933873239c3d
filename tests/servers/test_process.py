"""How the harness starts and ends processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess, free_ports, wait_until

FOREVER = "import time\nprint('up', flush=True)\ntime.sleep(600)"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FOREVER}"


def python(code: str, tmp_path: Path) -> ServerProcess:
    """A server that is this Python program."""
    return ServerProcess("program", [sys.executable, "-c", code], log=tmp_path / "log")


def is_up(process: ServerProcess) -> bool:
    """Whether the program has said so."""
    return "up" in process.log.read_text()


def is_there(pid: int) -> bool:
    """Whether a process of that pid runs, and is not only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_life(tmp_path: Path) -> None:
    """A server is ready when it says so, and gone when it was stopped; it may be started again."""
    process = python(FOREVER, tmp_path)
    for _ in range(2):
        process.start()
        process.wait_ready(lambda: is_up(process), seconds=10)
        pid = process.pid
        assert is_there(pid)
        process.stop()
        assert not is_there(pid)
        assert not process.running


def test_early_end(tmp_path: Path) -> None:
    """A server that ends while it starts is told at once, with the end of its log."""
    process = python("raise SystemExit('no such port')", tmp_path)
    process.start()
    with pytest.raises(HarnessError, match=r"ended while it started(.|\n)*no such port"):
        process.wait_ready(lambda: False, seconds=30)


def test_never_ready(tmp_path: Path) -> None:
    """A server that is never ready is told after the deadline, with the end of its log."""
    with python(FOREVER, tmp_path) as process:
        wait_until("the program", lambda: is_up(process), seconds=10)
        with pytest.raises(HarnessError, match=r"not within 0.2 s(.|\n)*up"):
            process.wait_ready(lambda: False, seconds=0.2)


def test_stubborn(tmp_path: Path) -> None:
    """A server that ignores SIGTERM is killed after the grace."""
    process = python(STUBBORN, tmp_path)
    process.start()
    process.wait_ready(lambda: is_up(process), seconds=10)
    pid = process.pid
    process.stop(grace=0.2)
    assert not is_there(pid)


def test_children_end(tmp_path: Path) -> None:
    """What a server started ends with it."""
    code = "import subprocess, sys, time\n"
    code += f"print(subprocess.Popen([sys.executable, '-c', {FOREVER!r}]).pid, flush=True)\ntime.sleep(600)"
    process = python(code, tmp_path)
    process.start()
    process.wait_ready(lambda: is_up(process), seconds=10)
    child = int(process.log.read_text().split()[0])
    assert is_there(child)
    process.kill()
    wait_until("the child to end", lambda: not is_there(child), seconds=5)


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """A server dies with the test run that started it, even when that is killed."""
    code = f"""
import pathlib, sys, time
from tests.harness.process import ServerProcess
server = ServerProcess("s", [sys.executable, "-c", {FOREVER!r}], log=pathlib.Path({str(tmp_path / "log")!r}))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_there(pid)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until("the server to end", lambda: not is_there(pid), seconds=5)


def test_outlives_the_thread(tmp_path: Path) -> None:
    """A server that a thread started outlives that thread."""
    process = python(FOREVER, tmp_path)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    process.wait_ready(lambda: is_up(process), seconds=10)
    assert process.running
    process.stop()


def test_free_ports() -> None:
    """Free ports differ from one another and can be listened on."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
