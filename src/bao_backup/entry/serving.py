"""The embedded manager: documents, loop, metrics and signals put together."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bao_backup.adapters.documents import document_files, read_documents
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.stores import store_traits
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import BaoBackupError, ConfigurationError, LeaderError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.observed import Emit, Health, StartRun
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.entry.logs import Log
from bao_backup.entry.wiring import bao_of
from bao_backup.flows.manager import Manager
from bao_backup.ports import Runtime

#: How often files and other processes' requests are looked at, in seconds.
POLL_EVERY = 0.5
#: Runs that were asked to end get so long to abort their uploads, in seconds.
ABORT_GRACE = 20.0
#: The loop goes round at least every second; so long without is a failure.
ALIVE_WITHIN = 30.0


class LocalManager:
    """`bao-backup serve`, without its command line.

    Args:
        config: file or folder with documents.
        secrets: folder with a folder for each Secret.
        state: folder of the manager's memory and of the runs.
        log: where it tells what it does.
        grace: how long runs may go on after SIGTERM, in seconds.
        most_runs: how many runs may be under way at once.
        wrap: for tests: puts something between the loop and its runtime.

    Raises AnotherManagerError, and ConfigurationError when `config` cannot be read at all.
    """

    def __init__(
        self,
        *,
        config: Path,
        secrets: str,
        state: Path,
        log: Log,
        grace: float = 300.0,
        most_runs: int = 4,
        wrap: Callable[[Runtime], Runtime] = lambda runtime: runtime,
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._log = log
        self._grace = grace
        document_files(config)
        self.runtime = LocalRuntime(
            state,
            clock=SystemClock(),
            check=self._check,
            environment=self._environment,
            health=self._ask_health,
            tell=self._tell,
            most_runs=most_runs,
        )
        self._manager = Manager(wrap(self.runtime), SystemClock(), self._complain)
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._complained: tuple[str, ...] = ()

    # --- what the runtime asks -----------------------------------------------------------------

    def _check(self, document: OpenBaoCluster) -> None:
        if document.spec.backup is None:
            return
        settings = settings_from_document(document, self._secrets)
        bao_of(settings)  # refuses addresses that are none
        store_traits(settings.store.provider)

    def _environment(self, document: OpenBaoCluster, run: StartRun) -> Mapping[str, str]:
        settings = settings_from_document(document, self._secrets)
        return to_environment(
            replace(settings, key=run.key, slot=run.slot, trigger=run.trigger, number=run.number)
        )

    def _ask_health(self, document: OpenBaoCluster) -> Health:
        try:
            bao_of(settings_from_document(document, self._secrets)).find_leader()
        except LeaderError as error:
            return Health(ready=False, reason=error.reason, message=error.why)
        except BaoBackupError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    def _tell(self, cluster: str, event: Emit) -> None:
        self._log.say(event.message, cluster=cluster, reason=event.reason, warning=event.warning)

    def _complain(self, uid: str, error: BaoBackupError) -> None:
        self._log.say(error.message, cluster=uid, reason=error.reason, warning=True, error=error)

    # --- the loop ------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the loop goes round."""
        return SystemClock().monotonic() - self._manager.alive_at < ALIVE_WITHIN

    async def run(self) -> None:
        """Manage until SIGTERM or SIGINT; then wait for runs under way, up to the grace time."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self.load_documents()
        self._log.say(f"managing {len(self.runtime.book.entries)} clusters of {self._config}")
        polling = asyncio.create_task(self._poll(stop))
        try:
            await self._manager.run(stop)
            await self._drain()
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            self.runtime.close()

    async def _poll(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.load_documents()
            self._manager.nudge(self.runtime.poll())
            await asyncio.sleep(POLL_EVERY)

    async def _drain(self) -> None:
        """Let runs end by themselves for the grace time, then ask them to. The next start records it."""
        running = self.runtime.count_unfinished()
        if running:
            self._log.say(f"waiting up to {self._grace:g} s for {running} runs to end")
            await self._until_none_runs(self._grace)
        if self.runtime.count_unfinished():
            self._log.say("asking the runs to end", warning=True)
            self.runtime.end_runs()
            await self._until_none_runs(ABORT_GRACE)
        left = self.runtime.count_unfinished()
        words = f"{left} runs go on, and are found again at the next start" if left else "no run is under way"
        self._log.say(f"stopped; {words}")

    async def _until_none_runs(self, seconds: float) -> None:
        clock = SystemClock()
        end = clock.monotonic() + seconds
        while self.runtime.count_unfinished() and clock.monotonic() < end:  # noqa: ASYNC110 - other processes end here
            await asyncio.sleep(0.1)

    # --- documents -----------------------------------------------------------------------------

    def load_documents(self) -> None:
        """Take in the documents if any file changed; what is wrong is told, and harms no other."""
        try:
            files = document_files(self._config)
            complaints: list[str] = []
        except ConfigurationError as error:
            files, complaints = [], [error.message]
        seen = {str(file): _signature(file) for file in files}
        if seen == self._seen and tuple(complaints) == self._complained:
            return
        self._seen = seen
        contents: list[dict[str, Any]] = []
        for file in files:
            try:
                contents += [document.content for document in read_documents(file)]
            except ConfigurationError as error:
                complaints.append(error.message)
        for complaint in complaints:
            if complaint not in self._complained:
                self._log.say(complaint, reason="InvalidConfiguration", warning=True)
        self._complained = tuple(complaints)
        changed = self.runtime.take_documents(contents, complaints)
        self._manager.follow(self.runtime.book.entries)
        self._manager.nudge(changed)


def _signature(file: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
