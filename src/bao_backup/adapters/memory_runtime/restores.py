"""The port `RestoreRuntime` in memory, over the clusters of a `MemoryRuntime`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from bao_backup.adapters.memory_runtime.clusters import MemoryRuntime, RestoreRun
from bao_backup.core.errors import DocumentError, InternalError, Problem
from bao_backup.core.model import Result
from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Emit, ForgetRun, UnfinishedRestore
from bao_backup.core.restore_spec import (
    FINAL_PHASES,
    OpenBaoRestore,
    RestoreStatus,
    cluster_under_restore,
    never_begins,
    parse_restore,
)
from bao_backup.core.restoring import (
    DiscardRun,
    ObservedRestore,
    ReleaseRun,
    RestoreVersions,
    StartRestore,
)
from bao_backup.core.status import OperationLock
from bao_backup.ports import Clock


@dataclass(slots=True)
class _Restore:
    namespace: str
    name: str
    created: datetime
    #: The name of its cluster, also of a document that is wrong.
    cluster: str
    document: OpenBaoRestore | None
    problems: tuple[Problem, ...]
    status: RestoreStatus
    version: int = 1
    leaving: bool = False
    events: list[Emit] = field(default_factory=list)


class MemoryRestores:
    """Restores, their status and their runs; a run belongs to its cluster, and outlives the restore.

    Args:
        clusters: where the clusters are, which know of these restores from now on.
        clock: the time.
    """

    def __init__(self, clusters: MemoryRuntime, clock: Clock) -> None:
        self._clusters = clusters
        self._clock = clock
        self._restores: dict[str, _Restore] = {}
        #: Every run that was really made, and every one that really began: restore's uid and run, in order.
        self.made: list[tuple[str, StartRestore]] = []
        self.started: list[tuple[str, ReleaseRun]] = []
        clusters.show_restores(self._unfinished)

    # --- what the world does -------------------------------------------------------------------

    def put_document(self, content: Mapping[str, Any]) -> str:
        """Somebody asks for a restore, by a right or a wrong document; answers with its uid."""
        metadata = content["metadata"]
        namespace, name = metadata.get("namespace", "default"), metadata["name"]
        uid: str = metadata.get("uid") or f"{namespace}/{name}"
        document: OpenBaoRestore | None = None
        problems: tuple[Problem, ...] = ()
        try:
            document = parse_restore(content, strict=True)
        except DocumentError as error:
            problems = error.problems
        self._restores[uid] = _Restore(
            namespace=namespace,
            name=name,
            created=self._clock.now(),
            cluster=cluster_under_restore({"spec": content.get("spec")}),
            document=document,
            problems=problems,
            status=document.status if document else RestoreStatus(),
        )
        return uid

    def remove_document(self, uid: str) -> None:
        """Somebody deletes the document; its run goes on."""
        del self._restores[uid]

    def begin_removal(self, uid: str) -> None:
        """Somebody deletes the document, and something keeps it a while."""
        restore = self._restore(uid)
        restore.leaving = True
        restore.version += 1

    def end(self, uid: str, result: Result | None) -> None:
        """The restore's run ends, with a result or (None) without one."""
        restore = self._restore(uid)
        cluster = self._clusters.find(restore.namespace, restore.cluster)
        if cluster is None or self._own_run(uid) is None:
            raise InternalError(f"end the run of {uid}", "there is none")
        self._clusters.end_restore(cluster, restore_run_name(restore.name), result)

    def lose_run(self, uid: str) -> None:
        """Somebody removes the restore's run, whatever became of it."""
        restore = self._restore(uid)
        self._clusters.restore_runs(restore.namespace, restore.cluster).pop(restore_run_name(restore.name))

    def status(self, uid: str) -> RestoreStatus:
        """The status as it was saved last."""
        return self._restore(uid).status

    def events(self, uid: str) -> list[Emit]:
        """What people were told, oldest first."""
        return list(self._restore(uid).events)

    def uids(self) -> list[str]:
        """Of all restores that have a document."""
        return list(self._restores)

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[ObservedRestore, RestoreVersions]:
        restore = self._restore(uid)
        cluster_uid = self._clusters.find(restore.namespace, restore.cluster)
        cluster, cluster_version = None, ""
        if cluster_uid is not None:
            cluster, cluster_version = await self._clusters.observe(cluster_uid)
        name = restore_run_name(restore.name)
        run = self._clusters.restore_runs(restore.namespace, restore.cluster).get(name)
        own, known = run is not None and run.restore == uid, None
        if run is not None:
            known = run.seen(name)
        observed = ObservedRestore(
            namespace=restore.namespace,
            name=restore.name,
            uid=uid,
            generation=1,
            document=replace(restore.document, status=restore.status) if restore.document else None,
            problems=restore.problems,
            status=restore.status,
            created=restore.created,
            leaving=restore.leaving,
            cluster=cluster,
            cluster_document=cluster.document if cluster is not None else None,
            run=known if own and run is not None and not run.forgotten else None,
            namesake=None if own else known,
        )
        return observed, RestoreVersions(str(restore.version), cluster_version)

    async def save(self, uid: str, versions: RestoreVersions, status: RestoreStatus) -> bool:
        restore = self._restores.get(uid)
        if restore is None or versions.restore != str(restore.version):
            return False
        restore.status, restore.version = status, restore.version + 1
        return True

    async def save_lock(self, uid: str, versions: RestoreVersions, lock: OperationLock | None) -> bool:
        restore = self._restores.get(uid)
        cluster_uid = self._clusters.find(restore.namespace, restore.cluster) if restore else None
        if cluster_uid is None:
            return False
        return await self._clusters.save_lock(cluster_uid, versions.cluster, lock)

    async def start(self, uid: str, run: StartRestore) -> None:
        restore = self._restore(uid)
        if self._clusters.find(restore.namespace, restore.cluster) is None:
            raise InternalError(f"start {run.name}", f"there is no cluster {restore.cluster}")
        runs = self._clusters.restore_runs(restore.namespace, restore.cluster)
        if run.name not in runs:
            self.made.append((uid, run))
            runs[run.name] = RestoreRun(restore=uid, uid=f"run-{len(self.made)}")

    async def release(self, uid: str, run: ReleaseRun) -> None:
        own = self._own_run(uid)
        if own is not None and own.held and own.uid == run.uid:
            own.held = False
            self.started.append((uid, run))

    async def forget(self, uid: str, run: ForgetRun) -> None:
        own = self._own_run(uid)
        if own is not None and own.result is not None and run.name == self._run_name(uid):
            own.forgotten = True

    async def discard(self, uid: str, run: DiscardRun) -> None:
        restore = self._restore(uid)
        runs = self._clusters.restore_runs(restore.namespace, restore.cluster)
        there = runs.get(run.name)
        if there is not None and (there.held or (there.restore != uid and there.result is not None)):
            del runs[run.name]

    async def emit(self, uid: str, event: Emit) -> None:
        self._restore(uid).events.append(event)

    # --- the rest ------------------------------------------------------------------------------

    def _unfinished(self, namespace: str, cluster: str) -> tuple[UnfinishedRestore, ...]:
        return tuple(
            UnfinishedRestore(name=restore.name, created=restore.created)
            for restore in self._restores.values()
            if (restore.namespace, restore.cluster) == (namespace, cluster)
            and restore.status.phase not in FINAL_PHASES
            and not never_begins(restore.status.phase, leaving=restore.leaving)
        )

    def _run_name(self, uid: str) -> str:
        return restore_run_name(self._restore(uid).name)

    def _own_run(self, uid: str) -> RestoreRun | None:
        restore = self._restore(uid)
        run = self._clusters.restore_runs(restore.namespace, restore.cluster).get(self._run_name(uid))
        return run if run is not None and run.restore == uid else None

    def _restore(self, uid: str) -> _Restore:
        restore = self._restores.get(uid)
        if restore is None:
            raise InternalError(f"find the restore {uid}", "it is not there")
        return restore
