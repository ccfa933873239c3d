"""`bao-backup operator` as a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import client
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess, free_ports, wait_until

IMAGE = "registry.example/bao-backup:test"
#: What is in a log only where the program itself is wrong.
DEFECTS = ("Traceback", '"InternalError"')


class Operator:
    """One manager. It may be killed and started again; its log goes on.

    At its end its log must have no word of a defect of its own.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        namespaces: Sequence[str] = (),
        lease: str = "",
        name: str = "operator",
        options: Sequence[str] = (),
    ) -> None:
        """It manages `namespaces`, all if none is named; `lease` is the namespace of its Lease, if any."""
        (self.port,) = free_ports(1)
        self.name = name
        self.log = log
        leasing = ["--lease-namespace", lease] if lease else ["--no-lease"]
        self._process = ServerProcess(
            name,
            [
                *(sys.executable, "-m", "bao_backup", "operator", "--image", IMAGE),
                *("--kubeconfig", kubeconfig, "--listen", f"127.0.0.1:{self.port}"),
                *(each for namespace in namespaces for each in ("--namespace", namespace)),
                *(*leasing, *options),
            ],
            log=log,
            variables={"POD_NAME": name},
        )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.running

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it manages (or waits for its Lease)."""
        self._process.start()
        if wait:
            self._process.wait_ready(self.is_ready, seconds=60)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self._process.pid, signal.SIGTERM)

    def wait_ended(self, seconds: float = 20) -> None:
        """Wait until it has ended, whyever."""
        wait_until(f"{self.name} to end", lambda: not self.running, seconds=seconds, log=self.log)

    def stop(self) -> None:
        """End it in order, and look at what it said."""
        if self.running:
            self.terminate()
            self.wait_ended()
        self.check_log()

    # --- what it says --------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """What its probe says."""
        return self._probe("/readyz")

    def is_alive(self) -> bool:
        """What its other probe says."""
        return self._probe("/healthz")

    def _probe(self, path: str) -> bool:
        try:
            return client.request("GET", f"http://127.0.0.1:{self.port}{path}", timeout=5).status == 200
        except HarnessError:
            return False

    def metrics(self) -> str:
        """What it tells Prometheus."""
        return client.request("GET", f"http://127.0.0.1:{self.port}/metrics").body.decode()

    def lines(self) -> list[dict[str, Any]]:
        """Its log so far, line by line."""
        if not self.log.exists():
            return []
        written = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in written if line.startswith("{")]

    def said(self, reason: str, cluster: str = "") -> list[str]:
        """The messages of this reason, about a cluster ("namespace/name") if one is named."""
        return [
            line["message"]
            for line in self.lines()
            if line.get("reason") == reason and (not cluster or line.get("cluster") == cluster)
        ]

    def leads(self) -> bool:
        """Whether, by its log, it decides now."""
        words = [line["message"] for line in self.lines()]
        began = max((n for n, word in enumerate(words) if word.startswith("managing ")), default=-1)
        lost = max((n for n, word in enumerate(words) if word.startswith("the Lease was lost")), default=-1)
        return self.running and began > lost

    def check_log(self) -> None:
        """Nothing in the log is a defect: raises HarnessError that shows the first one."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        at = min(
            (at for word in ("Traceback", '"InternalError"') if (at := text.find(word)) >= 0), default=-1
        )
        if at >= 0:
            raise HarnessError(f"{self.name} has a defect: {text[max(0, at - 500) : at + 3000]}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.running:
            self.kill()
        else:
            self.stop()
