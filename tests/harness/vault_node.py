"""One node of a Vault or OpenBao cluster: its configuration, its process, its HTTP interface."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import client
from tests.harness.certificates import Authority
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess

#: What `sys/health` answers. https://developer.hashicorp.com/vault/api-docs/system/health
ACTIVE = 200
STANDBY = 429
NOT_INITIALISED = 501
SEALED = 503


@dataclass(frozen=True)
class Place:
    """Where a node listens."""

    name: str
    port: int
    cluster_port: int
    tls: bool
    address: str = "127.0.0.1"
    #: A folder with programs that may be registered as plugins.
    plugins: Path | None = None

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    @property
    def cluster_url(self) -> str:
        """Where the other nodes reach it."""
        return f"https://{self.address}:{self.cluster_port}"


class VaultNode:
    """A node; its data, log and configuration are in one folder."""

    def __init__(self, folder: Path, binary: Path, place: Place, authority: Authority | None) -> None:
        self.folder = folder
        self.place = place
        self.name = place.name
        self.url = place.url
        self._authority = authority
        self._context = authority.client_context() if authority else None
        configuration = folder / "server.hcl"
        self.process = ServerProcess(
            f"{binary.name} {self.name}",
            [binary, "server", "-config", configuration],
            log=folder / "server.log",
            # Without a HOME of its own it would read the token helper of whoever runs this.
            variables={"HOME": str(folder), "VAULT_API_ADDR": place.url, "BAO_API_ADDR": place.url},
        )

    def configure(self, others: Sequence[Place], hosts: tuple[str, ...]) -> None:
        """Write its configuration and certificate; `others` are the nodes that it may join."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        lines = [
            "ui = false",
            "disable_mlock = true",
            'log_level = "info"',
            f"api_addr = {_text(self.url)}",
            f"cluster_addr = {_text(self.place.cluster_url)}",
            *([f"plugin_directory = {_text(self.place.plugins.resolve())}"] if self.place.plugins else []),
            *('listener "tcp" {', *self._listener(hosts), "}"),
            *('storage "raft" {', f"path = {_text(self.folder / 'data')}", f"node_id = {_text(self.name)}"),
            # The shortest election timeouts: a lost leader is replaced in seconds.
            "performance_multiplier = 1",
            # How often a leader looks whether a node that joined may vote; the default is 10 s.
            'autopilot_reconcile_interval = "500ms"',
            'autopilot_update_interval = "250ms"',
            *(line for other in others for line in self._join(other)),
            "}",
        ]
        (self.folder / "server.hcl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _listener(self, hosts: tuple[str, ...]) -> list[str]:
        address = [
            f'address = "{self.place.address}:{self.place.port}"',
            f'cluster_address = "{self.place.address}:{self.place.cluster_port}"',
        ]
        if self._authority is None:
            return [*address, "tls_disable = true"]
        issued = self._authority.issue(self.name, hosts)
        return [
            *address,
            f"tls_cert_file = {_text(issued.certificate)}",
            f"tls_key_file = {_text(issued.key)}",
        ]

    def _join(self, other: Place) -> list[str]:
        trust = [f"leader_ca_cert_file = {_text(self._authority.ca_file)}"] if self._authority else []
        return ["retry_join {", f"leader_api_addr = {_text(other.url)}", *trust, "}"]

    def start(self) -> None:
        """Start it, and wait until it answers anything."""
        self.process.start()
        self.process.wait_ready(lambda: self.health() is not None)

    def health(self) -> int | None:
        """The status of `sys/health`; None when it does not answer."""
        try:
            return self.request("GET", "sys/health", timeout=2).status
        except HarnessError:
            return None

    @property
    def unsealed(self) -> bool:
        """Whether it is active or a standby."""
        return self.health() in (ACTIVE, STANDBY)

    def request(
        self, method: str, path: str, body: Any = None, *, token: str = "", timeout: float = 30
    ) -> client.Answer:
        """One request to this very node, whatever its answer's status."""
        return client.request(
            method,
            f"{self.url}/v1/{path}",
            body=json.dumps(body).encode() if body is not None else b"",
            headers={"X-Vault-Token": token} if token else {},
            context=self._context,
            timeout=timeout,
        )

    @property
    def context(self) -> ssl.SSLContext | None:
        """What trusts its certificate; None without TLS."""
        return self._context


def _text(value: object) -> str:
    return json.dumps(str(value))
