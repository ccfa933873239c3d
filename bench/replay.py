"""The replay server as a process: started for one archive, asked when its requests came."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.certificates import Certificate

PROGRAM = Path(__file__).with_name("replay_server.py")


class Replay:
    """A server that sends one prepared archive over TLS. `url` is there after the start."""

    def __init__(self, archive: Path, issued: Certificate, log: Path) -> None:
        self._log = log
        files = [PROGRAM, archive, issued.certificate, issued.key, log]
        command = [sys.executable, "-I", "-S", *map(str, files)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # a pipe was asked for
        self.url = f"https://127.0.0.1:{int(self._process.stdout.readline())}"

    def first_request_after(self, begun: int) -> int:
        """When the first request after `begun` came, in nanoseconds of the monotonic clock."""
        for line in self._log.read_text(encoding="ascii").splitlines():
            came = int(line.split(" ", 1)[0])
            if came > begun:
                return came
        raise LookupError("the replay server got no request")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
