"""A configuration, its Secrets and a folder with backups, and the command line that works on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from tests.core.archives import prove

from bao_backup.core.archive_writer import build_archive
from bao_backup.core.model import Trigger, VerifyLevel
from bao_backup.core.naming import backup_key, receipt_key, short_id
from bao_backup.core.receipt import Receipt, Verification, encode_receipt, identity_of

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
RECORDS = ((b"core/lock", b"PRIVATE VALUE"), (b"sys/policy/backup", b"PRIVATE VALUE"))
#: What no variable of the machine may change.
CONFIGURING = ("BACKUP_", "BAO_BACKUP_", "CLUSTER_", "AWS_", "STATE_DIRECTORY")
#: The machine is not asked for an identity.
NOT_ASKED = {"AWS_EC2_METADATA_DISABLED": "true"}


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON document."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The error's line, which is the only one on standard error that is ours."""
        assert "Traceback" not in self.err
        (line,) = (line for line in self.err.splitlines() if line.startswith("bao-backup: "))
        return line


@dataclass
class World:
    """A folder with `clusters.yaml`, `secrets` and `target`, for the cluster default/prod."""

    folder: Path
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The file with the document."""
        return self.folder / "clusters.yaml"

    @property
    def target(self) -> Path:
        """The folder that backups go to."""
        return self.folder / "target"

    def document(self, name: str = "prod", **backup: Any) -> dict[str, Any]:
        """A right document, but for what `backup` changes in spec.backup."""
        spec = {
            "connection": {"addresses": ["http://127.0.0.1:1"]},
            "backup": {
                "schedule": "0 2 * * *",
                "tokenSecretRef": {"name": "token"},
                "target": {"provider": "file", "path": str(self.target)},
                **backup,
            },
        }
        return {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": {"name": name},
            "spec": spec | self.spec,
        }

    def configure(self, *documents: dict[str, Any]) -> None:
        """Write the documents; the right one where none is given."""
        self.config.write_text(yaml.safe_dump_all(documents or (self.document(),)))

    def set_token(self, token: str) -> None:
        """Write the Secret that the document names."""
        secret = self.folder / "secrets" / "token"
        secret.mkdir(parents=True, exist_ok=True)
        (secret / "token").write_text(token)

    def add(self, day: int, *, proven: bool = True, body: bytes | None = None) -> str:
        """Put a backup of that day there; gives its key."""
        taken = FIRST + day * DAY
        key = backup_key("default/prod", taken, short_id("uid", taken, 1))
        body = b"".join(build_archive(RECORDS, index=100 + day, term=2)) if body is None else body
        place = self.target / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
        if proven:
            place.with_name(f"{place.name}.json").write_bytes(receipt_of(key, body, taken))
        return key

    def files(self) -> set[str]:
        """The keys of all files in the target."""
        return {str(file.relative_to(self.target)) for file in self.target.rglob("*") if file.is_file()}


def receipt_of(key: str, body: bytes, taken: datetime) -> bytes:
    """The receipt that the run of `taken` wrote for `body`."""
    contents = prove(body)
    receipt = Receipt(
        key=key,
        size=contents.size,
        sha256=contents.sha256,
        started=taken,
        finished=taken + timedelta(seconds=72),
        slot=taken,
        trigger=Trigger.SCHEDULED,
        cluster=identity_of("default", "prod", None),
        snapshot=contents.meta,
        members=contents.members,
        inventory=contents.inventory,
        verification=Verification(level=VerifyLevel.HEAD, time=taken),
        tool="bao-backup 0.1.0",
    )
    return encode_receipt(receipt)


def both(*keys: str) -> set[str]:
    """The keys, and those of their receipts."""
    return {*keys, *(receipt_key(key) for key in keys)}


def plain_environment(**variables: str) -> dict[str, str]:
    """The machine's environment without what configures us, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURING)}
    return {**kept, **NOT_ASKED, **variables}


def start(
    *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """The program as a process of its own, with its output in pipes unless `options` say otherwise."""
    return subprocess.Popen(
        [sys.executable, "-m", "bao_backup", *arguments],
        env=plain_environment() if environment is None else environment,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def finish(process: subprocess.Popen[str]) -> Answer:
    """Wait for its end."""
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, out or "", err or "")
