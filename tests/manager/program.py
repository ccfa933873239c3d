"""A manager that ends itself by SIGKILL where it is told: before or after a method, the n-th time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from bao_backup.adapters.local.runs import RunRow, Runs
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Health, Observed, StartCheck, StartRun
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.entry.logs import Log
from bao_backup.entry.serving import LocalManager
from bao_backup.ports import Runtime

T = TypeVar("T")


class Death:
    """Where the process ends: "before:save:2" is before `save` is called for the second time."""

    def __init__(self, where: str) -> None:
        self._when, self._method, count = (where or "never:never:0").split(":")
        self._left = int(count)

    def enters(self, method: str) -> None:
        """The method is about to be called."""
        self._left -= method == self._method
        self._die("before", method)

    def leaves(self, method: str) -> None:
        """The method was carried out."""
        self._die("after", method)

    def _die(self, when: str, method: str) -> None:
        if (when, method, self._left) == (self._when, self._method, 0):
            os.kill(os.getpid(), signal.SIGKILL)


class DyingRuntime:
    """The port `Runtime`, handed on to the real one."""

    def __init__(self, runtime: Runtime, death: Death) -> None:
        self._runtime = runtime
        self._death = death

    async def observe(self, uid: str) -> tuple[Observed, str]:
        return await self._hand_on("observe", self._runtime.observe(uid))

    async def ask_health(self, uid: str) -> Health:
        return await self._hand_on("ask_health", self._runtime.ask_health(uid))

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        return await self._hand_on("save", self._runtime.save(uid, version, status, lock))

    async def start(self, uid: str, run: StartRun) -> None:
        await self._hand_on("start", self._runtime.start(uid, run))

    async def start_check(self, uid: str, run: StartCheck) -> None:
        await self._hand_on("start_check", self._runtime.start_check(uid, run))

    async def forget(self, uid: str, run: ForgetRun) -> None:
        await self._hand_on("forget", self._runtime.forget(uid, run))

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        await self._hand_on("clear_trigger", self._runtime.clear_trigger(uid, request))

    async def emit(self, uid: str, event: Emit) -> None:
        await self._hand_on("emit", self._runtime.emit(uid, event))

    async def _hand_on(self, method: str, call: Awaitable[T]) -> T:
        self._death.enters(method)
        answer = await call
        self._death.leaves(method)
        return answer


class DyingRuns(Runs):
    """The table of runs, which is written before a process is started, and after."""

    death: Death

    def add(self, uid: str, name: str, begun: datetime, deadline: float) -> RunRow | None:
        self.death.enters("add")
        row = super().add(uid, name, begun, deadline)
        self.death.leaves("add")
        return row

    def mark_started(self, uid: str, name: str) -> None:
        self.death.enters("mark_started")
        super().mark_started(uid, name)


def main() -> None:
    """Manage: configuration, secrets, state, options."""
    config, secrets, state, given = sys.argv[1:]
    options = json.loads(given)
    death = Death(options["die"])
    manager = LocalManager(
        config=Path(config),
        secrets=secrets,
        state=Path(state),
        log=Log("text", verbose=True),
        grace=options["grace"],
        most_runs=options["mostRuns"],
        wrap=lambda runtime: DyingRuntime(runtime, death),
    )
    runs = DyingRuns(manager.runtime.database)
    runs.death = death
    manager.runtime.runs = manager.runtime.executors.runs = runs
    asyncio.run(manager.run())
    manager.close()


main()
