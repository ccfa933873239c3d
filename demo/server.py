"""The Raft server of the demonstration: a real one where there is one, else our own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from tests.harness.build import cache_folder
from tests.harness.vault import VaultCluster

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer


class DemoServer(Protocol):
    """A server that the demonstration starts, stops and starts again."""

    #: What it is, in words.
    words: str

    def start(self) -> None:
        """Bring it up, unsealed."""
        ...

    def break_off(self) -> None:
        """End it as a crash does."""
        ...

    def come_back(self) -> None:
        """Bring it up again, with what it knew."""
        ...

    def end(self) -> None:
        """End it for good."""
        ...

    @property
    def connection(self) -> dict[str, object]:
        """`spec.connection` for it."""
        ...

    @property
    def token(self) -> str:
        """A token that may read snapshots."""
        ...


class RealServer:
    """A single OpenBao or Vault with Raft storage and TLS."""

    def __init__(self, folder: Path, binary: Path, where: str) -> None:
        kind = "OpenBao" if binary.name == "bao" else "Vault"
        self.words = f"a real {kind} ({where})"
        self._cluster = VaultCluster(folder / "server", binary)

    def start(self) -> None:
        self._cluster.start()
        self._cluster.write_secret("demo", {"greeting": "hello"})

    def break_off(self) -> None:
        self._cluster.kill(self._cluster.nodes[0])

    def come_back(self) -> None:
        self._cluster.revive(self._cluster.nodes[0])

    def end(self) -> None:
        self._cluster.stop()

    @property
    def connection(self) -> dict[str, object]:
        return {"addresses": list(self._cluster.addresses), "caFile": str(self._cluster.ca_file)}

    @property
    def token(self) -> str:
        return self._cluster.root_token


class OwnServer:
    """The development server."""

    words = "our development server, since there is no bao or vault here: it speaks the same API"

    def __init__(self) -> None:
        self._server = DevelopmentServer(DevelopmentCluster(padding=256 * 1024))

    def start(self) -> None:
        self._server.start()

    def break_off(self) -> None:
        self._server.stop()

    def come_back(self) -> None:
        self._server.start()

    def end(self) -> None:
        self._server.stop()

    @property
    def connection(self) -> dict[str, object]:
        return {"addresses": [self._server.address]}

    @property
    def token(self) -> str:
        return self._server.cluster.root_token


def choose(folder: Path) -> DemoServer:
    """A `bao` or `vault` on the PATH, else the one that the tests built, else our own."""
    for name in ("bao", "vault"):
        if found := shutil.which(name):
            return RealServer(folder, Path(found), "from the PATH")
    built = cache_folder() / "vault"
    if built.is_file():
        return RealServer(folder, built, "the one that the tests built")
    return OwnServer()
