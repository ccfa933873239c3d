"""The embedded manager: documents, loop and signals put together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import Database
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.stores import store_traits
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import BaoBackupError, InternalError, LeaderError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.observed import Emit, Health, StartRun
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.words import count_in_words
from bao_backup.entry.logs import Log
from bao_backup.entry.metrics import ClusterFigures
from bao_backup.entry.watched_files import WatchedFiles
from bao_backup.entry.wiring import bao_of
from bao_backup.flows.manage import reconcile
from bao_backup.flows.manager import Manager
from bao_backup.ports import Runtime

#: How often files and other processes' requests are looked at, in seconds.
POLL_EVERY = 0.5
#: Runs that were asked to end get so long to abort their uploads, in seconds.
ABORT_GRACE = 20.0
#: The loop goes round at least every second; so long without is a failure.
ALIVE_WITHIN = 30.0


def figures_of(database_file: Path) -> list[ClusterFigures]:
    """The figures of every cluster, from a connection of its own: any thread may ask."""
    with closing(Database(database_file)) as database:
        return [
            ClusterFigures(
                namespace=row.namespace,
                name=row.name,
                status=row.status,
                succeeded=row.succeeded,
                failed=row.failed,
                dropped=row.dropped,
            )
            for row in Clusters(database).present()
        ]


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
        self._secrets = secrets
        self._log = log
        self._grace = grace
        self._files = WatchedFiles(
            config, lambda words: log.say(words, reason="InvalidConfiguration", warning=True)
        )
        self.runtime = LocalRuntime(
            state,
            clock=SystemClock(),
            check=self._check,
            environment=self._environment,
            health=self._ask_health,
            tell=self._tell,
            most_runs=most_runs,
        )
        clock = SystemClock()
        self.loop = Manager(partial(reconcile, wrap(self.runtime), clock), clock, self._complain)
        self._began = False

    def close(self) -> None:
        """Give the state folder back."""
        self.runtime.close()

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

    # --- probes --------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the loop goes round; true before it begins."""
        return SystemClock().monotonic() - self.loop.alive_at < ALIVE_WITHIN

    def ready(self) -> bool:
        """Whether it manages: documents were read, the loop goes round, and it is not about to end."""
        return self._began and self.alive() and not self.runtime.stopping

    # --- the loop ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Manage until SIGTERM or SIGINT; then wait for runs under way, up to the grace time.

        A second signal ends the waiting: runs are asked to abort their uploads.
        """
        stop, hurry, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        def ask() -> None:
            (hurry if stop.is_set() else stop).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ask)
        self._take_documents()
        self._log.say(
            f"managing {count_in_words(len(self.runtime.book.entries), 'cluster')} of {self._files.path}"
        )
        self._began = True
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run(ended))
            polling = tasks.create_task(self._poll())
            try:
                await stop.wait()
                self.runtime.stopping = True
                await self._drain(hurry)
            finally:
                ended.set()
                polling.cancel()

    async def _poll(self) -> None:
        while True:
            try:
                self._take_documents()
                self.loop.nudge(self.runtime.poll())
                self.loop.follow(self.runtime.managed())
            except BaoBackupError as error:
                self._complain("", error)
            except Exception as error:  # noqa: BLE001 - without it no change would ever be seen again
                wrapped = InternalError("look for changes", f"{type(error).__name__}: {error}")
                wrapped.__cause__ = error
                self._complain("", wrapped)
            await asyncio.sleep(POLL_EVERY)

    def _take_documents(self) -> None:
        """Take in the documents if any file changed; what is wrong is told, and harms no other."""
        changes = self._files.changes()
        if changes is None:
            return
        changed = self.runtime.take_documents(changes.contents, changes.complaints)
        self._files.taken(changes)
        self.loop.follow(self.runtime.managed())
        self.loop.nudge(changed)

    # --- the end -------------------------------------------------------------------------------

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Let runs end by themselves for the grace time, then ask them to; the loop takes in their ends."""
        running = self.runtime.executors.count_open()
        if running:
            words = f"waiting up to {self._grace:g} s for {running} runs to end; a second signal aborts them"
            self._log.say(words)
            await self._until_none_runs(self._grace, hurry.wait)
        if self.runtime.executors.count_open():
            self._log.say("asking the runs to abort", warning=True)
            await self._until_none_runs(ABORT_GRACE, self._ask_again_and_again)
        left = self.runtime.executors.count_open()
        words = f"{left} runs go on, and are found again at the next start" if left else "no run is under way"
        self._log.say(f"stopped; {words}")

    async def _until_none_runs(self, seconds: float, other: Callable[[], Awaitable[object]]) -> None:
        """Wait until no run is open, but not longer than `seconds`, nor than `other` takes."""
        waits = [asyncio.ensure_future(self._none_runs()), asyncio.ensure_future(other())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _none_runs(self) -> None:
        while self.runtime.executors.count_open():  # noqa: ASYNC110 - other processes end here
            await asyncio.sleep(0.1)

    async def _ask_again_and_again(self) -> None:
        """A run that was only just started may not hear it the first time."""
        while True:
            self.runtime.executors.end_all()
            await asyncio.sleep(1.0)
