"""What a restore needs of its cluster's document, and that a mistake in the rest does not hinder it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.documents import document, restore_document

from bao_backup.core.errors import DocumentError
from bao_backup.core.restore_needs import needs_backup_settings, read_for_restore
from bao_backup.core.restore_spec import OpenBaoRestore, parse_restore
from bao_backup.core.spec import parse_cluster

Json = dict[str, Any]
ELSEWHERE = {"target": {"provider": "s3", "bucket": "elsewhere"}, "latest": True}
LOGIN: Json = {"spec.jwtAuthRole": "restore"}
#: It takes nothing from the cluster's backups, or all that it can, or what lies between.
ALONE = LOGIN | {"spec.source": ELSEWHERE, "spec.safetyBackup": False, "spec.jobTemplate": {}}
OWN = LOGIN | {"spec.source": {"latest": True}}
SAFE = LOGIN | {"spec.source": ELSEWHERE}
UNSAFE = LOGIN | {"spec.source": ELSEWHERE, "spec.safetyBackup": False}
FILE = {"provider": "file", "path": "/backups"}
MOUNTED = {
    "volumes": [{"name": "backups", "emptyDir": {}}],
    "volumeMounts": [{"name": "backups", "mountPath": "/backups"}],
}


def asked(changes: Json) -> OpenBaoRestore:
    """A restore's document with these changes."""
    return parse_restore(restore_document(changes), strict=True)


# what is wrong with the cluster -> for whom that does not matter, and for whom it does: which fields
MISTAKES: dict[str, tuple[Json, list[Json], dict[str, Json]]] = {
    "a schedule": ({"spec.backup.schedule": "0 0 30 2 *"}, [ALONE, OWN, SAFE, UNSAFE], {}),
    "no schedule": ({"spec.backup.schedule": None}, [ALONE, OWN, SAFE, UNSAFE], {}),
    "a retention": ({"spec.backup.retention": {"maxCount": -1}}, [ALONE, OWN, SAFE, UNSAFE], {}),
    "a time zone": ({"spec.backup.timeZone": "Mars/Olympus"}, [ALONE, OWN, SAFE, UNSAFE], {}),
    "two logins": (
        {"spec.backup.auth": {"method": "jwt", "role": "x"}, "spec.backup.jwtAuthRole": "y"},
        [ALONE, OWN, SAFE, UNSAFE],
        {},
    ),
    "a login by file": (
        {"spec.backup.auth": {"method": "token", "file": "/token"}},
        [ALONE, OWN, SAFE, UNSAFE],
        {},
    ),
    "a bucket": (
        {"spec.backup.target": {"provider": "s3"}},
        [ALONE],
        {"spec.backup.target.bucket": OWN},
    ),
    "a folder without a mount": (
        {"spec.backup.target": FILE},
        [ALONE, UNSAFE],
        {"spec.jobTemplate.volumeMounts": SAFE},
    ),
    "a template": (
        {"spec.backup.jobTemplate": {"env": [{"value": "x"}]}},
        [ALONE],
        {"spec.backup.jobTemplate.env[0].name": UNSAFE},
    ),
    "no backups that are an object": (
        {"spec.backup": "daily"},
        [ALONE],
        {"spec.backup.target": SAFE},
    ),
    "the servers": (
        {"spec.connection": {"addresses": ["https://bao:8200"], "caFile": "/ca.crt"}},
        [],
        {"spec.connection.caFile": ALONE},
    ),
    "a number of servers": ({"spec.replicas": -1}, [], {"spec.replicas": ALONE}),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    """One in what the restore does not need hinders it not; one in what it needs is named."""
    changes, without, needing = MISTAKES[case]
    wrong = document(changes)
    for restore in without:
        cluster = read_for_restore(wrong, asked(restore))
        assert cluster.metadata.name == "prod"
    for field, restore in needing.items():
        with pytest.raises(DocumentError) as caught:
            read_for_restore(wrong, asked(restore))
        assert field in {problem.path for problem in caught.value.problems}


@pytest.mark.parametrize("restore", [OWN, SAFE, UNSAFE])
def test_what_it_needs_is_there(restore: Json) -> None:
    """The target and the template of the backups are those of the document."""
    changes = {"spec.backup.target": FILE, "spec.backup.jobTemplate": MOUNTED}
    whole = parse_cluster(document(changes), strict=True).spec.backup
    read = read_for_restore(document(changes | {"spec.backup.schedule": "never"}), asked(restore)).spec.backup
    assert whole is not None
    assert read is not None
    assert (read.target, read.job_template) == (whole.target, whole.job_template)


def test_who_needs_nothing_of_the_backups() -> None:
    """Who names its source and its template, and wants no safety backup."""
    assert [needs_backup_settings(asked(each)) for each in (ALONE, OWN, SAFE, UNSAFE)] == [
        False,
        True,
        True,
        True,
    ]
