"""The clusters that the Bao contract is held against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.harness.certificates import Authority
from tests.harness.client import request
from tests.harness.errors import HarnessError
from tests.harness.logins import (
    TokenIssuer,
    allow_snapshots,
    create_token,
    enable_approle,
    enable_jwt,
    enable_userpass,
)
from tests.harness.process import wait_until
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy
from tests.harness.vault import VaultCluster

from bao_backup.adapters.bao import HttpBao
from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.development.archive import take
from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster, MemorySnapshot, NodeState
from bao_backup.adapters.memory_bao.cluster import FORCE_PATH, RESTORE_PATH
from bao_backup.core.archive_writer import build_archive
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.ports import Bao, SnapshotStream

#: Longer than what TLS and HTTP say before the archive begins, shorter than any snapshot.
INTO_THE_ARCHIVE = 10_000


class Rights(StrEnum):
    """What the credentials are worth."""

    GOOD = "good"
    WRONG = "wrong"
    #: Right, but they do not allow to read snapshots.
    WEAK = "weak"
    #: Right, and they allow to restore, too.
    RESTORE = "restore"
    #: Right, and they allow nothing at all, not even to look at themselves.
    BARE = "bare"


class Cluster(ABC):
    """A cluster with a leader, and what a test does to it beside the port."""

    addresses: tuple[str, ...]

    @abstractmethod
    def open(self, method: AuthMethod = AuthMethod.USERPASS, rights: Rights = Rights.GOOD) -> Bao:
        """The port, with such a login."""

    @abstractmethod
    def open_stalling(self, stall_seconds: float) -> Bao:
        """The port, with a good login; its snapshots fall silent once they have begun."""

    @abstractmethod
    def wait_until_stalled(self, stream: SnapshotStream) -> None:
        """Return when that snapshot has fallen silent."""

    @abstractmethod
    def tokens(self) -> int:
        """How many tokens there are."""

    @abstractmethod
    def write(self, value: str) -> None:
        """Have this one value, which is in every snapshot from now on."""

    @abstractmethod
    def read(self) -> str | None:
        """The value that is there; None where nobody can say now."""

    @abstractmethod
    def foreign(self, value: str) -> bytes:
        """A snapshot with this value of a cluster with other keys."""

    @abstractmethod
    def unseal_foreign(self) -> None:
        """Unseal all nodes with the key of that other cluster; they lead when this returns."""

    @abstractmethod
    def step_down(self) -> None:
        """Another node leads when this returns."""

    @abstractmethod
    def seal(self) -> None:
        """All nodes are sealed when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """No node answers when this returns."""


class InMemory(Cluster):
    """The shipped cluster in memory."""

    def __init__(self) -> None:
        self.addresses = ("https://bao-0.test:8200", "https://bao-1.test:8200")
        records = [(b"logical/1/%d" % number, bytes(1000)) for number in range(5000)]
        self.cluster = MemoryCluster(lambda: build_archive(records, level=0), self.addresses)
        self.cluster.forgets_tokens = True
        #: SHA-256 of an archive -> the value in it.
        self._values: dict[str, str] = {}

    def open(self, method: AuthMethod = AuthMethod.USERPASS, rights: Rights = Rights.GOOD) -> Bao:
        self.cluster.accepts_login = rights is not Rights.WRONG
        self.cluster.allows_snapshot = rights not in (Rights.WEAK, Rights.BARE)
        given = {Rights.RESTORE: {"read", "update"}, Rights.GOOD: {"read"}}.get(rights, {"deny"})
        paths = {RESTORE_PATH: frozenset(given), FORCE_PATH: frozenset(given - {"read"} or {"deny"})}
        self.cluster.capabilities = None if rights is Rights.BARE else paths
        return MemoryBao(self.cluster, token=self.cluster.grant() if method is AuthMethod.TOKEN else "")

    def open_stalling(self, stall_seconds: float) -> Bao:
        fault = BaoFault(method="snapshot", after=INTO_THE_ARCHIVE, stall=True)
        return MemoryBao(self.cluster, [fault], stall_seconds=stall_seconds)

    def wait_until_stalled(self, stream: SnapshotStream) -> None:
        assert isinstance(stream, MemorySnapshot)
        assert stream.stalled.wait(10)

    def tokens(self) -> int:
        return len(self.cluster.tokens)

    def write(self, value: str) -> None:
        archive = self._archive(value)
        self.cluster.archive = lambda: [archive]

    def read(self) -> str | None:
        return self._values.get(sha256(b"".join(self.cluster.archive())).hexdigest())

    def foreign(self, value: str) -> bytes:
        self.cluster.keys_differ = True
        self.cluster.restored_cluster_id = "another"
        return self._archive(value)

    def unseal_foreign(self) -> None:
        self.cluster.set_all(NodeState.STANDBY)
        self.cluster.elect(self.addresses[0])

    def _archive(self, value: str) -> bytes:
        noise = Random(value).randbytes(300_000)
        archive = b"".join(build_archive([(b"logical/1/value", value.encode()), (b"logical/1/n", noise)]))
        self._values[sha256(archive).hexdigest()] = value
        return archive

    def step_down(self) -> None:
        self.cluster.elect(next(each for each in self.addresses if not self.cluster.leads(each)))

    def seal(self) -> None:
        self.cluster.set_all(NodeState.SEALED)

    def stop(self) -> None:
        self.cluster.set_all(NodeState.UNREACHABLE)


class OverHttp(Cluster):
    """A cluster that HttpBao speaks with over TLS."""

    def __init__(self, folder: Path, ca_file: Path, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self._folder = folder
        self._ca_file = ca_file
        self._proxies: list[TcpProxy] = []

    @abstractmethod
    def credentials(self, method: AuthMethod, rights: Rights) -> dict[str, str]:
        """File name -> content, as the method needs it."""

    def open(self, method: AuthMethod = AuthMethod.USERPASS, rights: Rights = Rights.GOOD) -> Bao:
        return HttpBao(self._settings(method, rights, self.addresses))

    def open_stalling(self, stall_seconds: float) -> Bao:
        self._proxies = [TcpProxy(address) for address in self.addresses]
        for proxy in self._proxies:
            proxy.set(ByteFault(ByteFaultKind.STALL, at=INTO_THE_ARCHIVE))
        addresses = tuple(proxy.url for proxy in self._proxies)
        return HttpBao(
            self._settings(AuthMethod.USERPASS, Rights.GOOD, addresses, stall_seconds=stall_seconds)
        )

    def wait_until_stalled(self, stream: SnapshotStream) -> None:
        del stream
        proxies = self._proxies
        wait_until("the stall", lambda: any(proxy.reached.is_set() for proxy in proxies), seconds=10)

    def end(self) -> None:
        """End what tests started."""
        for proxy in self._proxies:
            proxy.stop()

    def _settings(
        self, method: AuthMethod, rights: Rights, addresses: tuple[str, ...], stall_seconds: float = 60.0
    ) -> BaoSettings:
        for name, content in self.credentials(method, rights).items():
            (self._folder / name).write_text(f"{content}\n", encoding="utf-8")
        auth = BaoAuth(
            method=method,
            role="backup",
            token_file=str(self._folder / "token"),
            jwt_file=str(self._folder / "jwt"),
            secret_folder=str(self._folder),
        )
        return BaoSettings(
            addresses=addresses, ca_file=str(self._ca_file), auth=auth, stall_seconds=stall_seconds
        )


class InDevelopment(OverHttp):
    """Three development servers."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.cluster = DevelopmentCluster(3, padding=3 << 20)
        self.cluster.apply_seconds = 0.3
        self._other = DevelopmentCluster(padding=1 << 20)
        issued = authority.issue("development")
        self.servers = [
            DevelopmentServer(self.cluster, number, certificate=issued.certificate, key=issued.key)
            for number in range(3)
        ]
        for server in self.servers:
            server.start()
        super().__init__(folder, authority.ca_file, tuple(server.address for server in self.servers))
        for mount in ("jwt-operator", "kubernetes"):
            self.cluster.logins.jwts[mount]["backup"] = {"good.json.token"}

    def credentials(self, method: AuthMethod, rights: Rights) -> dict[str, str]:
        good = rights is not Rights.WRONG
        match method:
            case AuthMethod.TOKEN:
                policies = {Rights.GOOD: ("snapshot",), Rights.BARE: ()}.get(rights, ("default",))
                return {"token": self.cluster.grant(policies) if good else "s.wrong"}
            case AuthMethod.USERPASS if rights is Rights.RESTORE:
                return {"username": "restore", "password": self.cluster.logins.users["restore"]}
            case AuthMethod.USERPASS:
                password = self.cluster.logins.users["backup"]
                return {"username": "backup", "password": password if good else "wrong"}
            case AuthMethod.APPROLE:
                role_id, secret_id = next(iter(self.cluster.logins.app_roles.items()))
                return {"role_id": role_id, "secret_id": secret_id if good else "wrong"}
            case _:
                return {"jwt": "good.json.token" if good else "wrong.json.token"}

    def tokens(self) -> int:
        return len(self.cluster.tokens)

    def write(self, value: str) -> None:
        self.cluster.write("value", {"value": value})

    def read(self) -> str | None:
        secret = self.cluster.secrets.get("value")
        return str(secret.data["value"]) if secret else None

    def foreign(self, value: str) -> bytes:
        self._other.write("value", {"value": value})
        return b"".join(take(self._other))

    def unseal_foreign(self) -> None:
        for node in self.cluster.nodes:
            assert not self.cluster.unseal(node, self.cluster.unseal_key + "x")
            assert self.cluster.unseal(node, self._other.unseal_key)

    def step_down(self) -> None:
        self.cluster.step_down()

    def seal(self) -> None:
        for node in self.cluster.nodes:
            self.cluster.seal(node)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def end(self) -> None:
        super().end()
        self.stop()


class InVault(OverHttp):
    """Three nodes of a real Vault or OpenBao."""

    def __init__(self, folder: Path, cluster: VaultCluster, other: VaultCluster | None = None) -> None:
        """`other` is one with other keys."""
        assert cluster.ca_file is not None
        super().__init__(folder, cluster.ca_file, tuple(cluster.addresses))
        self.cluster = cluster
        self._other = other
        self._issuer = TokenIssuer()

    def credentials(self, method: AuthMethod, rights: Rights) -> dict[str, str]:
        good = rights is not Rights.WRONG
        policies = [allow_snapshots(self.cluster)] if rights is Rights.GOOD else ["default"]
        if rights is Rights.RESTORE:
            policies = [allow_restores(self.cluster)]
        match method:
            case AuthMethod.TOKEN if rights is Rights.BARE:
                asked = {"policies": ["none"], "no_default_policy": True}
                answer = self.cluster.ask("PUT", "auth/token/create", asked)
                return {"token": answer["auth"]["client_token"]}
            case AuthMethod.TOKEN:
                return {"token": create_token(self.cluster, policies) if good else "hvs.wrong"}
            case AuthMethod.USERPASS:
                enable_userpass(self.cluster, policies, name="backup", password="right-password")
                return {"username": "backup", "password": "right-password" if good else "wrong"}
            case AuthMethod.APPROLE:
                role = enable_approle(self.cluster, policies)
                return {"role_id": role.role_id, "secret_id": role.secret_id if good else "wrong"}
            case _:
                mount = "jwt-operator" if method is AuthMethod.JWT else "kubernetes"
                enable_jwt(self.cluster, policies, self._issuer, mount=mount)
                return {"jwt": self._issuer.issue() if good else TokenIssuer().issue()}

    def tokens(self) -> int:
        return len(self.cluster.ask("LIST", "auth/token/accessors")["data"]["keys"])

    def write(self, value: str) -> None:
        self.cluster.write_secret("value", {"value": value})

    def read(self) -> str | None:
        try:
            return (self.cluster.read_secret("value") or {}).get("value")
        except HarnessError:
            return None

    def foreign(self, value: str) -> bytes:
        assert self._other is not None
        self._other.write_secret("value", {"value": value})
        path = f"{self._other.leader().url}/v1/sys/storage/raft/snapshot"
        token = {"X-Vault-Token": self._other.root_token}
        return request("GET", path, headers=token, context=self._other.leader().context).body

    def unseal_foreign(self) -> None:
        assert self._other is not None
        refused = self.cluster.nodes[0].request("PUT", "sys/unseal", {"key": self.cluster.unseal_key})
        assert refused.status == 400
        self.cluster.unseal_key, self.cluster.root_token = self._other.unseal_key, self._other.root_token
        self.cluster.heal()

    def step_down(self) -> None:
        before = self.cluster.leader()
        self.cluster.step_down()
        wait_until("another leader", lambda: self.cluster.find_leader() not in (None, before), seconds=30)

    def seal(self) -> None:
        for node in [*self.cluster.standbys(), self.cluster.leader()]:
            self.cluster.seal(node)

    def stop(self) -> None:
        for node in self.cluster.nodes:
            self.cluster.kill(node)


def allow_restores(cluster: VaultCluster) -> str:
    """A policy that allows to take snapshots and to put them back; gives its name."""
    rules = (
        'path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }\n'
        'path "sys/storage/raft/snapshot-force" { capabilities = ["update"] }'
    )
    cluster.policy("restores", rules)
    return "restores"
