"""All that the API showed so far: clusters, restores and Jobs, from one list and the events since.

Any event may be lost or come late: what is older than what is known is dropped, and `take_all` sees
what was deleted while nobody watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS, RESTORES, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster, is_newer
from bao_backup.adapters.kubernetes.known_jobs import SELECTOR, KnownJobs, cluster_uid
from bao_backup.adapters.kubernetes.names import CLUSTER, label_value
from bao_backup.core.errors import InternalError, KubernetesMissingError

#: Phases of an OpenBaoRestore that is over (crd.md, section 5).
_OVER = frozenset({"Completed", "Failed"})


class KnownObjects:
    """What is known of the API's objects.

    Args:
        changed: told the uid of each cluster that there is news of.
        gone: told the uid of each cluster that was deleted.
    """

    def __init__(self, changed: Callable[[str], None], gone: Callable[[str], None]) -> None:
        self._changed = changed
        self._gone = gone
        self.clusters: dict[str, KnownCluster] = {}
        self.jobs = KnownJobs()
        #: (namespace, label of the cluster) -> its uid
        self._uids: dict[tuple[str, str], str] = {}
        #: (namespace, cluster's name) -> names of its unfinished restores
        self._restores: dict[tuple[str, str], set[str]] = {}

    def cluster(self, uid: str) -> KnownCluster:
        """The cluster; InternalError when it is not known (any more)."""
        known = self.clusters.get(uid)
        if known is None:
            raise InternalError(f"find the cluster {uid}", "there is none of this uid")
        return known

    def restore_of(self, known: KnownCluster) -> str:
        """The name of an unfinished restore of the cluster; empty when there is none."""
        return min(self._restores.get((known.namespace, known.name), ()), default="")

    # --- what happens --------------------------------------------------------------------------

    def take_cluster(self, body: Mapping[str, Any], *, by_us: bool = False) -> None:
        """A cluster is there, or was changed; nobody is told of what we changed ourselves."""
        old = self.clusters.get(body["metadata"]["uid"])
        if old is not None and not is_newer(body["metadata"]["resourceVersion"], old.version):
            return
        new = KnownCluster.of(body)
        place = (new.namespace, label_value(new.name))
        before = self._uids.get(place)
        if before is not None and before != new.uid:
            self._drop(before)  # deleted and made anew, and nobody saw it
        self.clusters[new.uid] = new
        self._uids[place] = new.uid
        if not by_us:
            self._changed(new.uid)

    def drop_cluster(self, body: Mapping[str, Any]) -> None:
        """A cluster was deleted."""
        self._drop(body["metadata"]["uid"])

    def take_job(self, body: Mapping[str, Any], *, by_us: bool = False) -> None:
        """A Job is there, or was changed; nobody is told of what we changed ourselves."""
        if self.jobs.take(body) and not by_us:
            self._tell_of(body)

    def drop_job(self, body: Mapping[str, Any]) -> None:
        """A Job was deleted."""
        self.jobs.drop(body)
        self._tell_of(body)

    def take_restore(self, body: Mapping[str, Any], *, gone: bool = False) -> None:
        """A restore is there, was changed, or was deleted."""
        metadata, cluster = body["metadata"], (body.get("spec") or {}).get("cluster") or ""
        place = (metadata["namespace"], cluster)
        names = self._restores.setdefault(place, set())
        before = len(names)
        if gone or (body.get("status") or {}).get("phase") in _OVER:
            names.discard(metadata["name"])
        else:
            names.add(metadata["name"])
        changed = len(names) != before
        if not names:
            del self._restores[place]
        uid = self._uids.get((place[0], label_value(cluster)))
        if changed and uid is not None:
            self._changed(uid)

    async def take_all(self, api: KubernetesApi, namespaces: Iterable[str]) -> None:
        """List everything anew; what is known and not there any more is dropped.

        Without the kind of restores there are none; without clusters' kind this fails, as it must.
        """
        clusters, restores, jobs = set(), list[Json](), set()
        for namespace in namespaces:
            async for body in api.list(CLUSTERS, namespace):
                self.take_cluster(body)
                clusters.add(body["metadata"]["uid"])
            with suppress(KubernetesMissingError):
                restores += [body async for body in api.list(RESTORES, namespace)]
            async for body in api.list(JOBS, namespace, labelSelector=SELECTOR):
                self.take_job(body)
                jobs.add(body["metadata"]["uid"])
        for uid in set(self.clusters) - clusters:
            self._drop(uid)
        for job in [job for job in self.jobs.all() if job["metadata"]["uid"] not in jobs]:
            self.drop_job(job)
        places = set(self._restores)
        self._restores = {}
        for body in restores:
            self.take_restore(body)
        for namespace, cluster in places - set(self._restores):
            if over := self._uids.get((namespace, label_value(cluster))):
                self._changed(over)

    # --- the rest ------------------------------------------------------------------------------

    def _drop(self, uid: str) -> None:
        known = self.clusters.pop(uid, None)
        if known is None:
            return
        place = (known.namespace, label_value(known.name))
        if self._uids.get(place) == uid:
            del self._uids[place]
        self._gone(uid)

    def _tell_of(self, job: Mapping[str, Any]) -> None:
        metadata = job["metadata"]
        label = (metadata.get("labels") or {}).get(CLUSTER, "")
        uid = cluster_uid(job) or self._uids.get((metadata["namespace"], label))
        if uid in self.clusters:
            self._changed(uid)
