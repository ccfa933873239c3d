"""What a manager knows of the API's objects, and the objects that it is told of."""

from __future__ import annotations

from typing import Any

from bao_backup.adapters.kubernetes.known_objects import KnownObjects
from bao_backup.adapters.kubernetes.names import (
    CLUSTER,
    CLUSTER_UID,
    COMPONENT,
    MANAGED_BY,
    OURS,
    RECORDED,
    label_value,
)

Json = dict[str, Any]
LONG = "a-cluster-with-a-name-that-is-longer-than-any-label-may-be-on-kubernetes"


class Told:
    """What is known, and of which clusters there was news."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.restores_changed: list[str] = []
        self.restores_gone: list[str] = []
        self.known = KnownObjects(self.changed.append, self.gone.append)
        self.known.tell_of_restores(self.restores_changed.append, self.restores_gone.append)

    def clusters(self) -> dict[str, str]:
        """Uid and version of each cluster that is known."""
        return {uid: known.version for uid, known in self.known.clusters.items()}

    def restore(self, uid: str = "u-1") -> str:
        """The first unfinished restore of a cluster, by name."""
        restores = self.known.restores_of(self.known.cluster(uid)) or ()
        return min((restore.name for restore in restores), default="")


def cluster(version: int, uid: str = "u-1", name: str = "bao") -> Json:
    """A cluster at a version."""
    metadata = {"namespace": "vault", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"replicas": version}}


def job(
    version: int,
    name: str = "backup-bao-1",
    uid: str = "j-1",
    *,
    of: str = "u-1",
    of_name: str = "bao",
    done: bool = False,
    kept: int | None = None,
    recorded: bool = False,
) -> Json:
    """One of our Jobs at a version; `of=""`: of another manager."""
    labels = {CLUSTER: label_value(of_name), COMPONENT: "backup", MANAGED_BY: OURS if of else "other"}
    return {
        "metadata": {
            "namespace": "vault",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
            "annotations": ({CLUSTER_UID: of} if of else {}) | ({RECORDED: "true"} if recorded else {}),
            "managedFields": [{"manager": "x"}],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "backup", "image": "x" * 1000}]}}}
        | ({} if kept is None else {"ttlSecondsAfterFinished": kept}),
        "status": {"conditions": [{"type": "Complete", "status": "True"}]} if done else {"active": 1},
    }


def restore(
    version: int, phase: str | None = None, name: str = "back", uid: str = "r-1", **spec: Any
) -> Json:
    """A restore of the cluster at a version."""
    metadata = {"namespace": "vault", "name": name, "uid": uid, "resourceVersion": str(version)}
    status = {"status": {"phase": phase}} if phase else {}
    return {"metadata": metadata, "spec": {"cluster": "bao"} | spec, **status}
