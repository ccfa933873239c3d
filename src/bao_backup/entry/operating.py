"""The manager on Kubernetes: who of several leads, and what the probes of each say."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

from kubernetes_asyncio.client import Configuration

from bao_backup.adapters.kubernetes.api import KubernetesApi
from bao_backup.adapters.kubernetes.connection import open_client
from bao_backup.adapters.kubernetes.lease import Lease
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.system import SystemClock
from bao_backup.core.model import Value
from bao_backup.entry.leading import Leading
from bao_backup.entry.logs import Log
from bao_backup.entry.metrics import ClusterFigures

#: The loop goes round at least every second; so long without is a failure.
ALIVE_WITHIN = 30.0
#: How often it is seen why the Lease is not ours yet, in seconds.
SEE_EVERY = 1.0


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
    ) -> None:
        self._configuration = configuration
        self._namespaces = tuple(namespaces)
        self._options = options
        self._lease_names = lease
        self._log = log
        self._most_runs = most_runs
        self._clock = SystemClock()
        self._lease: Lease | None = None
        self._leading: Leading | None = None
        self._stop = asyncio.Event()

    # --- probes and metrics --------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the loop goes round, where this one leads."""
        leading = self._leading
        return leading is None or self._clock.monotonic() - leading.alive_at < ALIVE_WITHIN

    def ready(self) -> bool:
        """Whether it manages, or waits to take over, and the API server answers."""
        if self._stop.is_set() or not self.alive():
            return False
        lease, names = self._lease, self._lease_names
        if self._leading is not None or lease is None or names is None:
            return self._leading is not None
        return lease.trouble is None and lease.holder not in {"", names.identity}

    @property
    def leads(self) -> bool:
        """Whether this one decides."""
        return self._leading is not None

    def figures(self) -> list[ClusterFigures]:
        """What the metrics tell of each cluster; only who leads knows any."""
        return self._leading.figures() if self._leading is not None else []

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
                await asyncio.wait((waiting,), timeout=SEE_EVERY)
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
        leading = Leading(
            api,
            self._configuration,
            self._namespaces,
            options=self._options,
            clock=self._clock,
            log=self._log,
            most_runs=self._most_runs,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._keep(lease)) if lease is not None else None
                await leading.begin()
                self._leading = leading
                await leading.go_on()
                self._stop.set()  # a signal ended the watches
                if keeping is not None:
                    keeping.cancel()
        finally:
            self._leading = None

    async def _keep(self, lease: Lease) -> None:
        await lease.keep()
        raise _LeaseLostError
