"""All that the API showed so far: clusters, restores and Jobs, from one list and the events since.

Any event may be lost or come late: what is older than what is known is dropped, and `take_all` sees
what was deleted while nobody watched. Events go on coming while it lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS, RESTORES, KubernetesApi
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster, is_newer
from bao_backup.adapters.kubernetes.known_jobs import SELECTOR, KnownJobs, cluster_uid, restore_uid
from bao_backup.adapters.kubernetes.known_restores import KnownRestore, KnownRestores, Place
from bao_backup.adapters.kubernetes.names import CLUSTER, label_value
from bao_backup.core.errors import (
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
)
from bao_backup.core.observed import UnfinishedRestore


class KnownObjects:
    """What is known of the API's objects.

    Args:
        changed: told the uid of each cluster that there is news of.
        gone: told the uid of each cluster that was deleted.
    """

    def __init__(self, changed: Callable[[str], None], gone: Callable[[str], None]) -> None:
        self._changed = changed
        self._gone = gone
        self._restore_changed: Callable[[str], None] = _ignore
        self._restore_gone: Callable[[str], None] = _ignore
        #: Whether the API server has the kind of restores at all.
        self.has_restores = False
        self.clusters: dict[str, KnownCluster] = {}
        self.jobs = KnownJobs()
        #: (namespace, label of the cluster) -> its uid
        self._uids: dict[tuple[str, str], str] = {}
        self._restores = KnownRestores()
        #: uids of what was deleted since `take_all` began: its lists may show them still.
        self._deleted: set[str] | None = None

    def tell_of_restores(self, changed: Callable[[str], None], gone: Callable[[str], None]) -> None:
        """Tell the uid of each restore that there is news of, or of its cluster or run; and that is gone."""
        self._restore_changed, self._restore_gone = changed, gone

    def cluster(self, uid: str) -> KnownCluster:
        """The cluster; InternalError when it is not known (any more)."""
        known = self.clusters.get(uid)
        if known is None:
            raise InternalError(f"find the cluster {uid}", "there is none of this uid")
        return known

    def named(self, namespace: str, name: str) -> KnownCluster | None:
        """The cluster of that name; None when there is none."""
        known = self.clusters.get(self._uids.get((namespace, label_value(name)), ""))
        return known if known is not None and known.name == name else None

    def restore(self, uid: str) -> KnownRestore:
        """The restore; InternalError when it is not known (any more)."""
        known = self._restores.get(uid)
        if known is None:
            raise InternalError(f"find the restore {uid}", "there is none of this uid")
        return known

    def find_restore(self, uid: str) -> KnownRestore | None:
        """The restore; None when it is not known (any more)."""
        return self._restores.get(uid)

    def all_restores(self) -> list[KnownRestore]:
        """Every restore that is known, over or not."""
        return self._restores.all()

    def restores_of(self, known: KnownCluster) -> tuple[UnfinishedRestore, ...] | None:
        """The unfinished restores of the cluster; None where there is no such kind."""
        return self._restores.of((known.namespace, known.name)) if self.has_restores else None

    # --- what happens --------------------------------------------------------------------------

    def take_cluster(self, body: Mapping[str, Any], *, by_us: bool = False, as_it_is: bool = False) -> None:
        """A cluster is there, or was changed; nobody is told of what we changed ourselves.

        With `as_it_is` it was asked for just now, and counts whatever its version: after a restore of
        the API server's own data, versions go back.
        """
        new = KnownCluster.of(body)
        old = self.clusters.get(new.uid)
        place = (new.namespace, label_value(new.name))
        before = old or self.clusters.get(self._uids.get(place, ""))
        if before is not None and not as_it_is and not is_newer(new.version, before.version):
            return
        if old is None and by_us:
            return  # deleted before the answer to our write came
        if before is not None and before.uid != new.uid:
            self._drop(before.uid)  # deleted and made anew, and nobody saw it
        self.clusters[new.uid] = new
        self._uids[place] = new.uid
        if not by_us:
            self._changed(new.uid)
        self._tell_restores_of((new.namespace, new.name))

    def drop_cluster(self, body: Mapping[str, Any]) -> None:
        """A cluster was deleted."""
        self._note_deleted(body)
        self._drop(body["metadata"]["uid"])

    def take_job(self, body: Mapping[str, Any], *, by_us: bool = False) -> None:
        """A Job is there, or was changed; nobody is told of what we changed ourselves."""
        if self.jobs.take(body) and not by_us:
            self.tell_of(body)

    def drop_job(self, body: Mapping[str, Any]) -> None:
        """A Job was deleted."""
        self._note_deleted(body)
        self.jobs.drop(body)
        self.tell_of(body)

    def take_restore(self, body: Mapping[str, Any], *, by_us: bool = False) -> None:
        """A restore is there, or was changed; it is not told of what we changed ourselves."""
        uid = body["metadata"]["uid"]
        old = self._restores.get(uid)
        if (old is None and by_us) or not self._restores.take(body):
            return  # deleted before the answer to our write came, or older than what is known
        self.has_restores = True
        new = self._restores.get(uid)
        assert new is not None  # noqa: S101 - it was just taken in
        if not by_us:
            self._restore_changed(uid)
        if old is None or old.place != new.place:
            for place in {new.place} | ({old.place} if old is not None else set()):
                self._tell_place(place, but=uid)

    def drop_restore(self, body: Mapping[str, Any]) -> None:
        """A restore was deleted."""
        self._note_deleted(body)
        self._drop_restore(body["metadata"]["uid"])

    async def take_all(self, api: KubernetesApi, namespaces: Sequence[str]) -> dict[str, KubernetesError]:
        """List everything anew; what was known before and is not there any more is dropped.

        Without the kind of restores there are none. Gives the namespaces in which nothing could be
        listed, and why: the others' clusters are managed all the same. Raises where that is all of them.
        """
        clusters, restores = set(self.clusters), self._restores.uids()
        jobs = {job["metadata"]["uid"]: job for job in self.jobs.all()}
        self._deleted = set()
        try:
            there, refused = await self._list(api, namespaces)
        finally:
            self._deleted = None
        for uid in clusters - there:
            self._drop(uid)
        for uid in jobs.keys() - there:
            self.drop_job(jobs[uid])
        for uid in restores - there:
            self._drop_restore(uid)
        return refused

    async def _list(
        self, api: KubernetesApi, namespaces: Sequence[str]
    ) -> tuple[set[str], dict[str, KubernetesError]]:
        """The uids of all that is there, taken in; and what each namespace refused."""
        there: set[str] = set()
        refused: dict[str, KubernetesError] = {}
        has_restores = False

        def see(body: Mapping[str, Any], take: Callable[[Mapping[str, Any]], None]) -> None:
            uid = body["metadata"]["uid"]
            there.add(uid)
            if uid not in (self._deleted or ()):
                take(body)

        for namespace in namespaces:
            try:
                # Clusters last: one whose Jobs and restores nobody may see would look as if it had none.
                async for body in api.list(JOBS, namespace, labelSelector=SELECTOR):
                    see(body, self.take_job)
                with suppress(KubernetesMissingError):
                    async for body in api.list(RESTORES, namespace):
                        see(body, self.take_restore)
                    has_restores = True
                async for body in api.list(CLUSTERS, namespace):
                    see(body, self.take_cluster)
            except (KubernetesDeniedError, KubernetesMissingError) as error:
                refused[namespace] = error
                if len(refused) == len(namespaces):
                    raise
        self.has_restores = has_restores
        return there, refused

    # --- the rest ------------------------------------------------------------------------------

    def _note_deleted(self, body: Mapping[str, Any]) -> None:
        if self._deleted is not None:
            self._deleted.add(body["metadata"]["uid"])

    def _drop(self, uid: str) -> None:
        known = self.clusters.pop(uid, None)
        if known is None:
            return
        place = (known.namespace, label_value(known.name))
        if self._uids.get(place) == uid:
            del self._uids[place]
        self._gone(uid)
        self._tell_restores_of((known.namespace, known.name))

    def _drop_restore(self, uid: str) -> None:
        known = self._restores.drop(uid)
        if known is not None:
            self._restore_gone(uid)
            # Also when it was over: its run may be left, and is the cluster's to forget.
            self._tell_place((known.namespace, known.cluster), but=uid)

    def tell_of(self, job: Mapping[str, Any]) -> None:
        """There is news of this Job: tell its cluster, and the restore that it is of."""
        metadata = job["metadata"]
        label = (metadata.get("labels") or {}).get(CLUSTER, "")
        uid = cluster_uid(job)
        if uid not in self.clusters:
            # Of another manager, or of an earlier cluster of this name, which the new one waits for.
            uid = self._uids.get((metadata["namespace"], label), "")
        known = self.clusters.get(uid)
        if known is not None:
            self._changed(uid)
            self._tell_restores_of((known.namespace, known.name))
        if self._restores.get(restore_uid(job)) is not None:
            self._restore_changed(restore_uid(job))

    def _tell_place(self, place: Place, *, but: str) -> None:
        namespace, cluster = place
        uid = self._uids.get((namespace, label_value(cluster)))
        if uid is not None:
            self._changed(uid)
        self._tell_restores_of(place, but=but)

    def _tell_restores_of(self, place: Place, *, but: str = "") -> None:
        """Of what they wait for."""
        for uid in self._restores.uids_of(place):
            if uid != but:
                self._restore_changed(uid)


def _ignore(_: str) -> None:
    """Nobody carries out restores here."""
