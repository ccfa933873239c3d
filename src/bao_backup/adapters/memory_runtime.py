"""The port `Runtime` in memory: for tests and trials. Its runs end when they are told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Outcome, Result
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Health, Observed, Run, RunState, StartRun
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.ports import Clock


@dataclass(slots=True)
class _Cluster:
    document: OpenBaoCluster
    generation: int = 1
    status: BackupStatus = field(default_factory=BackupStatus)
    lock: OperationLock | None = None
    version: int = 1
    trigger: str = ""
    #: By name; None: it is under way.
    runs: dict[str, Result | None] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
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
        #: Every run that was really started: cluster and run, in order.
        self.started: list[tuple[str, StartRun]] = []

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

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[Observed, str]:
        cluster = self._cluster(uid)
        runs = (
            Run(name=name, state=RunState.FINISHED if result else RunState.UNFINISHED, result=result)
            for name, result in cluster.runs.items()
            if name not in cluster.forgotten
        )
        observed = Observed(
            namespace=cluster.document.metadata.namespace,
            name=cluster.document.metadata.name,
            uid=uid,
            generation=cluster.generation,
            document=cluster.document,
            status=cluster.status,
            lock=cluster.lock,
            runs=tuple(runs),
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

    async def forget(self, uid: str, run: ForgetRun) -> None:
        cluster = self._cluster(uid)
        if cluster.runs.get(run.name) is not None:
            cluster.forgotten.add(run.name)

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


def _no_result(name: str, now: datetime) -> Result:
    return Result(
        outcome=Outcome.FAILED,
        reason="NoResult",
        message=f"the run {name} ended without a result",
        exit_code=8,
        started=now,
        finished=now,
    )
