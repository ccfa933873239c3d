"""What `bao-backup policy server` prints, pasted into a shell before a real server."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.vault import VaultCluster
from tests.servers.places import FolderPlace
from tests.servers.program import Ended, Site

CLUSTER = "least"


@dataclass
class Printed:
    """A site whose document names one way to log in, at a mount of its own."""

    site: Site
    place: FolderPlace
    vault: VaultCluster
    mount: str

    def describe(self, auth: dict[str, Any]) -> None:
        """Write the document, with a token that is nobody's where the method has none to give."""
        self.site.describe(CLUSTER, self.vault, self.place.target(self.site), auth=auth)

    def script(self, *options: str) -> str:
        """What a person pastes."""
        ended = self.site.run("policy", CLUSTER, "server", *options)
        assert ended.code == 0, ended.err
        return ended.out

    def paste(self, script: str, folder: Path) -> None:
        """Run the script in a shell, in this folder, where `bao` is the server's own command line."""
        paste(self.vault, script, folder)

    def give(self, folder: Path, *names: str) -> None:
        """Make the files that the script has written the run's Secret; nobody else may read them."""
        assert all((folder / name).stat().st_mode & 0o077 == 0 for name in names)
        self.site.secret("login", **{name: (folder / name).read_text().strip() for name in names})

    def back_up(self) -> Ended:
        """A run."""
        return self.site.begin_job(self.site.job(CLUSTER)).wait()


def by_secret(method: str, mount: str) -> dict[str, Any]:
    """A login by what is in a Secret."""
    return {"method": method, "mountPath": mount, "secretRef": {"name": "login"}}


def tokens(cluster: VaultCluster) -> set[str]:
    """The tokens that the server knows, by their accessors."""
    return set(cluster.ask("LIST", "auth/token/accessors")["data"]["keys"])


def paste(cluster: VaultCluster, script: str, folder: Path) -> None:
    """Run a script in a shell as root, in this folder, where `bao` is the server's own command line."""
    tools = folder / "tools"
    tools.mkdir(parents=True)
    (tools / "bao").symlink_to(cluster.binary)
    given = {"ADDR": cluster.leader().url, "TOKEN": cluster.root_token, "CACERT": str(cluster.ca_file)}
    variables = {f"{tool}_{name}": value for tool in ("VAULT", "BAO") for name, value in given.items()}
    done = subprocess.run(
        ["sh", "-e", "-u", "-c", script],
        cwd=folder,
        env=variables | {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
