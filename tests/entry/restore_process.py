"""Starts a restore in a process of its own, at which something befalls it at a named point."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.entry.world import plain_environment
from tests.harness.process import wait_until

from bao_backup.core.model import Result
from bao_backup.core.restore_settings import RestoreSettings, to_environment
from bao_backup.core.result import decode_result

PROGRAM = Path(__file__).with_name("restore_program.py")
QUICK = {"pause": 0.02, "leader_wait": 20.0, "settle_wait": 20.0}


class RestoreProcess:
    """A restore under way; `what` is KILL, TERM or HOLD."""

    def __init__(
        self,
        folder: Path,
        settings: RestoreSettings,
        where: str,
        what: str,
        patience: Mapping[str, Any] | None = None,
    ) -> None:
        self._log, self._file, self._go = folder / "restore.log", folder / "result.json", folder / "go"
        for left in (self._file, self._go, self._go.with_suffix(".reached")):
            left.unlink(missing_ok=True)
        befalls = str(self._go) if what == "HOLD" else what
        options = json.dumps(dict(patience or QUICK))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAM), where, befalls, options, str(self._file)],
                env=plain_environment(**to_environment(settings)),
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def until_held(self) -> None:
        """Wait until it is at its point, and waits there."""
        reached = self._go.with_suffix(".reached")
        wait_until("its point", reached.exists, seconds=60, every=0.01, log=self._log)

    def go_on(self) -> None:
        """Let it go on from there."""
        self._go.touch()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        return self._process.wait(seconds)

    @property
    def said(self) -> str:
        """What it told."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def result(self) -> Result | None:
        """What it left as its result; None: nothing."""
        return decode_result(self._file.read_bytes()) if self._file.exists() else None
