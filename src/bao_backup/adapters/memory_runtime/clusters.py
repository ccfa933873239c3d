"""The port `Runtime` in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bao_backup.core.errors import InternalError, RestoreUnknownError
from bao_backup.core.model import Outcome, Result
from bao_backup.core.naming import is_check_run
from bao_backup.core.observed import (
    ClearTrigger,
    Emit,
    ForgetRun,
    Health,
    Observed,
    Run,
    RunState,
    StartCheck,
    StartRun,
    UnfinishedRestore,
)
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.ports import Clock


@dataclass(slots=True)
class RestoreRun:
    """A restore's run, which belongs to the cluster."""

    #: uid of the restore that it was made for
    restore: str
    uid: str = ""
    #: It was not released.
    held: bool = True
    #: None: it is under way.
    result: Result | None = None
    forgotten: bool = False

    @property
    def state(self) -> RunState:
        """Where it is."""
        return RunState.FINISHED if self.result is not None else RunState.UNFINISHED

    def seen(self, name: str) -> Run:
        """It, as managers see it."""
        return Run(name=name, state=self.state, result=self.result, uid=self.uid, held=self.held)


@dataclass(slots=True)
class _Cluster:
    document: OpenBaoCluster
    generation: int = 1
    status: BackupStatus = field(default_factory=BackupStatus)
    lock: OperationLock | None = None
    version: int = 1
    trigger: str = ""
    #: Backups and checks, by name; None: it is under way.
    runs: dict[str, Result | None] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    #: By name.
    restore_runs: dict[str, RestoreRun] = field(default_factory=dict)
    events: list[Emit] = field(default_factory=list)


class MemoryRuntime:
    """Clusters, their status and their runs.

    Args:
        clock: the time.
        health: answers for the server; None where the manager cannot ask it.
    """

    def __init__(self, clock: Clock, health: Callable[[str], Health] | None = None) -> None:
        self._clock = clock
        self._health = health
        self._clusters: dict[str, _Cluster] = {}
        #: Gives the unfinished restores of a cluster, by namespace and name; None: there are no documents.
        self._restores_of: Callable[[str, str], tuple[UnfinishedRestore, ...]] | None = None
        #: Every run that was really started: cluster and run, in order.
        self.started: list[tuple[str, StartRun]] = []
        #: The same for checks.
        self.checks: list[tuple[str, StartCheck]] = []

    # --- what the world does -------------------------------------------------------------------

    def put_document(self, document: OpenBaoCluster) -> str:
        """Configure a cluster, or change its document; answers with its uid."""
        known = self._clusters.get(document.identity)
        if known is None:
            self._clusters[document.identity] = _Cluster(document)
        elif known.document != document:
            known.document = document
            known.generation += 1
        return document.identity

    def remove_document(self, uid: str) -> None:
        """The cluster is not configured any more."""
        del self._clusters[uid]

    def ask(self, uid: str, value: str) -> None:
        """Ask for a manual run."""
        self._cluster(uid).trigger = value

    def end(self, uid: str, name: str, result: Result | None) -> None:
        """A run ends, with a result or (None) without one."""
        runs = self._cluster(uid).runs
        if name not in runs:
            raise InternalError(f"end {name}", "there is no such run")
        runs[name] = result if result is not None else _no_result(name, self._clock.now())

    def end_restore(self, uid: str, name: str, result: Result | None) -> None:
        """A restore's run ends, with a result or (None) without one; its document may be gone."""
        run = self._cluster(uid).restore_runs.get(name)
        if run is None or run.held:
            raise InternalError(f"end {name}", "no such run has begun")
        unknown = RestoreUnknownError.exit_code
        run.result = result if result is not None else _no_result(name, self._clock.now(), unknown)

    def under_way(self) -> list[tuple[str, str]]:
        """Cluster and name of each run that has not ended."""
        return [
            (uid, name)
            for uid, cluster in self._clusters.items()
            for name, result in cluster.runs.items()
            if result is None
        ]

    def status(self, uid: str) -> BackupStatus:
        """The status as it was saved last."""
        return self._cluster(uid).status

    def lock(self, uid: str) -> OperationLock | None:
        """The lock as it was saved last."""
        return self._cluster(uid).lock

    def events(self, uid: str) -> list[Emit]:
        """What people were told, oldest first."""
        return list(self._cluster(uid).events)

    # --- what restores need of a cluster --------------------------------------------------------

    def show_restores(self, of: Callable[[str, str], tuple[UnfinishedRestore, ...]]) -> None:
        """From now on clusters know their unfinished restores, which `of` gives by namespace and name."""
        self._restores_of = of

    def find(self, namespace: str, name: str) -> str | None:
        """The uid of the cluster of this name; None when there is none."""
        for uid, cluster in self._clusters.items():
            metadata = cluster.document.metadata
            if (metadata.namespace, metadata.name) == (namespace, name):
                return uid
        return None

    def restore_runs(self, namespace: str, name: str) -> dict[str, RestoreRun]:
        """The restores' runs of a cluster, by name, also those that are forgotten; without it none."""
        uid = self.find(namespace, name)
        return self._cluster(uid).restore_runs if uid is not None else {}

    async def save_lock(self, uid: str, version: str, lock: OperationLock | None) -> bool:
        """Write the lock alone, unless the version is not the newest any more: then False."""
        return await self.save(uid, version, self._cluster(uid).status, lock)

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[Observed, str]:
        cluster = self._cluster(uid)
        runs = [
            Run(name=name, state=RunState.FINISHED if result else RunState.UNFINISHED, result=result)
            for name, result in cluster.runs.items()
            if name not in cluster.forgotten
        ]
        namespace, name = cluster.document.metadata.namespace, cluster.document.metadata.name
        observed = Observed(
            namespace=namespace,
            name=name,
            uid=uid,
            generation=cluster.generation,
            document=cluster.document,
            status=cluster.status,
            lock=cluster.lock,
            restores=self._restores_of(namespace, name) if self._restores_of is not None else None,
            runs=tuple(run for run in runs if not is_check_run(run.name)),
            check_runs=tuple(run for run in runs if is_check_run(run.name)),
            restore_runs=tuple(
                run.seen(name) for name, run in cluster.restore_runs.items() if not run.forgotten
            ),
            trigger=cluster.trigger,
            can_ask_health=self._health is not None,
        )
        return observed, str(cluster.version)

    async def ask_health(self, uid: str) -> Health:
        if self._health is None:
            raise InternalError(f"ask the health of {uid}", "this runtime cannot")
        return self._health(uid)

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        cluster = self._cluster(uid)
        if version != str(cluster.version):
            return False
        cluster.status, cluster.lock, cluster.version = status, lock, cluster.version + 1
        return True

    async def start(self, uid: str, run: StartRun) -> None:
        runs = self._cluster(uid).runs
        if run.name not in runs:
            runs[run.name] = None
            self.started.append((uid, run))

    async def start_check(self, uid: str, run: StartCheck) -> None:
        runs = self._cluster(uid).runs
        if run.name not in runs:
            runs[run.name] = None
            self.checks.append((uid, run))

    async def forget(self, uid: str, run: ForgetRun) -> None:
        cluster = self._cluster(uid)
        if cluster.runs.get(run.name) is not None:
            cluster.forgotten.add(run.name)
        restore_run = cluster.restore_runs.get(run.name)
        if restore_run is not None and restore_run.held:
            del cluster.restore_runs[run.name]
        elif restore_run is not None and restore_run.result is not None:
            restore_run.forgotten = True

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        cluster = self._cluster(uid)
        if cluster.trigger == request.value:
            cluster.trigger = ""

    async def emit(self, uid: str, event: Emit) -> None:
        self._cluster(uid).events.append(event)

    def _cluster(self, uid: str) -> _Cluster:
        cluster = self._clusters.get(uid)
        if cluster is None:
            raise InternalError(f"find the cluster {uid}", "it is not configured")
        return cluster


def _no_result(name: str, now: datetime, exit_code: int = InternalError.exit_code) -> Result:
    return Result(
        outcome=Outcome.FAILED,
        reason="NoResult",
        message=f"the run {name} ended without a result",
        exit_code=exit_code,
        started=now,
        finished=now,
    )
