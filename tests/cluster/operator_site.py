"""A namespace with clusters in it, an account for a manager, and the proxy that it goes through."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cluster.operator_program import Operator
from tests.deploy.installs import LEASE, RIGHTS
from tests.harness import client
from tests.harness.api_proxy import ApiProxy
from tests.harness.api_request import Match
from tests.harness.control_plane import ControlPlane
from tests.harness.process import wait_until
from tests.harness.stand_in_node import StandInNode

from bao_backup.adapters.kubernetes.names import CLUSTER, CLUSTER_NAME, COMPONENT, MANAGED_BY, OURS, TRIGGER
from bao_backup.core.schedule import Schedule

#: Comes once in 20 years: as good as never in a test, and its last slot is past.
SELDOM = "@every 175200h"
ACCOUNT = "manager"
LEASE_NAME = "bao-backup"
CLUSTERS = "/apis/openbao.org/v1alpha1/namespaces/{}/openbaoclusters"
RESTORES = "/apis/openbao.org/v1alpha1/namespaces/{}/openbaorestores"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"

Json = dict[str, Any]


class Site:
    """One namespace of one control plane; whoever manages it may do what the chart allows, and no more."""

    def __init__(
        self,
        plane: ControlPlane,
        node: StandInNode,
        namespace: str,
        folder: Path,
        *,
        everywhere: bool = False,
    ) -> None:
        """With `everywhere` the manager's rights are those of an install for all namespaces."""
        self.plane = plane
        self.node = node
        self.namespace = plane.create_namespace(namespace)
        self.folder = folder
        self.everywhere = everywhere
        self._operators: list[Operator] = []
        self._proxies: list[ApiProxy] = []
        self._give_rights()
        self.proxy = self.new_proxy()

    # --- who manages ---------------------------------------------------------------------------

    def _give_rights(self) -> None:
        self.plane.create_service_account(ACCOUNT, self.namespace)
        for rights, names, wide in (
            (RIGHTS, (), self.everywhere),
            ({right for right in LEASE if right[2] == "create"}, (), False),
            ({right for right in LEASE if right[2] != "create"}, (LEASE_NAME,), False),
        ):
            self.bind(self.namespace, rights, names, wide=wide)

    def bind(
        self,
        namespace: str,
        rights: set[tuple[str, str, str]],
        names: Sequence[str] = (),
        *,
        wide: bool = False,
    ) -> str:
        """Give the manager these rights there, or with `wide` everywhere; gives the path of their binding."""
        kind = "ClusterRole" if wide else "Role"
        metadata: Json = {"generateName": f"{self.namespace}-"}
        metadata |= {} if wide else {"namespace": namespace}
        limit = {"resourceNames": list(names)} if names else {}
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": [verb], **limit}
            for group, resource, verb in sorted(rights)
        ]
        path = "/apis/rbac.authorization.k8s.io/v1" + ("" if wide else f"/namespaces/{namespace}")
        role = self.plane.create(f"{path}/{kind.lower()}s", {"metadata": metadata, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role["metadata"]["name"]}
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}
        binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
        made = self.plane.create(f"{path}/{kind.lower()}bindings", binding)
        return f"{path}/{kind.lower()}bindings/{made['metadata']['name']}"

    def new_proxy(self) -> ApiProxy:
        """One more way to the API server, as the manager's account."""
        token = self.plane.token(ACCOUNT, self.namespace)
        proxy = ApiProxy(self.plane.url, self.plane.ca_file, token)
        self._proxies.append(proxy)
        return proxy

    def operator(
        self,
        name: str = "operator",
        *,
        proxy: ApiProxy | None = None,
        namespaces: Sequence[str] = (),
        lease: bool = False,
        options: Sequence[str] = (),
    ) -> Operator:
        """A manager of this namespace (of all, where the rights are), not yet started."""
        number = len(self._operators)
        kubeconfig = (proxy or self.proxy).kubeconfig(self.folder / f"{number}.kubeconfig", self.namespace)
        operator = Operator(
            kubeconfig,
            self.folder / f"{number}-{name}.log",
            namespaces=() if self.everywhere else (namespaces or (self.namespace,)),
            lease=self.namespace if lease else "",
            name=name,
            options=options,
        )
        self._operators.append(operator)
        return operator

    @contextmanager
    def managed(self, **given: Any) -> Iterator[Operator]:
        """A manager that runs inside."""
        with self.operator(**given) as operator:
            yield operator

    def close(self) -> None:
        """End what still runs, look at all logs, and remove the clusters."""
        for operator in self._operators:
            if operator.running:
                operator.kill()
        for path in (CLUSTERS, RESTORES):
            self.plane.request("DELETE", path.format(self.namespace))
        for proxy in self._proxies:
            proxy.stop()
        for operator in self._operators:
            operator.check_log()

    # --- what people do ------------------------------------------------------------------------

    def document(
        self, name: str = "bao", schedule: str = SELDOM, *, trigger: str = "", **backup: Any
    ) -> Json:
        """A document of a cluster that nobody else manages; `backup` are more fields of spec.backup."""
        metadata: Json = {"name": name, "namespace": self.namespace}
        if trigger:
            metadata["annotations"] = {TRIGGER: trigger}
        return {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": metadata,
            "spec": {
                "connection": {"addresses": ["https://bao.example:8200"]},
                "backup": {
                    "schedule": schedule,
                    "target": {
                        "endpoint": "https://s3.example",
                        "bucket": "backups",
                        "credentialsSecretRef": {"name": "keys"},
                    },
                    "jwtAuthRole": "backup",
                    **backup,
                },
            },
        }

    def create(self, document: Json) -> Json:
        """Create a document; gives it as it is stored."""
        path = {"OpenBaoCluster": CLUSTERS, "OpenBaoRestore": RESTORES}[document["kind"]]
        return self.plane.create(path.format(document["metadata"]["namespace"]), document)

    def add(self, name: str = "bao", **given: Any) -> Json:
        """Create a cluster's document."""
        return self.create(self.document(name, **given))

    def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """Merge something into an object, below the API's root."""
        url = self.plane.url + path
        answer = client.request(
            "PATCH",
            url,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/merge-patch+json"},
            context=self.plane._admin_context,
        )
        assert answer.status == 200, answer.body
        found: Json = answer.json()
        return found

    def change(self, body: Mapping[str, Any], name: str = "bao") -> None:
        """Change a cluster's document."""
        self.patch(f"{CLUSTERS.format(self.namespace)}/{name}", body)

    def set_status(self, status: Mapping[str, Any], name: str = "bao") -> None:
        """What another manager writes into the status of a cluster."""
        self.patch(f"{CLUSTERS.format(self.namespace)}/{name}/status", {"status": status})

    def ask(self, value: str = "now", name: str = "bao") -> None:
        """Ask for a manual run."""
        self.change({"metadata": {"annotations": {TRIGGER: value}}}, name)

    def let_a_slot_be_due(self, name: str = "bao") -> datetime:
        """Make the memory of a manager that was down when the last slot of `SELDOM` came."""
        now = datetime.now(UTC)
        slot = Schedule.parse(SELDOM).latest_between(now - timedelta(days=10_000), now)
        assert slot is not None
        since = f"{slot - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
        self.set_status(
            {"backup": {"schedule": {"expression": SELDOM, "timeZone": "UTC", "since": since}}}, name
        )
        return slot

    def add_job(self, name: str, labels: Mapping[str, str], cluster: str = "bao") -> None:
        """A Job of another manager, suspended, so that it never ends by itself."""
        container = {"name": "backup", "image": "registry.example/other:1"}
        job = {
            "metadata": {"name": name, "labels": {CLUSTER: cluster, **labels}},
            "spec": {
                "suspend": True,
                "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
            },
        }
        self.plane.create(JOBS.format(self.namespace), job)

    def delete(self, path: str) -> None:
        """Delete an object below the API's root, without waiting until it is gone."""
        body = {"propagationPolicy": "Background"}
        answer = self.plane.request("DELETE", path, body)
        assert answer.status in (200, 202), answer.body

    # --- what there is -------------------------------------------------------------------------

    def cluster(self, name: str = "bao") -> Json:
        """A cluster as it is."""
        found: Json = self.plane.request("GET", f"{CLUSTERS.format(self.namespace)}/{name}").json()
        return found

    def status(self, name: str = "bao") -> Json:
        """Its whole status; empty when there is none."""
        found: Json = self.cluster(name).get("status") or {}
        return found

    def backup(self, name: str = "bao") -> Json:
        """`status.backup`; empty when there is none."""
        found: Json = self.status(name).get("backup") or {}
        return found

    def condition(self, kind: str, name: str = "bao") -> Json:
        """A condition of `status.backup`; empty when there is none."""
        conditions = self.backup(name).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    def clusters(self) -> list[Json]:
        """All clusters here."""
        items: list[Json] = self.plane.request("GET", CLUSTERS.format(self.namespace)).json()["items"]
        return items

    def jobs(self, name: str | None = "bao") -> list[Json]:
        """Our Jobs of a cluster, or of all here."""
        path = f"{JOBS.format(self.namespace)}?labelSelector={MANAGED_BY}={OURS},{COMPONENT}=backup"
        items: list[Json] = self.plane.request("GET", path).json()["items"]
        return [
            each for each in items if name is None or each["metadata"]["annotations"][CLUSTER_NAME] == name
        ]

    def events(self, name: str = "bao") -> list[Json]:
        """What was told of a cluster, in the order of creation."""
        selector = f"involvedObject.kind=OpenBaoCluster,involvedObject.name={name}"
        path = f"/api/v1/namespaces/{self.namespace}/events?fieldSelector={selector}"
        items: list[Json] = self.plane.request("GET", path).json()["items"]
        return sorted(items, key=lambda each: int(each["metadata"]["resourceVersion"]))

    def told(self, reason: str, name: str = "bao") -> list[str]:
        """The messages of a cluster's events of this reason."""
        return [each["message"] for each in self.events(name) if each["reason"] == reason]

    # --- waiting -------------------------------------------------------------------------------

    def until(
        self, what: str, probe: Callable[[], object], *, seconds: float = 30, every: float = 0.1
    ) -> None:
        """Wait until `probe` says yes; else an error that ends with the newest manager's log."""
        log = self._operators[-1].log if self._operators else None
        wait_until(what, lambda: bool(probe()), seconds=seconds, every=every, log=log)

    def until_settled(self, name: str = "bao", *, runs: int = 1) -> Json:
        """Wait until so many runs of the cluster are over and forgotten; gives `status.backup`."""
        self.until(
            f"{name} to have {runs} runs that are over",
            lambda: is_settled(self.status(name), self.jobs(name), runs),
        )
        return self.backup(name)

    def until_at_rest(self, *, seconds: float = 30, quiet: float = 2.5) -> float:
        """Wait until the manager has written nothing but its Lease for a while; gives time.monotonic()."""

        def silent() -> bool:
            wrote = self.proxy.writes(without=("leases",))
            return not wrote or time.monotonic() - wrote[-1].at > quiet

        self.until("the manager to be at rest", silent, seconds=seconds)
        return time.monotonic()


def is_settled(status: Mapping[str, Any], jobs: Sequence[Json], runs: int = 1) -> bool:
    """Whether so many runs are over, and nothing is left to be written of them."""
    backup = status.get("backup") or {}
    attempt = backup.get("attempt") or {}
    forgotten = [job for job in jobs if job["spec"].get("ttlSecondsAfterFinished") is not None]
    over = bool(attempt.get("settled") or attempt.get("retryAt"))
    return over and not backup.get("acceptedTrigger") and len(jobs) == len(forgotten) == runs


def of(site: Site, resource: str, method: str, **more: Any) -> Match:
    """Requests for a resource in the site's namespace."""
    return Match(method=method, resource=resource, namespace=site.namespace, **more)
