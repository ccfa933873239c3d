"""The examples in docs/ are complete and right."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT, inspect

from bao_backup.adapters.documents import read_documents
from bao_backup.core.backup_spec import Backup
from bao_backup.core.documents import Part
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.restore_spec import RestoreSpec, parse_restore
from bao_backup.core.servers import Connection
from bao_backup.core.spec import parse_cluster

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CLUSTERS = EXAMPLES / "clusters.yaml"
RESTORES = EXAMPLES / "restores.yaml"
UNIT = EXAMPLES / "bao-backup.service"
#: Of a later version: accepted, and ignored; or refused with what to do instead. Nobody should write it.
LEFT_OUT = {"spec.backup.restoreTest", "spec.backup.target.azure.encryptionScope"}
#: The classes before an upgrade have the fields of retention again.
SAME_AGAIN = "spec.backup.retention.preUpgrade."


def fields(kind: type[Part], path: str) -> Iterator[tuple[str, inspect.Field]]:
    """Every field of a part and of the parts in it, with its path."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        place = f"{path}.{field.encode_name}"
        yield place, field
        for part in parts_in(field.type):
            yield from fields(part, place)


def parts_in(kind: inspect.Type) -> Iterator[type[Part]]:
    """The parts that a field may hold."""
    match kind:
        case inspect.Metadata(type=inner):
            yield from parts_in(inner)
        case inspect.UnionType(types=types):
            for each in types:
                yield from parts_in(each)
        case inspect.StructType(cls=cls) if issubclass(cls, Part):
            yield cls


def paths(content: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every path in a document."""
    for name, value in content.items():
        place = f"{path}.{name}" if path else name
        yield place
        if isinstance(value, Mapping):
            yield from paths(value, place)


#: Of a restore: a target has the fields of a cluster's.
SAME_TARGET = "spec.source.target."
OF_RESTORES = {path: field for path, field in fields(RestoreSpec, "spec") if not path.startswith(SAME_TARGET)}
#: Of a later version: accepted, and ignored; or refused. `file` is for where there is no Kubernetes.
NOT_IN_RESTORES = {
    "spec.clusterTemplate",
    "spec.targetLifecycle",
    "spec.cleanupAfterSeconds",
    "spec.auth.file",
}
ALL_FIELDS = {**dict(fields(Backup, "spec.backup")), **dict(fields(Connection, "spec.connection"))}


def test_right() -> None:
    """Every document is valid, and says all that a run without Kubernetes needs."""
    documents = read_documents(CLUSTERS)
    assert len(documents) >= 3
    for document in documents:
        cluster = parse_cluster(document.content, strict=True)
        settings_from_document(cluster, "/etc/bao-backup/secrets")
    names = {
        (each.content["metadata"]["name"], each.content["metadata"].get("namespace")) for each in documents
    }
    assert len(names) == len(documents)


def test_complete() -> None:
    """Every field of spec.backup and spec.connection occurs."""
    shown = {path for document in read_documents(CLUSTERS) for path in paths(document.content, "")}
    shown |= {path.replace("retentionPolicy", "retention") for path in shown}
    missing = {
        path
        for path in ALL_FIELDS.keys() - shown - LEFT_OUT
        if not path.startswith(SAME_AGAIN) and not path.startswith("spec.backup.retentionPolicy.")
    }
    assert missing == set()


def test_restores_are_right_and_complete() -> None:
    """Every document of a restore is valid, says nothing without effect, and every field occurs."""
    documents = [each.content for each in read_documents(RESTORES)]
    assert all(parse_restore(document, strict=True).ignored == () for document in documents)
    assert len({document["metadata"]["name"] for document in documents}) == len(documents)
    shown = {path for document in documents for path in paths(document, "")}
    assert OF_RESTORES.keys() - shown == NOT_IN_RESTORES
    for path in shown & OF_RESTORES.keys():
        says_its_default(RESTORES, path, OF_RESTORES[path])


def says_its_default(file: Path, path: str, field: inspect.Field) -> None:
    """Where the field has a default that is a value, the comment beside it says that value."""
    if field.default is NODEFAULT or field.default is None or field.default in ("", ()):
        return
    said = str(field.default.value if isinstance(field.default, Enum) else field.default)
    said = said.lower() if isinstance(field.default, bool) else said
    name = path.rpartition(".")[2]
    assert re.search(rf"^.*\b{name}: .*# default {re.escape(said)}\b", file.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("path", [path for path in ALL_FIELDS if path not in LEFT_OUT])
def test_defaults(path: str) -> None:
    """Where a field has a default that is a value, the comment beside it says that value."""
    says_its_default(CLUSTERS, path, ALL_FIELDS[path])


def test_unit_grace() -> None:
    """Systemd waits longer than the manager: its grace, and the time that runs have to abort."""
    text = UNIT.read_text()
    grace, stop = re.search(r"--grace (\d+)", text), re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert grace is not None
    assert stop is not None
    assert int(stop[1]) > int(grace[1]) + 20
    assert "\nKillMode=process\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_unit(tmp_path: Path) -> None:
    """Systemd takes the unit as it is, without a warning, and finds little that is exposed."""
    program = tmp_path / "bao-backup"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/bao-backup/bin/bao-backup", str(program)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], check=False, capture_output=True, text=True
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr
