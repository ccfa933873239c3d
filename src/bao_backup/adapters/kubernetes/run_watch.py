"""Looks after runs of which no event comes: pods that cannot start, nodes that are gone, lost events."""

from __future__ import annotations

from bao_backup.adapters.kubernetes.api import JOBS, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_jobs import cluster_uid
from bao_backup.adapters.kubernetes.names import ENDED_BECAUSE
from bao_backup.adapters.kubernetes.outcome import could_not_start, hung, is_finished, needs_pods
from bao_backup.adapters.kubernetes.reasons import ended_because
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.core.errors import (
    BaoBackupError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesMissingError,
)
from bao_backup.ports import Clock

#: How often a run is looked at that gives cause to, and any that is under way at all, in seconds.
LOOK_EVERY = 15.0
READ_AGAIN_EVERY = 300.0


class RunWatch:
    """Nothing is asked of the API server while no run is under way.

    Args:
        api: the API server.
        runtime: whose runs these are.
        clock: the time.
    """

    def __init__(self, api: KubernetesApi, runtime: KubernetesRuntime, clock: Clock) -> None:
        self._api = api
        self._runtime = runtime
        self._clock = clock
        #: Job's uid -> when its pods were looked at last, when it was read anew last
        self._looked: dict[str, float] = {}
        self._read: dict[str, float] = {}

    async def look(self) -> None:
        """Look once at each run that it is time for. Raises a KubernetesError; call it again then."""
        under_way = [
            job for job in self._runtime.known.jobs.all() if cluster_uid(job) and not is_finished(job)
        ]
        uids = {job["metadata"]["uid"] for job in under_way}
        self._looked = {uid: at for uid, at in self._looked.items() if uid in uids}
        self._read = {uid: at for uid, at in self._read.items() if uid in uids}
        failure: BaoBackupError | None = None
        for job in under_way:
            try:
                await self._look_after(job, self._clock.monotonic())
            except BaoBackupError as error:
                failure = failure or error  # the others are looked at all the same
        if failure is not None:
            raise failure

    async def _look_after(self, job: Json, now: float) -> None:
        uid = job["metadata"]["uid"]
        looked = self._looked.get(uid, -LOOK_EVERY)
        if now - self._read.setdefault(uid, now) >= READ_AGAIN_EVERY:
            self._read[uid] = now
            await self._runtime.runs.read_again(job)
        elif needs_pods(job, self._clock.now()) and now - looked >= LOOK_EVERY:
            self._looked[uid] = now
            await self._look_at(job)

    async def _look_at(self, job: Json) -> None:
        pods, events = await self._runtime.runs.look_at(job)
        verdict = could_not_start(job, pods, events, self._clock.now())
        if verdict is not None:
            await self._end(job, *verdict)
        elif hung(job, pods, self._clock.now()):
            self._runtime.known.tell_of(job)

    async def _end(self, job: Json, reason: str, message: str) -> None:
        """Have Kubernetes end the Job, with the reason on it; its end comes as any other's does."""
        metadata = job["metadata"]
        change = {
            "metadata": {"annotations": {ENDED_BECAUSE: ended_because(reason, message)}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        try:
            body = await self._api.patch(JOBS, metadata["namespace"], metadata["name"], change)
        except KubernetesMissingError:
            self._runtime.known.drop_job(job)
        else:
            self._runtime.known.take_job(body)
