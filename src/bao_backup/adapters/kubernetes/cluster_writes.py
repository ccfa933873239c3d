"""What is written into a cluster's object: its status, its lock, two annotations; never its `spec`.

Each write names the resourceVersion that it was decided by, and what the API server answers is known
at once, before the event of it is here.
"""

from __future__ import annotations

from collections.abc import Mapping

from bao_backup.adapters.kubernetes.api import CLUSTERS, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster
from bao_backup.adapters.kubernetes.known_objects import KnownObjects
from bao_backup.adapters.kubernetes.names import MEMORY, TRIGGER
from bao_backup.adapters.kubernetes.status_patch import backup_patch, lacks, lock_patch, memory_of
from bao_backup.core.kubernetes_errors import KubernetesMissingError
from bao_backup.core.status import BackupStatus, OperationLock


class ClusterWrites:
    """Writes into the objects of clusters, as they are known.

    They raise KubernetesConflictError where somebody changed the object since, KubernetesMissingError
    where it is gone, other KubernetesError types where the API server does not take them.
    """

    def __init__(self, api: KubernetesApi, objects: KnownObjects) -> None:
        self._api = api
        self._objects = objects
        #: Fields of the status that the installed schema has no room for.
        self._lacking: frozenset[str] = frozenset()

    async def status(self, known: KnownCluster, status: BackupStatus, lock: OperationLock | None) -> None:
        """Write status and lock at once, and nothing where both are there.

        Where the status has no room for all of it, an annotation has: written after the status.
        """
        known = await self._status(known, status, lock)
        memory = memory_of(known.uid, status) if self._lacking else ""
        if memory != known.memory:
            await self._annotate(known, {MEMORY: memory or None})

    async def lock(self, known: KnownCluster, lock: OperationLock | None) -> None:
        """Write the lock alone."""
        await self._patch_status(known, {"operationLock": lock_patch(known.raw_status(), lock)})

    async def clear_trigger(self, known: KnownCluster) -> None:
        """Take the request for a manual run away."""
        await self._annotate(known, {TRIGGER: None})

    async def look_again(self, known: KnownCluster) -> None:
        """Somebody changed the object, and the event of it may be long in coming."""
        try:
            body = await self._api.get(CLUSTERS, known.namespace, known.name)
            self._objects.take_cluster(body, as_it_is=True)
        except KubernetesMissingError:
            self.gone(known.uid)

    def gone(self, uid: str) -> None:
        """The object is not there any more."""
        self._objects.drop_cluster({"metadata": {"uid": uid}})

    async def _status(
        self, known: KnownCluster, status: BackupStatus, lock: OperationLock | None
    ) -> KnownCluster:
        raw = known.raw_status()
        change: Json = {}
        if backup := backup_patch(raw, status, self._lacking):
            change["backup"] = backup
        if lock != known.read_lock():
            change["operationLock"] = lock_patch(raw, lock)
        if not change:
            return known
        answer = await self._patch_status(known, change)
        self._lacking |= lacks(answer.get("status") or {}, status)
        return KnownCluster.of(answer)

    async def _patch_status(self, known: KnownCluster, change: Json) -> Json:
        body = {"metadata": {"resourceVersion": known.version}, "status": change}
        answer = await self._api.patch(CLUSTERS, known.namespace, known.name, body, part="status")
        self._objects.take_cluster(answer, by_us=True)
        return answer

    async def _annotate(self, known: KnownCluster, annotations: Mapping[str, str | None]) -> None:
        metadata = {"resourceVersion": known.version, "annotations": annotations}
        answer = await self._api.patch(CLUSTERS, known.namespace, known.name, {"metadata": metadata})
        self._objects.take_cluster(answer, by_us=True)
