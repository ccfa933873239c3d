"""Who is measured: ours, and the peers that do a part of the same with common tools."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness.vault import VaultCluster

from bao_backup.core.connection import BaoAuth, BaoSettings
from bao_backup.core.restore_settings import Place as ClusterPlace
from bao_backup.core.restore_settings import RestoreSettings, Wanted
from bao_backup.core.restore_settings import to_environment as restore_environment
from bao_backup.core.settings import RunSettings, to_environment
from bao_backup.core.target_url import TargetUrl, format_target_url
from bench.places import Place

PROGRAM = Path(sys.executable).with_name("bao-backup")
#: The cluster of all backups, as commands are told of it.
CLUSTER = "bench/vault"


@dataclass(frozen=True)
class Source:
    """A server that sends a snapshot, and how to get in."""

    url: str
    ca_file: Path
    #: For curl: a file with the request header that holds the token.
    header_file: Path
    auth: BaoAuth

    def bao(self) -> BaoSettings:
        """As ours is told of it."""
        return BaoSettings(addresses=(self.url,), auth=self.auth, ca_file=str(self.ca_file))


@dataclass(frozen=True)
class Contender:
    """A pipeline of programs, and the environment that configures them."""

    commands: tuple[tuple[str | Path, ...], ...]
    variables: Mapping[str, str]


def ours(source: Source, place: Place, key: str) -> Contender:
    """`bao-backup backup` as it is: login, proof in flight, upload, check, receipt, revocation."""
    settings = RunSettings(namespace="bench", name="vault", key=key, bao=source.bao(), store=place.store())
    return Contender(((PROGRAM, "backup"),), {**to_environment(settings), **place.credentials})


def ours_on(place: Place, command: str, *words: str | Path, prefix: str = "") -> Contender:
    """A command of ours that works on a target by its URL, and needs no document."""
    url = format_target_url(TargetUrl(store=place.store(), path_prefix=prefix))
    order = (PROGRAM, command, "--target", url, "--cluster", CLUSTER, *words)
    return Contender((order,), place.credentials)


def ours_restoring(
    source: Source, wanted: Wanted, *, where: Place | None, safety: Place | None = None
) -> Contender:
    """`bao-backup restore` as a Job runs it; `where` the backup is: None for a file of this machine."""
    settings = RestoreSettings(
        namespace="bench",
        name="vault",
        bao=source.bao(),
        wanted=wanted,
        source=_place_of_cluster(where),
        safety=_place_of_cluster(safety),
    )
    credentials = {**(where.credentials if where else {}), **(safety.credentials if safety else {})}
    return Contender(((PROGRAM, "restore"),), {**restore_environment(settings), **credentials})


def vault_restoring(vault: VaultCluster, snapshot: Path) -> Contender:
    """`vault operator raft snapshot restore FILE`: it sends the file, and ends with the server's answer."""
    variables = {
        "VAULT_ADDR": vault.addresses[0],
        "VAULT_TOKEN": vault.root_token,
        "VAULT_CACERT": str(vault.ca_file),
        "HOME": str(vault.folder),
    }
    return Contender(((vault.binary, "operator", "raft", "snapshot", "restore", snapshot),), variables)


def _place_of_cluster(place: Place | None) -> ClusterPlace | None:
    return ClusterPlace(store=place.store(), prefix=CLUSTER) if place else None


def curl_to_rclone(source: Source, place: Place, key: str, rclone: Path) -> Contender:
    """`curl | rclone rcat`: what a shell script would do; it proves nothing of what it stores."""
    return Contender((curl(source), (rclone, "rcat", *place.flags, place.path(key))), place.variables)


def rclone_to_sum(place: Place, key: str, rclone: Path) -> Contender:
    """`rclone cat | sha256sum`: reads all of it, and looks at nothing inside."""
    return Contender(((rclone, "cat", place.path(key)), ("sha256sum",)), place.variables)


def curl_to_nothing(source: Source) -> Contender:
    """`curl -o /dev/null`: how fast the server is when nobody does anything with its bytes."""
    return Contender(((*curl(source), "-o", "/dev/null"),), {})


def curl(source: Source) -> tuple[str | Path, ...]:
    """Read the snapshot, with the server's certificate verified; the token is in a file."""
    url = f"{source.url}/v1/sys/storage/raft/snapshot"
    return ("curl", "-sS", "--fail", "--cacert", source.ca_file, "-H", f"@{source.header_file}", url)


def python_alone() -> Contender:
    """The interpreter that does nothing: the least that a start can take."""
    return Contender(((sys.executable, "-c", "pass"),), {})
