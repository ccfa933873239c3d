"""What the manager on Kubernetes does while it leads: two loops, of clusters and of restores, and watches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from kubernetes_asyncio.client import Configuration

from bao_backup.adapters.kubernetes.api import KubernetesApi
from bao_backup.adapters.kubernetes.known_restores import Place
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.restore_counts import RestoreCounts, last_durations
from bao_backup.adapters.kubernetes.restore_runtime import KubernetesRestores
from bao_backup.adapters.kubernetes.run_counts import RunCounts
from bao_backup.adapters.kubernetes.run_watch import RunWatch
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.adapters.kubernetes.watching import watch
from bao_backup.core.errors import BaoBackupError, InternalError
from bao_backup.core.kubernetes_errors import KubernetesError
from bao_backup.core.observed import Emit
from bao_backup.core.words import count_in_words
from bao_backup.entry.logs import Log
from bao_backup.entry.metrics import ClusterFigures, RestoreFigures
from bao_backup.flows.manage import reconcile
from bao_backup.flows.manage_restore import reconcile_restore
from bao_backup.flows.manager import Manager
from bao_backup.ports import Clock

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


class Leading:
    """Everything that decides; it has seen nothing until `begin` is over.

    Args:
        api: the API server.
        configuration: how it is reached, for the watches.
        namespaces: which to manage; empty for all.
        options: what all runs' Jobs have in common.
        clock: the time.
        log: where it tells what it does.
        most_runs: how many backups may be under way at once; 0: no limit.
    """

    def __init__(
        self,
        api: KubernetesApi,
        configuration: Configuration,
        namespaces: Sequence[str],
        *,
        options: JobOptions,
        clock: Clock,
        log: Log,
        most_runs: int,
    ) -> None:
        self._api = api
        self._configuration = configuration
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._log = log
        self._list_again = asyncio.Event()
        self._runtime = KubernetesRuntime(
            api,
            clock=clock,
            options=options,
            tell=self._tell,
            changed=self._cluster_changed,
            gone=self._cluster_gone,
            most_runs=most_runs,
        )
        self._clusters = Manager(
            partial(reconcile, self._runtime, clock), clock, self._complain, at_once=AT_ONCE
        )
        self._restore_runtime = KubernetesRestores(
            api,
            self._runtime,
            clock=clock,
            options=options,
            tell=self._tell,
            changed=self._restore_changed,
            gone=self._restore_gone,
        )
        self._restores = Manager(
            partial(reconcile_restore, self._restore_runtime, clock), clock, self._complain
        )

    def _cluster_changed(self, uid: str) -> None:
        self._clusters.add(uid)

    def _cluster_gone(self, uid: str) -> None:
        self._clusters.drop(uid)

    def _restore_changed(self, uid: str) -> None:
        self._restores.add(uid)

    def _restore_gone(self, uid: str) -> None:
        self._restores.drop(uid)

    # --- probes and metrics --------------------------------------------------------------------

    @property
    def alive_at(self) -> float:
        """When both loops last went round."""
        return min(self._clusters.alive_at, self._restores.alive_at)

    def figures(self) -> list[ClusterFigures]:
        """What the metrics tell of each cluster."""
        nothing = RunCounts()
        durations = last_durations(self._runtime.known.all_restores())
        found = []
        for known in list(self._runtime.known.clusters.values()):
            counted = self._runtime.counted.get(known.uid, nothing)
            found.append(
                ClusterFigures(
                    namespace=known.namespace,
                    name=known.name,
                    status=known.read_status(),
                    succeeded=counted.succeeded,
                    failed=counted.failed,
                    dropped=counted.dropped,
                    restores=self._restore_figures((known.namespace, known.name), durations),
                )
            )
        return found

    def _restore_figures(self, place: Place, durations: Mapping[Place, timedelta]) -> RestoreFigures | None:
        """None where there are no documents of restores."""
        if not self._runtime.known.has_restores:
            return None
        counted = self._restore_runtime.counted.get(place) or RestoreCounts()
        return RestoreFigures(
            succeeded=counted.succeeded,
            failed=counted.failed,
            unknown=counted.unknown,
            sealed=counted.sealed,
            last_duration=durations.get(place),
        )

    # --- the whole -----------------------------------------------------------------------------

    async def begin(self) -> None:
        """See all that is there before anything is decided."""
        await self._list()
        where = ", ".join(self._namespaces) if self._namespaces else "all namespaces"
        self._log.say(f"managing {count_in_words(len(self._runtime.known.clusters), 'cluster')} in {where}")
        self._clusters.alive_at = self._restores.alive_at = self._clock.monotonic()

    async def go_on(self) -> None:
        """Manage until a signal ends the watches, or this is cancelled."""
        never = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._clusters.run(never)),
                    tasks.create_task(self._restores.run(never)),
                    tasks.create_task(self._look_after()),
                    tasks.create_task(self._list_again_when_told()),
                ]
                await self._watch()
                for task in others:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _watch(self) -> None:
        """Watch, but only once the first looks are over: each status that they write would be told again."""
        begun = self._clock.monotonic()
        await self._clusters.caught_up(CATCH_UP_STEP)
        if self._clock.monotonic() - begun > SETTLE:
            self._list_again.set()  # what was deleted meanwhile, no watch tells
        try:
            await watch(self._runtime.known, self._configuration, self._namespaces, self._list_again.set)
        except Exception as error:
            raise InternalError.unforeseen("watch the Kubernetes API", error) from error

    async def _look_after(self) -> None:
        run_watch = RunWatch(self._api, self._runtime, self._clock)
        while True:
            try:
                await run_watch.look()
            except BaoBackupError as error:
                self._complain("", error)
            except Exception as error:  # noqa: BLE001 - one run's trouble must not end the manager
                self._complain("", InternalError.unforeseen("look after the runs", error))
            await asyncio.sleep(LOOK_AFTER_EVERY)

    async def _list_again_when_told(self) -> None:
        while True:
            await self._list_again.wait()
            await asyncio.sleep(SETTLE)
            self._list_again.clear()
            await self._list()

    async def _list(self) -> None:
        """List everything; tried again until the API server answers."""
        pause = FIRST_PAUSE
        while True:
            try:
                refused = await self._runtime.begin(self._namespaces or ("",))
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

    def _tell(self, name: str, event: Emit) -> None:
        self._log.say(event.message, cluster=name, reason=event.reason, warning=event.warning)

    def _complain(self, uid: str, error: BaoBackupError) -> None:
        known = self._runtime.known.clusters.get(uid) or self._runtime.known.find_restore(uid)
        name = f"{known.namespace}/{known.name}" if known else uid
        self._log.say(error.message, cluster=name, reason=error.reason, warning=True, error=error)
