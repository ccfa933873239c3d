"""The restores that the API last showed: their documents, and which cluster must be left alone for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

import msgspec

from bao_backup.adapters.kubernetes.known_cluster import decode_object, is_newer
from bao_backup.adapters.kubernetes.object_facts import LONG_AGO
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.observed import UnfinishedRestore
from bao_backup.core.restore_spec import (
    OpenBaoRestore,
    RestoreStatus,
    cluster_under_restore,
    parse_restore,
    read_restore_status,
)

#: Namespace and name of a cluster.
Place = tuple[str, str]


class KnownRestore(NamedTuple):
    """One OpenBaoRestore object. `spec` and `status` are JSON."""

    namespace: str
    name: str
    uid: str
    generation: int
    #: resourceVersion
    version: str
    created: datetime
    #: It is being deleted, and something keeps it a while.
    leaving: bool
    #: The cluster that it may write to; "" as its name when it is over, or never begins.
    place: Place
    spec: bytes
    status: bytes

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """From the object as the API sends it."""
        metadata = body["metadata"]
        created = metadata.get("creationTimestamp")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            version=metadata["resourceVersion"],
            created=datetime.fromisoformat(created) if created else LONG_AGO,
            leaving=bool(metadata.get("deletionTimestamp")),
            place=(metadata["namespace"], cluster_under_restore(body)),
            spec=msgspec.json.encode(body.get("spec")),
            status=msgspec.json.encode(body.get("status")),
        )

    @property
    def cluster(self) -> str:
        """Name of the cluster that the document names, over or not; empty where it names none."""
        cluster = decode_object(self.spec).get("cluster")
        return cluster if isinstance(cluster, str) else ""

    def raw_status(self) -> dict[str, Any]:
        """`status` as it is; empty where nobody wrote it."""
        return decode_object(self.status)

    def read_status(self) -> RestoreStatus:
        """`status`, whatever of it can be read."""
        return read_restore_status(self.raw_status())

    def read_document(self) -> tuple[OpenBaoRestore | None, tuple[Problem, ...]]:
        """The document, or what is wrong with it."""
        names: dict[str, Any] = {"name": self.name, "namespace": self.namespace, "uid": self.uid}
        if self.created != LONG_AGO:
            names["creationTimestamp"] = self.created.isoformat()
        document = {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoRestore",
            "metadata": names | {"generation": self.generation},
            "spec": msgspec.json.decode(self.spec),
            "status": self.raw_status(),
        }
        try:
            return parse_restore(document, strict=False), ()
        except DocumentError as error:
            return None, error.problems


class KnownRestores:
    """OpenBaoRestore objects by uid. One that is over is known, too, so that no older event revives it."""

    def __init__(self) -> None:
        self._restores: dict[str, KnownRestore] = {}
        #: cluster -> each that is not over, by uid
        self._unfinished: dict[Place, dict[str, UnfinishedRestore]] = {}

    def take(self, body: Mapping[str, Any]) -> bool:
        """Take it in, unless a newer one is known; answers whether it says anything new."""
        new = KnownRestore.of(body)
        old = self._restores.get(new.uid)
        if old is not None and not is_newer(new.version, old.version):
            return False
        self._restores[new.uid] = new
        if old is None or old.place != new.place:
            if old is not None:
                self._end(old)
            if new.place[1]:
                unfinished = UnfinishedRestore(name=new.name, created=new.created)
                self._unfinished.setdefault(new.place, {})[new.uid] = unfinished
        return True

    def drop(self, uid: str) -> KnownRestore | None:
        """It is gone; gives what was known of it."""
        old = self._restores.pop(uid, None)
        if old is not None:
            self._end(old)
        return old

    def get(self, uid: str) -> KnownRestore | None:
        """The restore of that uid."""
        return self._restores.get(uid)

    def of(self, place: Place) -> tuple[UnfinishedRestore, ...]:
        """The unfinished restores of the cluster."""
        return tuple(self._unfinished.get(place, {}).values())

    def uids_of(self, place: Place) -> tuple[str, ...]:
        """The uids of the unfinished restores of the cluster."""
        return tuple(self._unfinished.get(place, {}))

    def uids(self) -> set[str]:
        """Of all that are known."""
        return set(self._restores)

    def all(self) -> list[KnownRestore]:
        """All that are known, over or not."""
        return list(self._restores.values())

    def _end(self, old: KnownRestore) -> None:
        there = self._unfinished.get(old.place, {})
        there.pop(old.uid, None)
        if not there:
            self._unfinished.pop(old.place, None)
