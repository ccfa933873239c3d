"""A manager's loop over a runtime in memory, at a time that stands still until a test sets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.manager.site import SELDOM, Site

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.memory_runtime import MemoryRuntime
from bao_backup.core.errors import BaoBackupError
from bao_backup.core.kubernetes_errors import KubernetesDeniedError
from bao_backup.core.observed import ClearTrigger, Health, Observed
from bao_backup.core.spec import parse_cluster
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.flows.manage import reconcile
from bao_backup.flows.manager import Manager

START = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands until it is set; `monotonic` never goes back."""

    def __init__(self) -> None:
        self.time = START
        self._steps = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        self._steps += 0.001
        return self._steps


class Faulty(MemoryRuntime):
    """Fails to observe or to save, for the clusters that are named."""

    def __init__(self, clock: SetClock, health: Callable[[str], Health] | None = None) -> None:
        super().__init__(clock, health)
        self.unobservable: dict[str, Exception] = {}
        self.unclearable = False
        self.conflicts = 0
        self.saves = 0
        self.asked: list[str] = []
        self.slow: dict[str, asyncio.Event] = {}

    async def observe(self, uid: str) -> tuple[Observed, str]:
        self.asked.append(uid)
        if uid in self.unobservable:
            raise self.unobservable[uid]
        return await super().observe(uid)

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        if self.unclearable:
            raise KubernetesDeniedError("clear the request", "an admission policy forbids it")
        await super().clear_trigger(uid, request)

    async def ask_health(self, uid: str) -> Health:
        if uid in self.slow:
            await self.slow[uid].wait()
        return await super().ask_health(uid)

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        self.saves += 1
        if self.conflicts:
            self.conflicts -= 1
            return False
        return await super().save(uid, version, status, lock)


class Stage:
    """A manager over a runtime in memory, and its clusters."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.runtime = Faulty(self.clock, lambda _: Health(ready=True))
        self.complaints: list[tuple[str, BaoBackupError]] = []
        self._site = Site(folder, DevelopmentServer(DevelopmentCluster()))

    def put(self, name: str, schedule: str = SELDOM) -> str:
        """Configure a cluster."""
        document = self._site.document(name, schedule)
        document["spec"]["connection"]["addresses"] = ["http://127.0.0.1:8200"]
        return self.runtime.put_document(parse_cluster(document, strict=True))

    def run(self, play: Callable[[Manager], Awaitable[None]], *uids: str, rest: float = 0.02) -> None:
        """Run the manager, beside `play`."""

        async def both() -> None:
            manager = Manager(
                partial(reconcile, self.runtime, self.clock),
                self.clock,
                lambda uid, error: self.complaints.append((uid, error)),
                longest_rest=rest,
            )
            manager.follow(uids)
            stop = asyncio.Event()
            running = asyncio.create_task(manager.run(stop))
            try:
                async with asyncio.timeout(20):
                    await play(manager)
            finally:
                stop.set()
                await running

        asyncio.run(both())


async def until(probe: Callable[[], object]) -> None:
    """Let the loop go on until `probe` says yes."""
    while not probe():  # noqa: ASYNC110 - the other side is told nothing of us
        await asyncio.sleep(0.005)


def went_round(manager: Manager, rounds: int) -> bool:
    """Whether the loop went round so often."""
    return manager.rounds >= rounds
