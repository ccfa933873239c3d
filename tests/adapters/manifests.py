"""Documents and the objects that are expected of their runs: `tests/data/manifests`.

`python -m tests.adapters.manifests` writes the expected files anew, to be read before they are kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bao_backup.adapters.kubernetes.manifests import RunObjects, run_objects
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.model import Trigger
from bao_backup.core.naming import backup_key, cluster_prefix, run_name, short_id
from bao_backup.core.observed import StartRun
from bao_backup.core.spec import OpenBaoCluster, parse_cluster

FOLDER = Path(__file__).parents[1] / "data" / "manifests"
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


def made(objects: RunObjects) -> list[dict[str, Any]]:
    """Those that there are, in the order in which they are made."""
    return [each for each in objects if each is not None]


def expected(case: str) -> list[dict[str, Any]]:
    """What the case's file says."""
    return list(yaml.safe_load_all((FOLDER / f"{case}.objects.yaml").read_text()))


def main() -> None:
    """Write all expected files."""
    for case in CASES:
        text = yaml.safe_dump_all(made(objects_of(case)), sort_keys=False, width=1_000_000)
        (FOLDER / f"{case}.objects.yaml").write_text(text)


if __name__ == "__main__":
    main()
