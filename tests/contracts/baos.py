"""The clusters that the Bao contract is held against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import Path

from tests.harness.certificates import Authority
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
from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster, MemorySnapshot, NodeState
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

    def open(self, method: AuthMethod = AuthMethod.USERPASS, rights: Rights = Rights.GOOD) -> Bao:
        self.cluster.accepts_login = rights is not Rights.WRONG
        self.cluster.allows_snapshot = rights is not Rights.WEAK
        return MemoryBao(self.cluster, token=self.cluster.grant() if method is AuthMethod.TOKEN else "")

    def open_stalling(self, stall_seconds: float) -> Bao:
        fault = BaoFault(method="snapshot", after=INTO_THE_ARCHIVE, stall=True)
        return MemoryBao(self.cluster, [fault], stall_seconds=stall_seconds)

    def wait_until_stalled(self, stream: SnapshotStream) -> None:
        assert isinstance(stream, MemorySnapshot)
        assert stream.stalled.wait(10)

    def tokens(self) -> int:
        return len(self.cluster.tokens)

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
                policy = "snapshot" if rights is Rights.GOOD else "default"
                return {"token": self.cluster.grant((policy,)) if good else "s.wrong"}
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

    def __init__(self, folder: Path, cluster: VaultCluster) -> None:
        assert cluster.ca_file is not None
        super().__init__(folder, cluster.ca_file, tuple(cluster.addresses))
        self.cluster = cluster
        self._issuer = TokenIssuer()

    def credentials(self, method: AuthMethod, rights: Rights) -> dict[str, str]:
        good = rights is not Rights.WRONG
        policies = [allow_snapshots(self.cluster)] if rights is Rights.GOOD else ["default"]
        match method:
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
