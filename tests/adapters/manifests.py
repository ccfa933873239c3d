"""Documents and the objects that are expected of their runs: `tests/data/manifests`, `restore-manifests`.

`python -m tests.adapters.manifests` writes the expected files anew, to be read before they are kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bao_backup.adapters.kubernetes.manifests import RunObjects, restore_objects, run_objects
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.model import Trigger
from bao_backup.core.naming import backup_key, cluster_prefix, restore_run_name, run_name, short_id
from bao_backup.core.observed import StartRun
from bao_backup.core.restore_spec import OpenBaoRestore, parse_restore
from bao_backup.core.spec import OpenBaoCluster, parse_cluster

FOLDER = Path(__file__).parents[1] / "data" / "manifests"
RESTORES = FOLDER.with_name("restore-manifests")
SLOT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
OPTIONS = JobOptions(image="registry.example.com/bao-backup:0.1.0")

#: By the name of their files: how the manager is set up.
CASES: dict[str, JobOptions] = {
    "managed": OPTIONS,
    "role": OPTIONS,
    "ambient": OPTIONS,
    "service": JobOptions(
        image="bao-backup:test", image_pull_policy="Never", image_pull_secrets=("registry",)
    ),
    "azure": OPTIONS,
    "everything": OPTIONS,
    "openshift": JobOptions(image=OPTIONS.image, openshift=True, audience="openshift"),
}
#: The same for restores.
RESTORE_CASES: dict[str, JobOptions] = {
    "own": OPTIONS,
    "other": OPTIONS,
    "bare": JobOptions(image=OPTIONS.image, openshift=True),
    "volume": OPTIONS,
}
#: A person asked for it, at a moment whose first name was taken.
MANUAL = {"role"}


def run_of(document: OpenBaoCluster, trigger: Trigger = Trigger.SCHEDULED, number: int = 1) -> StartRun:
    """A run of the slot, as the core names it."""
    backup = document.spec.backup
    assert backup is not None
    names = document.metadata
    prefix = cluster_prefix(backup.target.path_prefix, names.namespace, names.name)
    return StartRun(
        name=run_name(names.name, SLOT, number),
        key=backup_key(prefix, SLOT, short_id(document.identity, SLOT, number)),
        slot=SLOT,
        trigger=trigger,
        number=number,
    )


def document_of(case: str) -> OpenBaoCluster:
    """The document of a case; as on Kubernetes, fields that are not ours do no harm."""
    return parse_cluster(yaml.safe_load((FOLDER / f"{case}.document.yaml").read_text()), strict=False)


def objects_of(case: str) -> RunObjects:
    """What is made of the case's document now."""
    document = document_of(case)
    run = run_of(document, Trigger.MANUAL, 2) if case in MANUAL else run_of(document)
    return run_objects(document, run, CASES[case])


def restore_of(case: str) -> tuple[OpenBaoRestore, OpenBaoCluster]:
    """The documents of a restore's case."""
    cluster, restore = yaml.safe_load_all((RESTORES / f"{case}.documents.yaml").read_text())
    return parse_restore(restore, strict=False), parse_cluster(cluster, strict=False)


def objects_of_restore(case: str) -> RunObjects:
    """What is made of the documents of a restore's case now."""
    restore, cluster = restore_of(case)
    return restore_objects(restore, cluster, restore_run_name(restore.metadata.name), RESTORE_CASES[case])


def made(objects: RunObjects) -> list[dict[str, Any]]:
    """Those that there are, in the order in which they are made."""
    return [each for each in objects if each is not None]


def expected(case: str, folder: Path = FOLDER) -> list[dict[str, Any]]:
    """What the case's file says."""
    return list(yaml.safe_load_all((folder / f"{case}.objects.yaml").read_text()))


def main() -> None:
    """Write all expected files."""
    for case in CASES:
        _write(FOLDER / f"{case}.objects.yaml", objects_of(case))
    for case in RESTORE_CASES:
        _write(RESTORES / f"{case}.objects.yaml", objects_of_restore(case))


def _write(file: Path, objects: RunObjects) -> None:
    file.write_text(yaml.safe_dump_all(made(objects), sort_keys=False, width=1_000_000))


if __name__ == "__main__":
    main()
