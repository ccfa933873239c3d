"""The writes of one whole run that was asked for by the annotation, each by a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cluster.operator_site import Site
from tests.harness.api_request import ApiRequest, Match

from bao_backup.adapters.kubernetes.names import TRIGGER

#: In their order, but that the request may be forgotten after the run's end, too.
WRITES = (
    "accept",
    "tell-accepted",
    "clear-annotation",
    "account",
    "policy",
    "job",
    "tell-started",
    "forget-request",
    "outcome",
    "tell-completed",
    "time-to-live",
)
#: Patches of objects that somebody else may have changed meanwhile.
PATCHES = ("accept", "clear-annotation", "forget-request", "outcome", "time-to-live")

_EVENTS = {
    "BackupManualTriggerAccepted": "tell-accepted",
    "BackupStarted": "tell-started",
    "BackupCompleted": "tell-completed",
}
_CREATED = {"serviceaccounts": "account", "networkpolicies": "policy", "jobs": "job"}


def write_of(request: ApiRequest) -> str:
    """The name of the write that a request is; empty for one that is no part of a run that goes well."""
    match request.method, request.resource, request.subresource:
        case "POST", "events", _:
            return _EVENTS.get(request.json()["reason"], "")
        case "POST", resource, _:
            return _CREATED.get(resource, "")
        case "PATCH", "jobs", _:
            return "time-to-live"
        case "PATCH", "openbaoclusters", "":
            annotations = request.json()["metadata"].get("annotations", {})
            return "clear-annotation" if TRIGGER in annotations else "remember"
        case "PATCH", "openbaoclusters", "status":
            return _of_status(request.json()["status"].get("backup", {}))
    return ""


def _of_status(backup: dict[str, Any]) -> str:
    if backup.get("acceptedTrigger"):
        return "accept"
    if "lastBackupName" in backup:
        return "outcome"
    return "forget-request" if "acceptedTrigger" in backup else ""


def cluster_of(request: ApiRequest) -> str:
    """The cluster that a write is about."""
    if request.resource == "openbaoclusters":
        return request.name
    if request.method == "PATCH":
        # backup-NAME-20260101-000000
        return request.name.removeprefix("backup-").rsplit("-", 2)[0]
    body = request.json()
    if request.resource == "events":
        return str(body["involvedObject"]["name"])
    return str(body["metadata"]["ownerReferences"][0]["name"])


def that(name: str, cluster: str) -> Match:
    """One of `WRITES`, of a cluster."""
    return Match(
        where=lambda request: (
            request.method in ("POST", "PATCH")
            and bool(request.namespace)
            and request.resource != "leases"
            and write_of(request) == name
            and cluster_of(request) == cluster
        )
    )


def faults_in(site: Site, cluster: str, *, jobs: int = 1) -> dict[str, Any]:
    """What is not as it has to be once one request's run is over and well; empty when all is."""
    return faults_of(site.cluster(cluster), site.jobs(cluster), expected=jobs)


def faults_of(
    document: dict[str, Any], jobs: Sequence[dict[str, Any]], *, expected: int = 1
) -> dict[str, Any]:
    """The same of a cluster and its Jobs as they were seen."""
    status = document.get("status") or {}
    backup = status.get("backup") or {}
    keys = [job["metadata"]["annotations"]["openbao.org/backup-key"] for job in jobs]
    last = backup.get("lastSuccessfulBackup") or {}
    found = {
        "jobs": (len(jobs), expected),
        "locks": (status.get("operationLock"), None),
        "successes": (backup.get("successfulBackups"), 1),
        "failures": (backup.get("consecutiveFailures"), 0),
        "name": (backup.get("lastBackupName"), keys[0] if keys else ""),
        "last": (last.get("key"), backup.get("lastBackupName")),
        "accepted": (backup.get("acceptedTrigger"), None),
        "waiting": (backup.get("waiting"), None),
        "annotation": (document["metadata"].get("annotations", {}).get(TRIGGER), None),
        "failure": (backup.get("lastFailureReason"), None),
    }
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}
