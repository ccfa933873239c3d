"""The port `RestoreRuntime` on Kubernetes: restores are objects, their runs are Jobs of their clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from msgspec.structs import replace

from bao_backup.adapters.kubernetes.api import EVENTS, RESTORES, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_jobs import cluster_uid, is_forgotten, is_watched, restore_uid
from bao_backup.adapters.kubernetes.known_restores import KnownRestore, Place
from bao_backup.adapters.kubernetes.manifests import restore_objects
from bao_backup.adapters.kubernetes.object_event import event_of
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.outcome import is_finished, is_held
from bao_backup.adapters.kubernetes.restore_counts import RestoreCounts
from bao_backup.adapters.kubernetes.runs import namesake
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.adapters.kubernetes.status_patch import restore_lacks, restore_patch
from bao_backup.core.errors import BaoBackupError, DocumentError, InternalError, Problem
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
    KubernetesRefusedError,
)
from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Emit, ForgetRun, Run, RunState
from bao_backup.core.restore_spec import RestorePhase, RestoreStatus
from bao_backup.core.restoring import (
    DiscardRun,
    ObservedRestore,
    ReleaseRun,
    RestoreVersions,
    StartRestore,
)
from bao_backup.core.result import failed
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import OperationLock
from bao_backup.ports import Clock


class KubernetesRestores:
    """Restores as the API shows them, beside the clusters that a `KubernetesRuntime` knows.

    Args:
        api: the API server.
        clusters: what is known of clusters, restores and Jobs.
        clock: the time.
        options: what all runs' Jobs have in common.
        tell: told of every event, with "namespace/name" of the restore.
        changed: told the uid of each restore that there is news of.
        gone: told the uid of each restore that was deleted.
    """

    def __init__(
        self,
        api: KubernetesApi,
        clusters: KubernetesRuntime,
        *,
        clock: Clock,
        options: JobOptions,
        tell: Callable[[str, Emit], None],
        changed: Callable[[str], None],
        gone: Callable[[str], None],
    ) -> None:
        self._api = api
        self._clusters = clusters
        self._known, self._runs = clusters.known, clusters.runs
        self._clock = clock
        self._options = options
        self._tell = tell
        self._changed = changed
        self._gone = gone
        #: uid of a restore -> its run, which the API did not let us start
        self._refused: dict[str, Run] = {}
        #: uids of restores of which people were told that the run cannot be made, or released, just now
        self._told_late: set[str] = set()
        #: Fields of the status that the installed schema has no room for; and what was to be in them.
        self._lacking: frozenset[str] = frozenset()
        self._meant: dict[str, RestoreStatus] = {}
        #: Place of a cluster -> how its restores ended
        self.counted: defaultdict[Place, RestoreCounts] = defaultdict(RestoreCounts)
        self._known.tell_of_restores(changed, self._let_go)

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[ObservedRestore, RestoreVersions]:
        known = self._known.restore(uid)
        document, problems = known.read_document()
        status = self._read_status(known)
        cluster, cluster_version = None, ""
        read: tuple[OpenBaoCluster | None, tuple[Problem, ...]] = (None, ())
        of = self._known.named(known.namespace, known.cluster)
        if of is not None:
            cluster, cluster_version = await self._clusters.observe(of.uid)
            if document is not None:
                read = of.read_for_restore(document)
        job = self._job(known)
        run, other = self._refused.get(uid), None
        if job is None and status.phase is RestorePhase.RUNNING:
            # Before it is said to be gone: the list of Jobs may be older than what told of the restore.
            await self._runs.find(known.namespace, restore_run_name(known.name))
            job = self._job(known)
        if job is not None and not is_watched(job):
            await self._runs.read_again(job)
            job = self._job(known)
        if job is not None and restore_uid(job) != uid:
            other = namesake(job)
        elif job is not None and not is_forgotten(job):
            run = await self._runs.of(job, cluster_uid(job))
        observed = ObservedRestore(
            namespace=known.namespace,
            name=known.name,
            uid=uid,
            generation=known.generation,
            document=replace(document, status=status) if document is not None else None,
            problems=problems,
            status=status,
            created=known.created,
            leaving=known.leaving,
            cluster=cluster,
            cluster_document=read[0],
            cluster_problems=read[1],
            run=run,
            namesake=other,
        )
        return observed, RestoreVersions(known.version, cluster_version)

    async def save(self, uid: str, versions: RestoreVersions, status: RestoreStatus) -> bool:
        known = self._known.find_restore(uid)
        if known is None or versions.restore != known.version:
            return False
        self._meant[uid] = status
        change = restore_patch(known.raw_status(), status, self._lacking)
        if not change:
            return True
        body = {"metadata": {"resourceVersion": known.version}, "status": change}
        try:
            answer = await self._api.patch(RESTORES, known.namespace, known.name, body, part="status")
        except KubernetesMissingError:
            self._known.drop_restore({"metadata": {"uid": uid}})
            return False
        except KubernetesConflictError:
            await self._look_again(known)
            return False
        self.counted[known.namespace, known.cluster].see(known.read_status().phase, status)
        self._known.take_restore(answer, by_us=True)
        self._lacking |= restore_lacks(answer.get("status") or {}, status)
        return True

    async def save_lock(self, uid: str, versions: RestoreVersions, lock: OperationLock | None) -> bool:
        known = self._known.find_restore(uid)
        of = self._known.named(known.namespace, known.cluster) if known is not None else None
        return of is not None and await self._clusters.save_lock(of.uid, versions.cluster, lock)

    async def start(self, uid: str, run: StartRestore) -> None:
        known = self._known.restore(uid)
        if self._job(known) is not None or uid in self._refused:
            return
        of = self._known.named(known.namespace, known.cluster)
        document, problems = known.read_document()
        if of is None:
            raise InternalError(f"start {run.name}", f"there is no cluster {known.cluster}")
        try:
            if document is None:
                raise DocumentError(f"start {run.name}", problems)
            cluster, wrong = of.read_for_restore(document)
            if cluster is None:
                raise DocumentError(f"start {run.name}", wrong)
            objects = restore_objects(document, cluster, run.name, self._options)
            await self._runs.begin(of.uid, known.namespace, objects)
        except (DocumentError, KubernetesDeniedError, KubernetesRefusedError) as error:
            self._refuse(uid, run, error)
        except KubernetesError as error:
            await self._tell_late(uid, error)
            raise
        self._told_late.discard(uid)

    async def release(self, uid: str, run: ReleaseRun) -> None:
        job = self._job(self._known.restore(uid))
        if job is not None and job["metadata"]["uid"] == run.uid and is_held(job):
            try:
                await self._runs.release(job)
            except KubernetesError as error:
                await self._tell_late(uid, error)
                raise

    async def forget(self, uid: str, run: ForgetRun) -> None:
        self._refused.pop(uid, None)
        job = self._job(self._known.restore(uid))
        if job is not None and restore_uid(job) == uid and job["metadata"]["name"] == run.name:
            await self._runs.forget(job)

    async def discard(self, uid: str, run: DiscardRun) -> None:
        job = self._job(self._known.restore(uid))
        if job is None or job["metadata"]["name"] != run.name:
            return
        if is_held(job) or (is_finished(job) and restore_uid(job) != uid):
            await self._runs.discard(job)

    async def emit(self, uid: str, event: Emit) -> None:
        known = self._known.restore(uid)
        name = f"{known.namespace}/{known.name}"
        self._tell(name, event)
        try:
            body = event_of("OpenBaoRestore", known, event, self._clock.now())
            await self._api.create(EVENTS, known.namespace, body)
        except KubernetesError as error:
            # It is in the log, and what matters is in the status.
            self._tell(name, Emit(reason="EventNotWritten", message=error.message, warning=True))

    # --- the rest ------------------------------------------------------------------------------

    def _job(self, known: KnownRestore) -> Json | None:
        """The Job that has the name of the restore's run, whoever made it."""
        return self._known.jobs.named(known.namespace, restore_run_name(known.name))

    def _refuse(self, uid: str, run: StartRestore, error: BaoBackupError) -> None:
        """The run did not begin, and never will as it is: that is how it ended."""
        now = self._clock.now()
        result = failed(error, started=now, finished=now)
        self._refused[uid] = Run(name=run.name, state=RunState.FINISHED, result=result)
        self._changed(uid)

    async def _tell_late(self, uid: str, error: KubernetesError) -> None:
        """Once: the status says no more than that the run is being started, or is under way."""
        told = uid in self._told_late or self._known.find_restore(uid) is None
        if not told and not isinstance(error, KubernetesConflictError):
            self._told_late.add(uid)
            await self.emit(uid, Emit(reason="RestoreStartFailed", message=error.message, warning=True))

    def _read_status(self, known: KnownRestore) -> RestoreStatus:
        """As it is, with what the installed schema has no room for as it was meant."""
        status, meant = known.read_status(), self._meant.get(known.uid)
        if meant is None or not self._lacking or meant.phase is not status.phase:
            return status
        fields = {name: getattr(meant, name) for name in meant.__struct_fields__}
        names = dict(zip(meant.__struct_encode_fields__, meant.__struct_fields__, strict=True))
        return replace(status, **{names[each]: fields[names[each]] for each in self._lacking})

    async def _look_again(self, known: KnownRestore) -> None:
        """Somebody changed the object, and the event of it may be long in coming."""
        try:
            body = await self._api.get(RESTORES, known.namespace, known.name)
        except KubernetesMissingError:
            self._known.drop_restore({"metadata": {"uid": known.uid}})
        else:
            self._known.take_restore(body)

    def _let_go(self, uid: str) -> None:
        self._refused.pop(uid, None)
        self._told_late.discard(uid)
        self._meant.pop(uid, None)
        self._gone(uid)
