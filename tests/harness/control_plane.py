"""A Kubernetes control plane on this machine: etcd, API server, controller manager, scheduler.

TLS everywhere, RBAC and Node authorization. The API server issues tokens of ServiceAccounts and lets
anyone read the keys that prove them (OpenID Connect discovery), so Vault and MinIO may trust it.
There is no kube-proxy and no DNS: no Service's address answers and no Service's name resolves.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import build, client, control_plane_commands, kubeconfig
from tests.harness.certificates import LOOPBACK, Authority
from tests.harness.control_plane_commands import Settings
from tests.harness.errors import HarnessError
from tests.harness.network import Network
from tests.harness.process import ServerProcess, free_ports, wait_until


class Part(StrEnum):
    """What runs beside etcd and the API server."""

    CONTROLLER_MANAGER = "controller-manager"
    SCHEDULER = "scheduler"


#: The names that pods know the API server by, and the first address of its Services.
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1")


class ControlPlane:
    """One control plane, with its data, logs and certificates in one folder.

    `kubeconfig` is the administrator's; `service_account_kubeconfig` writes one for somebody less mighty.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        network: Network | None = None,
        parts: Sequence[Part] = tuple(Part),
        api_arguments: Sequence[str] = (),
        audit: bool = False,
    ) -> None:
        """With `network` the API server answers at that network's address, too, where its pods reach it.

        With `audit` every request but those of Kubernetes' own parts is written down: `requests`.
        """
        self.folder = folder
        self.authority = authority or Authority(folder / "authority", "test cluster")
        self.network = network
        self.port, etcd_port, etcd_peer_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        #: What tokens name as their issuer, and where its keys are found.
        self.issuer = self.url
        self.audit_log = folder / "audit.log" if audit else None
        self._settings = Settings(
            folder=folder,
            authority=self.authority,
            port=self.port,
            etcd_port=etcd_port,
            etcd_peer_port=etcd_peer_port,
            bind="0.0.0.0" if network else "127.0.0.1",
            hosts=(*LOOPBACK, *SERVICE_NAMES, *((network.address,) if network else ())),
            audit_log=self.audit_log,
        )
        admin = self.authority.issue("admin", (), group="system:masters")
        self.kubeconfig = kubeconfig.write(folder / "admin.kubeconfig", self.url, self.ca_file, admin)
        self._context = self.authority.client_context()
        self._admin_context = self.authority.client_context()
        self._admin_context.load_cert_chain(admin.certificate, admin.key)
        self.etcd = self._process("etcd", control_plane_commands.etcd(self._settings))
        self.api_server = self._process(
            "kube-apiserver", [*control_plane_commands.api_server(self._settings), *api_arguments]
        )
        self.parts = {part: self._part(part) for part in parts}

    @property
    def ca_file(self) -> Path:
        """What trusts the API server."""
        return self.authority.ca_file

    def _process(self, name: str, arguments: Sequence[str]) -> ServerProcess:
        return ServerProcess(name, [build.binary(name), *arguments], log=self.folder / f"{name}.log")

    def _part(self, part: Part) -> ServerProcess:
        owner = self.authority.issue(part, (), user=f"system:kube-{part}")
        path = kubeconfig.write(self.folder / f"{part}.kubeconfig", self.url, self.ca_file, owner)
        command = (
            control_plane_commands.controller_manager(self._settings, path)
            if part is Part.CONTROLLER_MANAGER
            else control_plane_commands.scheduler(path)
        )
        return self._process(f"kube-{part}", command)

    # --- up and down ---------------------------------------------------------------------------

    def start(self) -> None:
        """Bring all parts up; a pod can be created when it comes back."""
        self.etcd.start()
        self.start_api_server()
        # They end when the API server does not answer soon enough after their own start.
        for process in self.parts.values():
            process.start()
        self.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _READ_BY_ANYONE)
        wait_until("OpenID Connect discovery", self._discoverable, seconds=30, log=self.api_server.log)
        if Part.CONTROLLER_MANAGER in self.parts:
            self._wait_for_account("default")

    def stop(self) -> None:
        """End all parts."""
        for process in reversed([self.etcd, self.api_server, *self.parts.values()]):
            process.stop(grace=3)

    def start_api_server(self) -> None:
        """Start the API server, and wait until it is ready."""
        self.api_server.start()
        self.api_server.wait_ready(self.answers, seconds=90)

    def kill_api_server(self) -> None:
        """End the API server as a crash does; etcd keeps its objects."""
        self.api_server.kill()

    def restart_api_server(self) -> None:
        """End the API server and start it again; a watch from before is told that it expired."""
        self.api_server.stop(grace=3)
        self.start_api_server()

    def heal(self) -> None:
        """Start whatever a test left dead."""
        if not self.etcd.running:
            self.etcd.start()
        if not self.api_server.running:
            self.start_api_server()
        for process in self.parts.values():
            if not process.running:
                process.start()

    def answers(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self.request("GET", "/readyz", timeout=5).status == 200
        except HarnessError:
            return False

    def _discoverable(self) -> bool:
        path = "/.well-known/openid-configuration"
        return client.request("GET", f"{self.url}{path}", context=self._context).status == 200

    def _wait_for_account(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        wait_until(
            f"the ServiceAccount default of {namespace}",
            lambda: self.request("GET", path).status == 200,
            seconds=60,
            log=self.folder / "kube-controller-manager.log",
        )

    # --- requests ------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Any = None, *, timeout: float = 30) -> client.Answer:
        """One request as the administrator, whatever its answer's status; faster than kubectl."""
        return client.request(
            method,
            self.url + path,
            body=json.dumps(body).encode() if body is not None else b"",
            headers={"Content-Type": "application/json"},
            context=self._admin_context,
            timeout=timeout,
        )

    def create(self, path: str, what: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object below a path of the API; gives it as it was stored.

        Raises HarnessError unless it succeeds.
        """
        answer = self.request("POST", path, what)
        if answer.status >= 300:
            said = answer.body.decode(errors="replace").strip()
            raise HarnessError(f"POST {path}: {answer.status} {said[:500]}")
        created: dict[str, Any] = answer.json()
        return created

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl, as the administrator if not told otherwise; gives its output.

        Raises HarnessError, with what it said, unless it succeeds.
        """
        variables = {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "HOME": str(self.folder)}
        done = subprocess.run(
            [str(build.binary("kubectl")), *arguments],
            env=os.environ | variables,
            input=stdin or "",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise HarnessError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, what: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str) -> None:
        """Create or change objects, given as one, as several, or as YAML.

        On the server's side, since otherwise an annotation would have to hold all of a large object.
        """
        if isinstance(what, Mapping):
            what = json.dumps(what)
        elif not isinstance(what, str):
            what = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(what)})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=what)

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """An object; raises HarnessError when there is none."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def find(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """An object; None when there is none."""
        output = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(output) if output else None

    def objects(self, kind: str, namespace: str = "default", labels: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in a namespace, `labels` being a label selector."""
        output = self.kubectl("get", kind, "-n", namespace, "-o", "json", "-l", labels)
        items: list[dict[str, Any]] = json.loads(output)["items"]
        return items

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Remove an object and wait until it is gone; no error when there is none."""
        self.kubectl("delete", kind, name, "-n", namespace, "--ignore-not-found", "--wait")

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """A namespace that is ready for pods; gives its name."""
        metadata = {"name": name, "labels": dict(labels or {})}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        if Part.CONTROLLER_MANAGER in self.parts:
            self._wait_for_account(name)
        return name

    # --- who somebody is -----------------------------------------------------------------------

    def create_service_account(self, name: str, namespace: str = "default") -> str:
        """A ServiceAccount; gives its name as the subject of its tokens."""
        metadata = {"name": name, "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return f"system:serviceaccount:{namespace}:{name}"

    def token(
        self, account: str, namespace: str = "default", *, audience: str = "", seconds: int = 3600
    ) -> str:
        """A token of a ServiceAccount, for the API server itself if no audience is named.

        `seconds` is its lifetime; the API server takes 600 at least.
        """
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": seconds}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
        token: str = answer["status"]["token"]
        return token

    def service_account_kubeconfig(self, account: str, namespace: str = "default") -> Path:
        """A kubeconfig whose owner may do what this ServiceAccount may, and nothing else; for 12 hours."""
        token = self.token(account, namespace, seconds=12 * 3600)
        path = self.folder / f"{namespace}-{account}.kubeconfig"
        return kubeconfig.write(path, self.url, self.ca_file, token, namespace)

    def requests(self, user: str = "") -> list[dict[str, Any]]:
        """The requests so far (audit events, audit.k8s.io/v1), of one user if one is named.

        Each stands there once: a watch from its start on, all others when they were answered.
        """
        if self.audit_log is None:
            raise HarnessError("this control plane writes no audit log: audit=True")
        events = [json.loads(line) for line in self.audit_log.read_text(encoding="utf-8").splitlines()]
        return [
            event
            for event in events
            if not user or event["user"].get("username") == user
            if (event["stage"] == "ResponseStarted") == (event["verb"] == "watch")
        ]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


#: Who checks a token (Vault, MinIO) has no account here.
_READ_BY_ANYONE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "issuer-is-read-by-anyone"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:service-account-issuer-discovery",
    },
    "subjects": [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}
    ],
}
