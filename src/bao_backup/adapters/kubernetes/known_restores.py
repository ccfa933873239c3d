"""The restores that the API last showed: which cluster must be left alone for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bao_backup.adapters.kubernetes.facts import LONG_AGO
from bao_backup.adapters.kubernetes.known_cluster import is_newer
from bao_backup.core.observed import UnfinishedRestore
from bao_backup.core.restore_spec import cluster_under_restore

#: Namespace and name of a cluster.
Place = tuple[str, str]


class _Restore(NamedTuple):
    name: str
    #: resourceVersion
    version: str
    #: The cluster that it may write to; "" as its name when it is over.
    place: Place


class KnownRestores:
    """OpenBaoRestore objects by uid. One that is over is known, too, so that no older event revives it."""

    def __init__(self) -> None:
        self._restores: dict[str, _Restore] = {}
        #: cluster -> each that is not over, by uid
        self._unfinished: dict[Place, dict[str, UnfinishedRestore]] = {}

    def take(self, body: Mapping[str, Any]) -> list[Place]:
        """Take it in, unless a newer one is known; gives the clusters for which that is news."""
        metadata = body["metadata"]
        uid = metadata["uid"]
        old = self._restores.get(uid)
        if old is not None and not is_newer(metadata["resourceVersion"], old.version):
            return []
        place = metadata["namespace"], cluster_under_restore(body)
        new = _Restore(metadata["name"], metadata["resourceVersion"], place)
        self._restores[uid] = new
        if old is not None and old.place == place:
            return []
        left = self._end(uid, old) if old is not None else []
        if place[1]:
            self._unfinished.setdefault(place, {})[uid] = UnfinishedRestore(
                name=new.name, created=_created(metadata)
            )
            return [*left, place]
        return left

    def drop(self, uid: str) -> list[Place]:
        """It is gone; gives the clusters for which that is news."""
        old = self._restores.pop(uid, None)
        return self._end(uid, old) if old is not None else []

    def of(self, namespace: str, cluster: str) -> tuple[UnfinishedRestore, ...]:
        """The unfinished restores of the cluster."""
        return tuple(self._unfinished.get((namespace, cluster), {}).values())

    def uids(self) -> set[str]:
        """Of all that are known."""
        return set(self._restores)

    def _end(self, uid: str, old: _Restore) -> list[Place]:
        names = self._unfinished.get(old.place)
        if names is None:
            return []
        del names[uid]
        if not names:
            del self._unfinished[old.place]
        return [old.place]


def _created(metadata: Mapping[str, Any]) -> datetime:
    text = metadata.get("creationTimestamp")
    return datetime.fromisoformat(text) if text else LONG_AGO
