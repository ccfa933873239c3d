"""Restores in a site's namespace: asked for, looked at, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tests.cluster.operator_site import JOBS, RESTORES, Site
from tests.harness.control_plane import ControlPlane

from bao_backup.adapters.kubernetes.names import COMPONENT, MANAGED_BY, OURS, RESTORE_NAME

Json = dict[str, Any]
KEY = "vault/prod/2026-11-22T02-00-00Z-1a2b3c4d.snap"


class Namespace(Protocol):
    """What all of this needs, whoever plays the pods there."""

    namespace: str
    plane: ControlPlane

    def until(self, what: str, probe: Callable[[], object], *, seconds: float = 30) -> None:
        """Wait until `probe` says yes."""
        ...


def ask_for_restore(site: Namespace, name: str, cluster: str = "bao", **spec: Any) -> Json:
    """Create the document of a restore by key; `spec` are more of its fields."""
    return site.plane.create(
        RESTORES.format(site.namespace),
        {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoRestore",
            "metadata": {"name": name, "namespace": site.namespace},
            "spec": {"cluster": cluster, "source": {"key": KEY}, "jwtAuthRole": "restore", **spec},
        },
    )


def path_of_restore(site: Namespace, name: str) -> str:
    """Its path below the API's root."""
    return f"{RESTORES.format(site.namespace)}/{name}"


def status_of_restore(site: Namespace, name: str) -> Json:
    """Its status; empty when there is none."""
    found: Json = site.plane.request("GET", path_of_restore(site, name)).json()
    return found.get("status") or {}


def restore_jobs(site: Namespace, name: str = "") -> list[Json]:
    """Our Jobs that restore: of one restore's name, or all here, the oldest first."""
    path = f"{JOBS.format(site.namespace)}?labelSelector={MANAGED_BY}={OURS},{COMPONENT}=restore"
    items: list[Json] = site.plane.request("GET", path).json()["items"]
    found = [job for job in items if name in ("", job["metadata"]["annotations"][RESTORE_NAME])]
    return sorted(found, key=lambda job: int(job["metadata"]["resourceVersion"]))


def is_under_way(site: Namespace, name: str) -> bool:
    """Whether the restore's pod runs."""
    return any(job["status"].get("ready") for job in restore_jobs(site, name))


def told_at_restore(site: Namespace, name: str) -> list[str]:
    """Reasons of the restore's events, in the order of creation."""
    selector = f"involvedObject.kind=OpenBaoRestore,involvedObject.name={name}"
    path = f"/api/v1/namespaces/{site.namespace}/events?fieldSelector={selector}"
    items: list[Json] = site.plane.request("GET", path).json()["items"]
    return [
        each["reason"] for each in sorted(items, key=lambda each: int(each["metadata"]["resourceVersion"]))
    ]


def until_phase(site: Namespace, name: str, phase: str, seconds: float = 30) -> Json:
    """Wait until the restore is in this phase; gives its status."""
    site.until(
        f"{name} to be {phase}",
        lambda: status_of_restore(site, name).get("phase") == phase,
        seconds=seconds,
    )
    return status_of_restore(site, name)


def until_unlocked(site: Site, cluster: str = "bao") -> None:
    """Wait until nobody holds the cluster's lock."""
    site.until("the lock to be given back", lambda: "operationLock" not in site.status(cluster))
