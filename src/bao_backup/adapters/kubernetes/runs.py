"""Jobs as runs, of backups and restores alike: begun with what they need, looked at, and let go of."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from bao_backup.adapters.kubernetes.api import EVENTS, JOBS, PODS, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_jobs import cluster_uid, is_forgotten
from bao_backup.adapters.kubernetes.known_objects import KnownObjects
from bao_backup.adapters.kubernetes.manifests import RunObjects
from bao_backup.adapters.kubernetes.names import RECORDED, RELEASED
from bao_backup.adapters.kubernetes.outcome import (
    created_pods,
    is_finished,
    is_held,
    is_ours,
    needs_pods,
    run_of,
)
from bao_backup.adapters.kubernetes.run_parts import RunParts
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesMissingError,
    KubernetesRefusedError,
)
from bao_backup.core.observed import Run, RunState
from bao_backup.ports import Clock

#: How long a Job is kept to look at once its end is in the status, in seconds.
KEPT_SECONDS = 24 * 3600


class Runs:
    """All runs of all clusters; what became of one that is over is asked once.

    Args:
        api: the API server.
        known: what it showed of Jobs.
        clock: the time.
    """

    def __init__(self, api: KubernetesApi, known: KnownObjects, clock: Clock) -> None:
        self._api = api
        self._known = known
        self._clock = clock
        self._parts = RunParts(api, clock)
        #: uid of a Job that is over -> what became of it
        self._ended: dict[str, Run] = {}

    async def begin(self, uid: str, namespace: str, objects: RunObjects) -> None:
        """Make the Job of the cluster `uid` and what it needs; raises a KubernetesError.

        A Job of that name may exist already: then somebody else, or we ourselves before, made it.
        """
        await self._parts.ensure(uid, namespace, objects)
        job = objects.job
        try:
            self._known.take_job(await self._api.create(JOBS, namespace, job), by_us=True)
        except KubernetesConflictError:
            self._known.take_job(await self._api.get(JOBS, namespace, job["metadata"]["name"]))

    async def of(self, job: Json, uid: str) -> Run:
        """What became of a Job of the cluster `uid`; of another manager's only whether it is over."""
        metadata = job["metadata"]
        if cluster_uid(job) != uid:
            return stranger(job)
        ended = self._ended.get(metadata["uid"])
        if ended is not None:
            return ended
        now = self._clock.now()
        pods, events = await self.look_at(job) if needs_pods(job, now) else ([], [])
        run = run_of(job, pods, events, now)
        if run.state is RunState.FINISHED:
            self._ended[metadata["uid"]] = run
            if run.result is None or not run.result.succeeded:
                self._parts.let_go(uid)
        return run

    async def look_at(self, job: Json) -> tuple[list[Json], list[Json]]:
        """The Job's Pods, and the events of it and of them, also of those that are gone.

        Nobody asks for the events of a Job that went well.
        """
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        pods = [pod async for pod in self._api.list(PODS, namespace, labelSelector=selector)]
        if (job.get("status") or {}).get("succeeded"):
            return pods, []
        events = await self._events_of(namespace, name)
        for each in {pod["metadata"]["name"] for pod in pods} | set(created_pods(job, events)):
            events += await self._events_of(namespace, each)
        return pods, events

    async def forget(self, job: Json) -> Run | None:
        """Its end is in the status: it lives on for a while. Gives what it was, the first time."""
        if not is_finished(job) or is_forgotten(job):
            return None
        ended = self._ended.get(job["metadata"]["uid"])
        await self.live_on(job, KEPT_SECONDS)
        return ended

    async def live_on(self, job: Json, seconds: int) -> None:
        """Note that its end is in the status, and let Kubernetes remove the Job so long after it."""
        metadata = job["metadata"]
        change = {
            "metadata": {"annotations": {RECORDED: "true"}},
            "spec": {"ttlSecondsAfterFinished": seconds},
        }
        with suppress(KubernetesMissingError):
            body = await self._api.patch(JOBS, metadata["namespace"], metadata["name"], change)
            self._known.take_job(body, by_us=True)
        self._ended.pop(metadata["uid"], None)

    async def release(self, job: Json) -> None:
        """Let a Job that is held begin; nothing happens when it is gone, or another is there."""
        metadata = job["metadata"]
        change = {
            "metadata": {"uid": metadata["uid"], "annotations": {RELEASED: "true"}},
            "spec": {"suspend": False},
        }
        try:
            body = await self._api.patch(JOBS, metadata["namespace"], metadata["name"], change)
        except KubernetesMissingError:
            self._known.drop_job(job)
        except KubernetesRefusedError:
            await self.read_again(job)
            there = self._known.jobs.named(metadata["namespace"], metadata["name"])
            if there is not None and there["metadata"]["uid"] == metadata["uid"]:
                raise  # else it is another, whose uid does not change
        else:
            self._known.take_job(body, by_us=True)

    async def discard(self, job: Json) -> None:
        """Remove the Job, which is over or held, with its Pods, unless it was changed since it was seen."""
        metadata = job["metadata"]
        names = metadata["namespace"], metadata["name"], metadata["uid"]
        try:
            await self._api.delete(JOBS, *names, metadata["resourceVersion"])
        except KubernetesConflictError:
            await self.read_again(job)
            return
        except KubernetesMissingError:
            pass
        self._ended.pop(metadata["uid"], None)
        self._known.drop_job(job)

    async def find(self, namespace: str, name: str) -> None:
        """Take in the Job of that name, if there is one, which nobody told of."""
        with suppress(KubernetesMissingError):
            self._known.take_job(await self._api.get(JOBS, namespace, name), by_us=True)

    async def read_again(self, job: Json) -> None:
        """No event of it may have come, or none comes at all."""
        metadata = job["metadata"]
        try:
            body = await self._api.get(JOBS, metadata["namespace"], metadata["name"])
        except KubernetesMissingError:
            self._known.drop_job(job)
        else:
            self._known.take_job(body)

    def let_go(self, uid: str) -> None:
        """The cluster is gone."""
        self._parts.let_go(uid)

    async def _events_of(self, namespace: str, name: str) -> list[Json]:
        field = f"involvedObject.name={name}"
        return [event async for event in self._api.list(EVENTS, namespace, fieldSelector=field)]


def stranger(job: Json) -> Run:
    """A Job that is not this cluster's: its result is for others to read."""
    return replace(namesake(job), ours=False)


def namesake(job: Json) -> Run:
    """A Job that is not this restore's, and has the name of its run."""
    state = RunState.FINISHED if is_finished(job) else RunState.UNFINISHED
    metadata = job["metadata"]
    return Run(name=metadata["name"], state=state, ours=is_ours(job), uid=metadata["uid"], held=is_held(job))
