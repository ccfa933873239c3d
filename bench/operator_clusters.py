"""A control plane with many clusters in it, and what a person sees of them there."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
from tests.cluster.operator_program import Operator
from tests.deploy.installs import LEASE, RIGHTS
from tests.harness import client
from tests.harness.control_plane import ControlPlane
from tests.harness.process import wait_until

from bench.usage import ContenderError

CRDS = Path(__file__).parents[1] / "deploy" / "crds"
CLUSTERS = "/apis/openbao.org/v1alpha1/namespaces/{}/openbaoclusters"
ALL_CLUSTERS = "/apis/openbao.org/v1alpha1/openbaoclusters"
ALL_JOBS = "/apis/batch/v1/jobs"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
HOME = "bao-backup"
USER = f"system:serviceaccount:{HOME}:manager"
AT_ONCE = 16
PAGE = 500
MERGE = "application/merge-patch+json"

Json = dict[str, Any]
Place = tuple[str, str]


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    generation: int = 0
    labels: dict[str, str] = {}


class _Backup(msgspec.Struct, rename="camel"):
    next_scheduled_backup: datetime | None = None
    observed_generation: int = 0
    last_attempt_scheduled_time: datetime | None = None
    successful_backups: int = 0
    consecutive_failures: int = 0


class _Status(msgspec.Struct, rename="camel"):
    backup: _Backup = msgspec.field(default_factory=_Backup)
    operation_lock: Json | None = None


class Cluster(msgspec.Struct):
    """What is looked at of an OpenBaoCluster."""

    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def is_right(self) -> bool:
        """Whether its status says when its next backup is, of the document as it is now."""
        backup = self.status.backup
        current = backup.observed_generation == self.metadata.generation
        return current and backup.next_scheduled_backup is not None

    def was_backed_up_at(self, slot: datetime) -> bool:
        """Whether that slot's run has ended well, and nothing is under way any more."""
        backup = self.status.backup
        ended = backup.last_attempt_scheduled_time == slot and backup.successful_backups == 1
        return ended and not backup.consecutive_failures and self.status.operation_lock is None


class Job(msgspec.Struct):
    """What is looked at of a Job."""

    metadata: _Meta


class _Page(msgspec.Struct):
    metadata: dict[str, Any]
    items: list[msgspec.Raw]


class Clusters:
    """Clusters by their places, in the order they are named."""

    def __init__(self, plane: ControlPlane, count: int, namespaces: int) -> None:
        self._plane = plane
        # Whoever is called admin is not in the audit log.
        owner = plane.authority.issue("bench", (), user="admin", group="system:masters")
        self._context = ssl.create_default_context(cafile=str(plane.ca_file))
        self._context.load_cert_chain(owner.certificate, owner.key)
        self._connections = threading.local()
        self.namespaces = [f"team-{number:03}" for number in range(namespaces)]
        self.places = [(self.namespaces[number % namespaces], f"bao-{number:05}") for number in range(count)]

    # --- what is there -------------------------------------------------------------------------

    def install(self) -> None:
        """Our CRDs from `deploy/crds`, a namespace and an account for the manager, and its rights."""
        for file in sorted(CRDS.glob("*.yaml")):
            self._plane.apply(file.read_text(encoding="utf-8"))
        wait_until("the CRDs", lambda: self._plane.request("GET", ALL_CLUSTERS).status == 200, seconds=30)
        self._plane.create_namespace(HOME)
        self._plane.create_service_account("manager", HOME)
        subject = {"kind": "ServiceAccount", "name": "manager", "namespace": HOME}
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
            for group, resource, verb in sorted(RIGHTS | LEASE)
        ]
        metadata = {"name": "manager"}
        self._plane.create(f"{RBAC}/clusterroles", {"metadata": metadata, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "manager"}
        binding = {"metadata": metadata, "roleRef": role, "subjects": [subject]}
        self._plane.create(f"{RBAC}/clusterrolebindings", binding)

    def operator(self, log: Path) -> Operator:
        """The manager of all namespaces, with its Lease; not yet started."""
        kubeconfig = self._plane.service_account_kubeconfig("manager", HOME)
        return Operator(kubeconfig, log, lease=HOME)

    def create(self, schedule: Callable[[int], str]) -> None:
        """Create the namespaces, and all clusters in them."""
        for name in self.namespaces:
            self._plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
        self._for_each(
            (
                "POST",
                CLUSTERS.format(namespace),
                document(namespace, name, schedule(number), with_retention=number % 2 == 0),
            )
            for number, (namespace, name) in enumerate(self.places)
        )

    def set_schedule(self, places: Iterable[Place], schedule: str) -> None:
        """Give these clusters another schedule, in UTC."""
        change = {"spec": {"backup": {"schedule": schedule, "timeZone": "UTC"}}}
        self._for_each(
            ("PATCH", f"{CLUSTERS.format(namespace)}/{name}", change) for namespace, name in places
        )

    def all(self) -> dict[Place, Cluster]:
        """All clusters as they are now."""
        found = (msgspec.json.decode(each, type=Cluster) for each in self._pages(ALL_CLUSTERS))
        return {(each.metadata.namespace, each.metadata.name): each for each in found}

    def jobs(self) -> list[Job]:
        """All Jobs."""
        return [msgspec.json.decode(each, type=Job) for each in self._pages(ALL_JOBS)]

    # --- requests ------------------------------------------------------------------------------

    def _for_each(self, requests: Iterable[tuple[str, str, Json]]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda request: self._send(*request), requests):
                pass

    def _pages(self, path: str) -> Iterator[msgspec.Raw]:
        query, token = f"{path}?limit={PAGE}", ""
        while True:
            answer = self._plane.request("GET", query + token)
            if answer.status != 200:
                raise ContenderError(f"GET {query}: {answer.status}")
            page = msgspec.json.decode(answer.body, type=_Page)
            yield from page.items
            if not (more := page.metadata.get("continue")):
                return
            token = f"&continue={more}"

    def _send(self, method: str, path: str, body: Json) -> None:
        """One request, over the thread's own connection."""
        connection: HTTPConnection | None = getattr(self._connections, "own", None)
        if connection is None:
            connection = self._connections.own = client.connect(self._plane.url, self._context)
        form = MERGE if method == "PATCH" else "application/json"
        connection.request(method, path, body=json.dumps(body), headers={"Content-Type": form})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise ContenderError(f"{method} {path}: {answer.status} {said[:300].decode()}")


def document(namespace: str, name: str, schedule: str, *, with_retention: bool) -> Json:
    """A cluster that nobody else manages, as people write them."""
    backup: Json = {
        "schedule": schedule,
        "target": {
            "endpoint": "https://s3.example",
            "bucket": "backups",
            "region": "eu-central-1",
            "pathPrefix": f"{namespace}/vaults",
            "credentialsSecretRef": {"name": "backup-keys"},
        },
        "jwtAuthRole": "backup",
    }
    if with_retention:
        backup |= {"timeZone": "Europe/Berlin", "retention": {"maxCount": 14, "maxAge": "720h"}}
    return {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "connection": {
                "addresses": [f"https://{name}-{number}.{namespace}.svc:8200" for number in range(3)],
                "serverName": f"{name}.{namespace}.svc",
                "caSecretRef": {"name": f"{name}-ca"},
            },
            "backup": backup,
        },
    }
