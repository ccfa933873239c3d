"""Who is measured: ours, and the peers that do a part of the same with common tools."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.minio import ROOT, Minio

from bao_backup.core.connection import BaoAuth, BaoSettings
from bao_backup.core.settings import RunSettings, to_environment
from bao_backup.core.storage import StoreSettings

PROGRAM = Path(sys.executable).with_name("bao-backup")
#: Both upload with the product's defaults: parts of 10 MiB, three at once.
PART = 10
AT_ONCE = 3


@dataclass(frozen=True)
class Source:
    """A server that sends a snapshot, and how to get in."""

    url: str
    ca_file: Path
    #: For curl: a file with the request header that holds the token.
    header_file: Path
    auth: BaoAuth


@dataclass(frozen=True)
class Target:
    """A bucket of a MinIO over plain HTTP."""

    minio: Minio
    bucket: str

    def store(self) -> StoreSettings:
        """As ours is told of it."""
        return StoreSettings(
            provider="s3",
            bucket=self.bucket,
            endpoint=self.minio.url,
            path_style=True,
            part_size=PART << 20,
            concurrency=AT_ONCE,
        )


@dataclass(frozen=True)
class Contender:
    """A pipeline of programs, and the environment that configures them."""

    commands: tuple[tuple[str | Path, ...], ...]
    variables: dict[str, str]


def ours(source: Source, store: StoreSettings, key: str) -> Contender:
    """`bao-backup backup` as it is: login, proof in flight, upload, check, receipt, revocation."""
    settings = RunSettings(
        namespace="bench",
        name="vault",
        key=key,
        bao=BaoSettings(addresses=(source.url,), auth=source.auth, ca_file=str(source.ca_file)),
        store=store,
    )
    keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key, "AWS_SECRET_ACCESS_KEY": ROOT.secret_key}
    return Contender(((PROGRAM, "backup"),), to_environment(settings) | keys)


def curl_to_rclone(source: Source, target: Target, key: str, rclone: Path) -> Contender:
    """`curl | rclone rcat`: what a shell script would do; it proves nothing of what it stores."""
    flags = ("--s3-chunk-size", f"{PART}M", "--s3-upload-concurrency", str(AT_ONCE), "--s3-no-check-bucket")
    return Contender(
        (curl(source), (rclone, "rcat", *flags, f":s3:{target.bucket}/{key}")), rclone_variables(target)
    )


def rclone_variables(target: Target) -> dict[str, str]:
    """How rclone is told of the store; it reads no file."""
    return {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_S3_PROVIDER": "Minio",
        "RCLONE_S3_ENDPOINT": target.minio.url,
        "RCLONE_S3_ACCESS_KEY_ID": ROOT.access_key,
        "RCLONE_S3_SECRET_ACCESS_KEY": ROOT.secret_key,
    }


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
