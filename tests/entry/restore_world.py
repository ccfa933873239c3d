"""A development server with new data, a folder with the backup of its old data, and restores by command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.entry.conftest import Command
from tests.entry.world import World

from bao_backup.adapters.development import DevelopmentServer

OLD, NEW = {"data": "old"}, {"data": "new"}


class RestoreWorld:
    """What commands work on: the documents of `World`, with the login that may restore."""

    def __init__(self, world: World, server: DevelopmentServer, command: Command) -> None:
        self.world, self.server, self.command = world, server, command
        self.cluster = server.cluster
        self.login("restore")
        self.cluster.write("x", dict(OLD))
        assert command("backup").code == 0
        (self.key,) = (name for name in world.files() if name.endswith(".snap"))
        self.cluster.write("x", dict(NEW))
        self.cluster.write("y", dict(NEW))

    def login(self, user: str) -> None:
        """Let the document log in as this user."""
        folder = self.world.folder / "secrets" / "login"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "username").write_text(user)
        (folder / "password").write_text(self.cluster.logins.users[user])
        document = self.world.document()
        backup = document["spec"]["backup"]
        del backup["tokenSecretRef"]
        backup["auth"] = {"method": "userpass", "secretRef": {"name": "login"}}
        self.world.configure(document)

    def token(self) -> Path:
        """A file with the root token."""
        file = self.world.folder / "token"
        file.write_text(self.cluster.root_token)
        return file

    def file(self) -> Path:
        """The backup, as somebody has downloaded it."""
        file = self.world.folder / "vault.snap"
        file.write_bytes((self.world.target / self.key).read_bytes())
        return file

    @property
    def data(self) -> dict[str, Any]:
        """All secrets that the server has."""
        return {name: dict(secret.data) for name, secret in self.cluster.secrets.items()}

    def safety_keys(self) -> list[str]:
        """The backups of what was there before a restore."""
        return sorted(
            name for name in self.world.files() if "/pre-restore-" in name and name.endswith(".snap")
        )

    def secrets(self) -> list[str]:
        """What nobody may be told."""
        return [self.cluster.root_token, *self.cluster.logins.users.values(), *self.cluster.tokens]


def result_of(out: str) -> dict[str, Any]:
    """The one JSON document that was printed."""
    found: dict[str, Any] = json.loads(out)
    return found
