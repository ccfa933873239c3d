"""The Jobs that the API last showed: ours, and those of other managers, by cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bao_backup.adapters.kubernetes.api import Json
from bao_backup.adapters.kubernetes.known_cluster import is_newer
from bao_backup.adapters.kubernetes.names import (
    BACKUP_COMPONENT,
    BACKUP_TYPE,
    CHECK_TYPE,
    CLUSTER,
    CLUSTER_UID,
    COMPONENT,
    RECORDED,
    RESTORE_COMPONENT,
    RESTORE_UID,
    UPGRADE_COMPONENT,
    label_value,
)
from bao_backup.adapters.kubernetes.outcome import is_finished, is_ours

#: Only what the selector lets through is seen: backups and restores of any manager.
SELECTOR = f"{COMPONENT} in ({BACKUP_COMPONENT},{RESTORE_COMPONENT},{UPGRADE_COMPONENT})"


class KnownJobs:
    """Jobs by name, below their cluster's namespace and label."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], dict[str, Json]] = {}
        #: namespace and name of each Job -> where it is
        self._places: dict[tuple[str, str], tuple[str, str]] = {}

    def take(self, body: Mapping[str, Any]) -> bool:
        """Take the Job in, unless a newer one is known; answers whether it says anything new."""
        metadata, place = body["metadata"], _place(body["metadata"])
        jobs = self._jobs.setdefault(place, {})
        known = jobs.get(metadata["name"])
        # Versions of one kind count on from one object to the next: this holds for one made anew, too.
        if known is not None and not is_newer(
            metadata["resourceVersion"], known["metadata"]["resourceVersion"]
        ):
            return False
        jobs[metadata["name"]] = _small(body)
        self._places[metadata["namespace"], metadata["name"]] = place
        return True

    def drop(self, body: Mapping[str, Any]) -> None:
        """The Job is gone."""
        metadata = body["metadata"]
        place = _place(metadata)
        jobs = self._jobs.get(place, {})
        known = jobs.get(metadata["name"])
        if known is not None and known["metadata"]["uid"] == metadata["uid"]:
            del jobs[metadata["name"]]
            self._places.pop((metadata["namespace"], metadata["name"]), None)
            if not jobs:
                del self._jobs[place]

    def of(self, namespace: str, cluster: str) -> list[Json]:
        """The Jobs of the cluster of that name."""
        return list(self._jobs.get((namespace, label_value(cluster)), {}).values())

    def get(self, namespace: str, cluster: str, name: str) -> Json | None:
        """The Job of that name, of that cluster."""
        return self._jobs.get((namespace, label_value(cluster)), {}).get(name)

    def named(self, namespace: str, name: str) -> Json | None:
        """The Job of that name, of whichever cluster."""
        place = self._places.get((namespace, name))
        return self._jobs.get(place, {}).get(name) if place is not None else None

    def all(self) -> Iterator[Json]:
        """Every Job that is known."""
        for jobs in list(self._jobs.values()):
            yield from list(jobs.values())


def cluster_uid(job: Mapping[str, Any]) -> str:
    """The cluster that one of our Jobs was made for; empty for others' Jobs."""
    uid: str = (job["metadata"].get("annotations") or {}).get(CLUSTER_UID, "")
    return uid if is_ours(job) else ""


def is_watched(job: Mapping[str, Any]) -> bool:
    """Whether the selector lets it through: then events tell what becomes of it."""
    component = (job["metadata"].get("labels") or {}).get(COMPONENT)
    return component in {BACKUP_COMPONENT, RESTORE_COMPONENT, UPGRADE_COMPONENT}


def restores(job: Mapping[str, Any]) -> bool:
    """Whether it is a restore's, of any manager."""
    return (job["metadata"].get("labels") or {}).get(COMPONENT) == RESTORE_COMPONENT


def checks(job: Mapping[str, Any]) -> bool:
    """Whether it is a check of ours: in all else but its name a backup's."""
    return is_ours(job) and (job["metadata"].get("labels") or {}).get(BACKUP_TYPE) == CHECK_TYPE


def backs_up(job: Mapping[str, Any]) -> bool:
    """Whether it is a backup, of any manager."""
    return not restores(job) and not checks(job)


def restore_uid(job: Mapping[str, Any]) -> str:
    """The restore that one of our Jobs was made for; empty for others."""
    uid: str = (job["metadata"].get("annotations") or {}).get(RESTORE_UID, "")
    return uid if is_ours(job) and restores(job) else ""


def is_forgotten(job: Mapping[str, Any]) -> bool:
    """Whether its end is in the status. Its time to live says nothing: others may have set one."""
    return is_ours(job) and is_finished(job) and RECORDED in (job["metadata"].get("annotations") or {})


def finished_at(job: Mapping[str, Any]) -> str:
    """When it was over, as the API writes times; they sort as texts."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return max((c.get("lastTransitionTime") or "" for c in conditions), default="")


def _place(metadata: Mapping[str, Any]) -> tuple[str, str]:
    return metadata["namespace"], (metadata.get("labels") or {}).get(CLUSTER, "")


def _small(body: Mapping[str, Any]) -> Json:
    """Without what nobody looks at; of a Job that is over and done with, hardly more than its name."""
    if is_forgotten(body):
        kept = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations")
        spec = {"ttlSecondsAfterFinished": body["spec"].get("ttlSecondsAfterFinished")}
        metadata = {name: body["metadata"][name] for name in kept if name in body["metadata"]}
        return {"metadata": metadata, "spec": spec, "status": {"conditions": body["status"]["conditions"]}}
    return dict(body) | {"metadata": {k: v for k, v in body["metadata"].items() if k != "managedFields"}}
