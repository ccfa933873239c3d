"""From the documents of a restore and its cluster to the settings of its Job, and which have none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.core.documents import document, restore_document

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.errors import DocumentError
from bao_backup.core.restore_from_document import (
    restore_problems,
    restore_settings_from_documents,
    restore_template,
)
from bao_backup.core.restore_settings import RestoreSettings, from_environment, to_environment
from bao_backup.core.restore_spec import OpenBaoRestore, parse_restore
from bao_backup.core.spec import OpenBaoCluster, parse_cluster

Changes = dict[str, Any]
KEY = "elsewhere/vault/old/2026-11-22T02-00-00Z-1a2b3c4d.snap"
JWT = {"spec.jwtAuthRole": "restore"}
OTHER = {"bucket": "old", "credentialsSecretRef": {"name": "old-keys"}}
OWN = {"bucket": "backups", "pathPrefix": "p", "credentialsSecretRef": {"name": "keys"}}
FILE = {"provider": "file", "path": "/backups"}
DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
MOUNTED = {"volumes": [DATA], "volumeMounts": [{"name": "data", "mountPath": "/backups"}]}
READ_ONLY = {"volumes": [DATA], "volumeMounts": [{"name": "data", "mountPath": "/backups", "readOnly": True}]}
OIDC = {"spec.selfInit": {"oidc": {"enabled": True, "audience": "of-oidc"}}}


def documents(restore: Changes, cluster: Changes) -> tuple[OpenBaoRestore, OpenBaoCluster]:
    """Both, with changes; the restore's own jobs are the least that are right."""
    return (
        parse_restore(restore_document(JWT | restore), strict=True),
        parse_cluster(document({"spec.backup.target": OWN} | cluster), strict=True),
    )


def settings(restore: Changes | None = None, cluster: Changes | None = None) -> RestoreSettings:
    """The settings of the restore's Job."""
    return restore_settings_from_documents(*documents(restore or {}, cluster or {}), audience="by-default")


def test_a_restore_from_the_clusters_own_target() -> None:
    """Source and place of the safety backup are one, with one folder of credentials."""
    found = settings({"spec.source": {"latest": True}})
    assert found.source == found.safety
    assert found.source is not None
    assert (found.source.store.bucket, found.source.prefix) == ("backups", "p/default/prod")
    assert found.source.credentials_folder == "/etc/bao/backup/credentials"


def test_a_restore_from_another_target() -> None:
    """The safety backup goes to the cluster's own, with other credentials from a folder of their own."""
    found = settings({"spec.source": {"target": OTHER, "key": KEY}})
    assert found.source is not None
    assert found.safety is not None
    assert (found.source.store.bucket, found.safety.store.bucket) == ("old", "backups")
    assert found.source.credentials_folder == "/etc/bao/backup/credentials"
    assert found.safety.credentials_folder == "/etc/bao/backup/safety-credentials"
    assert (found.source.prefix, found.safety.prefix) == ("default/prod", "p/default/prod")


def test_a_cluster_without_backups_is_saved_at_the_source() -> None:
    """Nobody says where else."""
    found = settings({"spec.source": {"target": OTHER, "key": KEY}}, {"spec.backup": None})
    assert found.safety == found.source


def test_no_safety_backup_where_it_is_not_wanted() -> None:
    """Then nothing is mounted for it."""
    assert settings({"spec.safetyBackup": False}).safety is None


def test_each_start_of_a_restore_has_the_same_moment() -> None:
    """That at which its document was made: a second one finds the safety backup of the first by it."""
    found = settings({"metadata.creationTimestamp": "2026-11-22T03:00:17Z"})
    assert found.accepted == datetime(2026, 11, 22, 3, 0, 17, tzinfo=UTC)


def test_what_is_wanted_and_expected_reaches_the_executor() -> None:
    """Through its environment, unchanged."""
    source = {
        "key": KEY,
        "expectedDigest": "sha256:" + "ab" * 32,
        "expectedSize": 7,
        "expectedClusterID": "id",
        "expectedVersion": "2.4.4",
    }
    changes = {"spec.source": source, "spec.force": True, "spec.activeDeadlineSeconds": 100}
    found = settings(changes, {"metadata.uid": "u-1"})
    assert (found.wanted.key, found.wanted.sha256, found.wanted.size) == (KEY, "ab" * 32, 7)
    assert (found.wanted.cluster_id, found.wanted.version) == ("id", "2.4.4")
    assert (found.uid, found.restore, found.force, found.deadline_seconds) == ("u-1", "back", True, 75)
    assert from_environment(to_environment(found)) == found


LOGINS: dict[str, tuple[Changes, Changes, BaoAuth]] = {
    "the restore's role": (
        {},
        OIDC | {"spec.restore": {"jwtAuthRole": "of-cluster"}},
        BaoAuth(method=AuthMethod.JWT, role="restore", audience="of-oidc"),
    ),
    "the restore's auth": (
        {"spec.jwtAuthRole": "", "spec.auth": {"method": "kubernetes", "role": "r", "audience": "a"}},
        OIDC,
        BaoAuth(method=AuthMethod.KUBERNETES, role="r", audience="a"),
    ),
    "the restore's token": (
        {"spec.jwtAuthRole": "", "spec.tokenSecretRef": {"name": "t"}},
        OIDC,
        BaoAuth(method=AuthMethod.TOKEN, token_file="/etc/bao/backup/token/token"),
    ),
    "the cluster's role for restores": (
        {"spec.jwtAuthRole": ""},
        OIDC | {"spec.restore": {"jwtAuthRole": "of-cluster"}},
        BaoAuth(method=AuthMethod.JWT, role="of-cluster", audience="of-oidc"),
    ),
    "the role that its operator made": (
        {"spec.jwtAuthRole": ""},
        {"spec.selfInit": {"oidc": {"enabled": True}}},
        BaoAuth(method=AuthMethod.JWT, role="openbao-operator-restore", audience="by-default"),
    ),
}


@pytest.mark.parametrize(("restore", "cluster", "expected"), LOGINS.values(), ids=LOGINS)
def test_the_login_is_the_nearest_that_is_said(restore: Changes, cluster: Changes, expected: BaoAuth) -> None:
    """Never the one for backups, which may only read."""
    found = settings(restore, cluster | {"spec.backup.jwtAuthRole": "backup"}).bao.auth
    assert (found.method, found.role, found.audience) == (expected.method, expected.role, expected.audience)
    assert found.token_file == expected.token_file


def test_the_template_of_backups_counts_where_there_is_no_other() -> None:
    """But for its ServiceAccount, whose role may only read."""
    borrowed = {"spec.backup.jobTemplate": MOUNTED | {"serviceAccountName": "backups"}}
    found = restore_template(*documents({}, borrowed))
    assert (found.volumes, found.service_account_name) == ((DATA,), "")
    own = restore_template(
        *documents({"spec.jobTemplate": {"serviceAccountName": "restores", "volumes": []}}, borrowed)
    )
    assert (own.volumes, own.service_account_name) == ((), "restores")


IDENTITY = {"workloadIdentity": {"serviceAccountAnnotations": {"a/b": "one"}}}
OTHER_IDENTITY = {"workloadIdentity": {"serviceAccountAnnotations": {"a/b": "other"}}}
REFUSED: dict[str, tuple[Changes, Changes, str]] = {
    "no login": ({"spec.jwtAuthRole": ""}, {"spec.backup.jwtAuthRole": "backup"}, "spec.auth"),
    "no source": ({}, {"spec.backup": None}, "spec.source.target"),
    "a file with the token": (
        {"spec.jwtAuthRole": "", "spec.auth": {"method": "token", "file": "/token"}},
        {},
        "spec.auth.file",
    ),
    "a file with the CA": (
        {},
        {"spec.connection": {"addresses": ["https://a:1"], "caFile": "/ca"}},
        "spec.connection.caFile",
    ),
    "a variable of ours": (
        {"spec.jobTemplate": {"env": [{"name": "RESTORE_CONFIG", "value": "x"}]}},
        {},
        "spec.jobTemplate.env[0].name",
    ),
    "a folder on no volume": (
        {"spec.source": {"target": FILE, "latest": True}, "spec.safetyBackup": False},
        {},
        "spec.jobTemplate.volumeMounts",
    ),
    "a safety backup to where nothing can be written": (
        {"spec.jobTemplate": READ_ONLY},
        {"spec.backup.target": FILE},
        "spec.jobTemplate.volumeMounts",
    ),
    "annotations of somebody else's account": (
        {
            "spec.source": {"target": OTHER | IDENTITY, "key": KEY},
            "spec.jobTemplate": {"serviceAccountName": "mine"},
        },
        {},
        "spec.source.target.workloadIdentity.serviceAccountAnnotations",
    ),
    "two identities": (
        {"spec.source": {"target": OTHER | IDENTITY, "key": KEY}},
        {"spec.backup.target": OWN | OTHER_IDENTITY},
        "spec.source.target.workloadIdentity",
    ),
}


@pytest.mark.parametrize(("restore", "cluster", "path"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_on_kubernetes_is_named(restore: Changes, cluster: Changes, path: str) -> None:
    """By its field alone, and no Job is made of it."""
    assert [problem.path for problem in restore_problems(*documents(restore, cluster))] == [path]
    with pytest.raises(DocumentError) as caught:
        settings(restore, cluster)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize(
    ("restore", "cluster"),
    [
        ({}, {}),
        ({"spec.safetyBackup": False, "spec.jobTemplate": READ_ONLY}, {"spec.backup.target": FILE}),
        ({}, {"spec.backup.target": FILE, "spec.backup.jobTemplate": MOUNTED}),
        ({"spec.source": {"target": OTHER | IDENTITY, "key": KEY}}, {}),
        (
            {"spec.source": {"target": OTHER | IDENTITY, "key": KEY}, "spec.safetyBackup": False},
            {"spec.backup.target": OWN | OTHER_IDENTITY},
        ),
        ({"spec.jobTemplate": {"serviceAccountName": "mine"}}, {"spec.backup.target": OWN | IDENTITY}),
        ({}, {"spec.backup.auth": {"method": "token", "file": "/token"}}),
    ],
)
def test_what_can_run_has_no_problem(restore: Changes, cluster: Changes) -> None:
    """Nor does it matter what is wrong with the cluster's backups alone."""
    assert restore_problems(*documents(restore, cluster)) == ()
