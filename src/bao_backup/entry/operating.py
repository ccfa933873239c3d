"""The manager on Kubernetes: leadership, watches and the loop put together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from kubernetes_asyncio.client import Configuration

from bao_backup.adapters.kubernetes.api import KubernetesApi
from bao_backup.adapters.kubernetes.connection import open_client
from bao_backup.adapters.kubernetes.lease import Lease
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.run_watch import RunWatch
from bao_backup.adapters.kubernetes.runtime import Counted, KubernetesRuntime
from bao_backup.adapters.kubernetes.watching import watch
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import (
    BaoBackupError,
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)
from bao_backup.core.model import Value
from bao_backup.core.observed import Emit
from bao_backup.entry.logs import Log
from bao_backup.entry.metrics import ClusterFigures
from bao_backup.flows.manage import reconcile
from bao_backup.flows.manager import Manager
from bao_backup.ports import Runtime

#: The loop goes round at least every second; so long without is a failure.
ALIVE_WITHIN = 30.0
#: Clusters that are looked at at the same time: what takes time is the API server's answers.
AT_ONCE = 32
#: How often it is seen whether a run needs looking after, in seconds.
LOOK_AFTER_EVERY = 5.0
#: How long to wait before everything is listed anew, in seconds: several watches are lost at once.
SETTLE = 2.0
#: The watches begin when no look was over for so long, in seconds.
CATCH_UP_STEP = 0.25
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: A namespace that refused to be listed is asked again after so long, in seconds.
LIST_AGAIN_AFTER = 60.0


class LeaseNames(Value, frozen=True, kw_only=True):
    """Which Lease replicas compete for, and as who."""

    namespace: str
    name: str
    identity: str


class _LeaseLostError(Exception):
    """Somebody else may decide from now on."""


class KubernetesManager:
    """`bao-backup operator`, without its command line.

    Args:
        configuration: how the API server is reached.
        namespaces: which to manage; empty for all.
        options: what all runs' Jobs have in common.
        lease: which Lease decides who manages; None: this one does, alone.
        log: where it tells what it does.
        most_runs: how many runs may be under way at once; 0: no limit.
        wrap: for tests: puts something between the loop and its runtime.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        namespaces: Sequence[str],
        options: JobOptions,
        lease: LeaseNames | None,
        log: Log,
        most_runs: int = 0,
        wrap: Callable[[Runtime], Runtime] = lambda runtime: runtime,
    ) -> None:
        self._configuration = configuration
        self._namespaces = tuple(namespaces)
        self._options = options
        self._lease_names = lease
        self._log = log
        self._most_runs = most_runs
        self._wrap = wrap
        self._clock = SystemClock()
        self._lease: Lease | None = None
        self._loop: Manager | None = None
        self._runtime: KubernetesRuntime | None = None
        self._stop = asyncio.Event()
        self._list_again = asyncio.Event()

    # --- probes and metrics --------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the loop goes round, where this one leads."""
        loop = self._loop
        return loop is None or self._clock.monotonic() - loop.alive_at < ALIVE_WITHIN

    def ready(self) -> bool:
        """Whether it manages, or waits to take over, and the API server answers."""
        if self._stop.is_set() or not self.alive():
            return False
        lease, names = self._lease, self._lease_names
        if self._loop is not None or lease is None or names is None:
            return self._loop is not None
        return lease.trouble is None and lease.holder not in {"", names.identity}

    @property
    def leads(self) -> bool:
        """Whether this one decides."""
        return self._loop is not None

    def figures(self) -> list[ClusterFigures]:
        """What the metrics tell of each cluster; only who leads knows any."""
        runtime = self._runtime
        if runtime is None:
            return []
        nothing = Counted()
        found = []
        for known in list(runtime.known.clusters.values()):
            counted = runtime.counted.get(known.uid, nothing)
            found.append(
                ClusterFigures(
                    namespace=known.namespace,
                    name=known.name,
                    status=known.read_status(),
                    succeeded=counted.succeeded,
                    failed=counted.failed,
                    dropped=counted.dropped,
                )
            )
        return found

    # --- the whole -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Manage until SIGTERM or SIGINT. Runs are Jobs: they go on, and are found again."""
        self._log.take_in("kopf", "kubernetes_asyncio", "aiohttp", "asyncio")
        async with open_client(self._configuration) as client:
            api = KubernetesApi(client)
            try:
                while not self._stop.is_set():
                    self._hear_signals()
                    if self._lease_names is None:
                        await self._unless_stopped(self._lead(api, None))
                    else:
                        await self._take_part(api, self._lease_names)
            except ExceptionGroup as group:
                raise group.exceptions[0] from group
        self._log.say("stopped; runs under way go on")

    def _hear_signals(self) -> None:
        """Again each time: kopf takes them for itself while it runs, and stops by them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, but no longer than until a signal comes."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.gather(stop, return_exceptions=True)
        try:
            await task
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise

    async def _take_part(self, api: KubernetesApi, names: LeaseNames) -> None:
        """Wait for the Lease, manage while it is ours, give it back at the end."""
        lease = self._lease = Lease(api, names.namespace, names.name, names.identity, self._clock)
        self._log.say(f"waiting for the Lease {names.namespace}/{names.name} as {names.identity}")
        await self._unless_stopped(self._acquire(lease))
        if self._stop.is_set():
            return
        self._log.say("leading: the Lease is ours")
        try:
            await self._unless_stopped(self._lead(api, lease))
        except* _LeaseLostError:
            held = (
                f"{lease.holder} holds it" if lease.holder != names.identity else "it was not renewed in time"
            )
            self._log.say(f"the Lease was lost: {held}", reason="LeaseLost", warning=True)
        if self._stop.is_set():
            await lease.release()

    async def _acquire(self, lease: Lease) -> None:
        told = ""
        waiting = asyncio.ensure_future(lease.acquire())
        try:
            while not waiting.done():
                await asyncio.wait((waiting,), timeout=FIRST_PAUSE)
                trouble = lease.trouble
                if trouble is not None and trouble.message != told:
                    self._log.say(trouble.message, reason=trouble.reason, warning=True, error=trouble)
                told = trouble.message if trouble is not None else ""
            waiting.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _lead(self, api: KubernetesApi, lease: Lease | None) -> None:
        """Everything that decides; ends when the Lease is lost, or a signal comes."""
        loop_ends = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                if lease is not None:
                    tasks.create_task(self._keep(lease))
                runtime = await self._begin(api)
                tasks.create_task(self._managed(loop_ends))
                tasks.create_task(self._watch(runtime))
                tasks.create_task(self._look_after(api, runtime))
                tasks.create_task(self._list_again_when_told(runtime))
        finally:
            self._loop = self._runtime = None

    async def _keep(self, lease: Lease) -> None:
        await lease.keep()
        raise _LeaseLostError

    async def _begin(self, api: KubernetesApi) -> KubernetesRuntime:
        """See all that is there before anything is decided."""
        runtime: KubernetesRuntime
        loop: Manager

        def changed(uid: str) -> None:
            loop.add(uid)

        def gone(uid: str) -> None:
            loop.drop(uid)

        runtime = KubernetesRuntime(
            api,
            clock=self._clock,
            options=self._options,
            tell=self._tell,
            changed=changed,
            gone=gone,
            most_runs=self._most_runs,
        )
        look = partial(reconcile, self._wrap(runtime), self._clock)
        loop = Manager(look, self._clock, self._complain, at_once=AT_ONCE)
        await self._list(runtime)
        self._log.say(f"managing {len(runtime.known.clusters)} clusters in {self._where()}")
        self._runtime, self._loop = runtime, loop
        loop.alive_at = self._clock.monotonic()
        return runtime

    def _where(self) -> str:
        return ", ".join(self._namespaces) if self._namespaces else "all namespaces"

    async def _managed(self, ends: asyncio.Event) -> None:
        assert self._loop is not None  # noqa: S101 - _begin has set it
        await self._loop.run(ends)

    async def _watch(self, runtime: KubernetesRuntime) -> None:
        """Watch, but only once the first looks are over: each status that they write would be told again."""
        assert self._loop is not None  # noqa: S101 - _begin has set it
        begun = self._clock.monotonic()
        await self._loop.caught_up(CATCH_UP_STEP)
        if self._clock.monotonic() - begun > SETTLE:
            self._list_again.set()  # what was deleted meanwhile, no watch tells
        try:
            await watch(runtime.known, self._configuration, self._namespaces, self._list_again.set)
        except Exception as error:
            raise InternalError.unforeseen("watch the Kubernetes API", error) from error
        self._stop.set()  # a signal ended it

    async def _look_after(self, api: KubernetesApi, runtime: KubernetesRuntime) -> None:
        loop = self._loop
        assert loop is not None  # noqa: S101 - _begin has set it
        run_watch = RunWatch(api, runtime, self._clock)
        while True:
            try:
                await run_watch.look()
            except BaoBackupError as error:
                self._complain("", error)
            except Exception as error:  # noqa: BLE001 - one run's trouble must not end the manager
                self._complain("", InternalError.unforeseen("look after the runs", error))
            await asyncio.sleep(LOOK_AFTER_EVERY)

    async def _list_again_when_told(self, runtime: KubernetesRuntime) -> None:
        while True:
            await self._list_again.wait()
            await asyncio.sleep(SETTLE)
            self._list_again.clear()
            await self._list(runtime)

    async def _list(self, runtime: KubernetesRuntime) -> None:
        """List everything; tried again until the API server answers."""
        pause = FIRST_PAUSE
        while True:
            try:
                refused = await runtime.begin(self._namespaces or ("",))
            except KubernetesError as error:
                self._complain("", error)
            else:
                for refusal in refused.values():
                    self._complain("", refusal)
                if refused:
                    asyncio.get_running_loop().call_later(LIST_AGAIN_AFTER, self._list_again.set)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    # --- what it tells -------------------------------------------------------------------------

    def _tell(self, cluster: str, event: Emit) -> None:
        self._log.say(event.message, cluster=cluster, reason=event.reason, warning=event.warning)

    def _complain(self, uid: str, error: BaoBackupError) -> None:
        runtime = self._runtime
        known = runtime.known.clusters.get(uid) if runtime else None
        cluster = f"{known.namespace}/{known.name}" if known else uid
        self._log.say(error.message, cluster=cluster, reason=error.reason, warning=True, error=error)
