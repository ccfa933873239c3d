"""The port `Runtime` on Kubernetes: documents and status are objects, runs are Jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from bao_backup.adapters.kubernetes.api import EVENTS, KubernetesApi
from bao_backup.adapters.kubernetes.cluster_writes import ClusterWrites
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster
from bao_backup.adapters.kubernetes.known_jobs import (
    backs_up,
    checks,
    cluster_uid,
    finished_at,
    is_forgotten,
    restores,
)
from bao_backup.adapters.kubernetes.known_objects import KnownObjects
from bao_backup.adapters.kubernetes.manifests import check_objects, run_objects
from bao_backup.adapters.kubernetes.object_event import event_of
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.outcome import is_finished, is_held
from bao_backup.adapters.kubernetes.places import Places
from bao_backup.adapters.kubernetes.run_counts import RunCounts
from bao_backup.adapters.kubernetes.runs import Runs
from bao_backup.core.errors import (
    BaoBackupError,
    DocumentError,
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
    KubernetesRefusedError,
)
from bao_backup.core.model import Result
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
)
from bao_backup.core.result import failed
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.ports import Clock


class KubernetesRuntime:
    """Clusters as the API shows them, and Jobs for their runs.

    Args:
        api: the API server.
        clock: the time.
        options: what all runs' Jobs have in common.
        tell: told of every event, with "namespace/name" of the cluster.
        changed: told the uid of each cluster that there is news of.
        gone: told the uid of each cluster that was deleted.
        most_runs: how many runs may be under way at once; 0: no limit.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        clock: Clock,
        options: JobOptions,
        tell: Callable[[str, Emit], None],
        changed: Callable[[str], None],
        gone: Callable[[str], None],
        most_runs: int = 0,
    ) -> None:
        self._api = api
        self._clock = clock
        self._options = options
        self._tell = tell
        self._changed = changed
        self._gone = gone
        self._places = Places(most_runs, changed)
        self.known = KnownObjects(changed, self._let_go)
        self.runs = Runs(api, self.known, clock)
        self._writes = ClusterWrites(api, self.known)
        #: cluster's uid -> its runs that the API did not let us start
        self._refused: dict[str, dict[str, Run]] = {}
        self.counted: defaultdict[str, RunCounts] = defaultdict(RunCounts)

    async def begin(self, namespaces: Sequence[str]) -> dict[str, KubernetesError]:
        """See all that there is, of which this manager has seen nothing begin; as `take_all`."""
        refused = await self.known.take_all(self._api, namespaces)
        for known in self.known.clusters.values():
            self._places.see(known.uid, known.read_status())
        return refused

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[Observed, str]:
        known = self.known.cluster(uid)
        document, problems = known.read_document()
        jobs = [job for job in self.known.jobs.of(known.namespace, known.name) if not is_forgotten(job)]
        runs = [await self.runs.of(job, uid) for job in jobs if backs_up(job)]
        refused = self._refused.get(uid, {}).values()
        observed = Observed(
            namespace=known.namespace,
            name=known.name,
            uid=uid,
            generation=known.generation,
            document=document,
            problems=problems,
            status=known.read_status(),
            lock=known.read_lock(),
            restores=self.known.restores_of(known),
            runs=(*runs, *(run for run in refused if not is_check_run(run.name))),
            restore_runs=tuple([await self.runs.of(job, uid) for job in jobs if restores(job)]),
            check_runs=(
                *[await self.runs.of(job, uid) for job in jobs if checks(job)],
                *(run for run in refused if is_check_run(run.name)),
            ),
            trigger=known.trigger,
            room=self._places.are_left_for(uid),
        )
        return observed, known.version

    async def ask_health(self, uid: str) -> Health:
        raise InternalError(f"ask the health of {uid}", "on Kubernetes the executor finds the leader")

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        known = self.known.cluster(uid)
        if version != known.version or not self._places.settle(uid, status):
            return False
        try:
            await self._writes.status(known, status, lock)
        except KubernetesMissingError:
            self._writes.gone(uid)
            return False
        except KubernetesError as error:
            self._places.settle(uid, known.read_status())
            if not isinstance(error, KubernetesConflictError):
                raise
            await self._writes.look_again(known)
            return False
        return True

    async def start(self, uid: str, run: StartRun) -> None:
        known = self.known.cluster(uid)
        if self.known.jobs.get(known.namespace, known.name, run.name) is not None:
            return
        document, problems = known.read_document()
        if document is None:
            raise DocumentError(f"start {run.name}", problems)
        try:
            objects = run_objects(document, run, self._options)
            await self.runs.begin(uid, known.namespace, objects)
        except (DocumentError, KubernetesDeniedError, KubernetesRefusedError) as error:
            self._refuse(uid, run, error)

    async def start_check(self, uid: str, run: StartCheck) -> None:
        known = self.known.cluster(uid)
        document, _ = known.read_document()
        taken = self.known.jobs.get(known.namespace, known.name, run.name) is not None
        if taken or document is None or run.name in self._refused.get(uid, {}):
            return
        try:
            await self.runs.begin(uid, known.namespace, check_objects(document, run.name, self._options))
        except (DocumentError, KubernetesDeniedError, KubernetesRefusedError) as error:
            now = self._clock.now()
            self._end_refused(uid, run.name, failed(error, started=now, finished=now))

    async def forget(self, uid: str, run: ForgetRun) -> None:
        refused = self._refused.get(uid, {}).pop(run.name, None)
        if refused is not None and not is_check_run(run.name):
            self._count(uid, refused)
        known = self.known.cluster(uid)
        job = self.known.jobs.get(known.namespace, known.name, run.name)
        if job is not None and cluster_uid(job) == uid and is_held(job):
            await self.runs.discard(job)
            return
        if job is None or cluster_uid(job) != uid or not is_finished(job):
            return
        ended = await self.runs.forget(job)
        if backs_up(job):
            self._count(uid, ended)
            await self._trim_history(known)

    async def save_lock(self, uid: str, version: str, lock: OperationLock | None) -> bool:
        """Write the lock alone, as `RestoreRuntime.save_lock`; whoever waits for it is told."""
        known = self.known.clusters.get(uid)
        if known is None or version != known.version:
            return False
        try:
            await self._writes.lock(known, lock)
        except KubernetesMissingError:
            self._writes.gone(uid)
            return False
        except KubernetesConflictError:
            await self._writes.look_again(known)
            return False
        self._changed(uid)
        return True

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        known = self.known.cluster(uid)
        if known.trigger != request.value:
            return
        try:
            await self._writes.clear_trigger(known)
        except KubernetesConflictError:
            await self._writes.look_again(known)  # the next round sees whether it is still there

    async def emit(self, uid: str, event: Emit) -> None:
        known = self.known.cluster(uid)
        self._tell(f"{known.namespace}/{known.name}", event)
        try:
            body = event_of("OpenBaoCluster", known, event, self._clock.now())
            await self._api.create(EVENTS, known.namespace, body)
        except KubernetesError as error:
            # It is in the log, and what matters is in the status.
            self._tell(
                f"{known.namespace}/{known.name}",
                Emit(reason="EventNotWritten", message=error.message, warning=True),
            )

    # --- runs ----------------------------------------------------------------------------------

    def _refuse(self, uid: str, run: StartRun, error: BaoBackupError) -> None:
        """The run did not begin, and never will as it is: that is how it ended."""
        now = self._clock.now()
        result = failed(error, started=now, finished=now, key=run.key, slot=run.slot, trigger=run.trigger)
        self._end_refused(uid, run.name, result)

    def _end_refused(self, uid: str, name: str, result: Result) -> None:
        self._refused.setdefault(uid, {})[name] = Run(name=name, state=RunState.FINISHED, result=result)
        self._changed(uid)

    async def _trim_history(self, known: KnownCluster) -> None:
        document, _ = known.read_document()
        if document is None or document.spec.backup is None:
            return  # nobody says how many: their time to live ends them
        keep = document.spec.backup.history_limit
        jobs = self.known.jobs.of(known.namespace, known.name)
        over = [job for job in jobs if is_forgotten(job) and backs_up(job)]
        over.sort(key=finished_at, reverse=True)
        for job in over[keep:]:
            if job["spec"]["ttlSecondsAfterFinished"] != 0:
                await self.runs.live_on(job, 0)

    def _count(self, uid: str, run: Run | None) -> None:
        if run is not None and run.result is not None:
            self.counted[uid].see(run.result)

    def _let_go(self, uid: str) -> None:
        self._refused.pop(uid, None)
        self._places.let_go(uid)
        self.counted.pop(uid, None)
        self.runs.let_go(uid)
        self._gone(uid)
