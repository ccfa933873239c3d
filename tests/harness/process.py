"""Server processes: started in sessions of their own, waited for, ended by pid, never orphaned."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.errors import HarnessError

#: Becomes the server after it asked Linux to kill it with its parent (prctl 1: PR_SET_PDEATHSIG).
#: A test run that is killed leaves nothing behind.
DIES_WITH_PARENT = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone already")
os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
"""

#: "Parent" above is the thread that starts the process, so all are started by one that stays.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starts-servers")


def free_ports(count: int) -> list[int]:
    """TCP ports that are free on loopback now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(
    what: str, probe: Callable[[], bool], *, seconds: float, every: float = 0.05, log: Path | None = None
) -> None:
    """Ask `probe` until it says yes; raises HarnessError, with the log's end, when `seconds` are over."""
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise HarnessError(f"{what}: not within {seconds:g} s{tail(log)}")
        time.sleep(every)


def tail(log: Path | None, lines: int = 15) -> str:
    """The end of a log, to go into an error."""
    if log is None or not log.exists():
        return ""
    end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "".join([f"; the end of {log}:", *(f"\n    {line}" for line in end)])


class ServerProcess:
    """One server: its command, its log and, while it runs, its pid.

    It may be started again after its end; the log goes on.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there (ready or not)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        if self._process is None or not self.running:
            raise HarnessError(f"{self.name} is not running{tail(self.log)}")
        return self._process.pid

    def start(self) -> None:
        """Start the process; `wait_ready` says when it answers."""
        if self.running:
            raise HarnessError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = _starter.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        wrapper = [sys.executable, "-I", "-S", "-c", DIES_WITH_PARENT, str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*wrapper, *self.command],
                env=os.environ | self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, probe: Callable[[], bool], *, seconds: float = 30) -> None:
        """Wait until `probe` says yes; raises at once when the process has ended instead."""

        def answers() -> bool:
            if not self.running:
                raise HarnessError(f"{self.name} ended while it started{tail(self.log)}")
            return probe()

        wait_until(f"{self.name} to be ready", answers, seconds=seconds, log=self.log)

    def stop(self, grace: float = 10) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds. No error when it has ended already."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while not self._ended() and time.monotonic() < deadline:
                time.sleep(0.02)
            self._kill_session()

    def kill(self) -> None:
        """SIGKILL, as a crash is: to the server and to what it started."""
        if not self.running:
            raise HarnessError(f"{self.name} is not running{tail(self.log)}")
        self._kill_session()

    def _ended(self) -> bool:
        process = self._process
        if process is None or process.returncode is not None:
            return True
        # Looks without reaping: until then the pid, and so the session's group, is surely ours.
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _kill_session(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
