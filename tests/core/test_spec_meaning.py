"""What a document means: the login, retention, the schedule, and what others say in its status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.documents import DELETE, document

from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import InternalError
from bao_backup.core.login import Auth
from bao_backup.core.retention import ClassPolicy, RetentionPolicy
from bao_backup.core.spec import parse_cluster
from bao_backup.core.target import SecretName

SECRET = SecretName(name="bao-token")
LOGINS: list[tuple[dict[str, Any], Auth | None]] = [
    ({}, None),
    ({"jwtAuthRole": "r"}, Auth(method=AuthMethod.JWT, role="r")),
    ({"tokenSecretRef": {"name": "bao-token"}}, Auth(method=AuthMethod.TOKEN, secret_ref=SECRET)),
    ({"tokenSecretRef": {}, "jwtAuthRole": "r"}, Auth(method=AuthMethod.JWT, role="r")),
    (
        {"auth": {"method": "kubernetes", "role": "r", "mountPath": "team/k8s"}},
        Auth(method=AuthMethod.KUBERNETES, role="r", mount_path="team/k8s"),
    ),
    (
        {"auth": {"method": "approle", "secretRef": {"name": "bao-token"}}},
        Auth(method=AuthMethod.APPROLE, secret_ref=SECRET),
    ),
    ({"auth": {"method": "token", "file": "/run/token"}}, Auth(method=AuthMethod.TOKEN, file="/run/token")),
]


@pytest.mark.parametrize(("fields", "expected"), LOGINS)
def test_there_is_one_way_to_log_in(fields: dict[str, Any], expected: Auth | None) -> None:
    """From auth or either of its short forms."""
    changes = {f"spec.backup.{name}": value for name, value in fields.items()}
    assert parse_cluster(document(changes), strict=True).login == expected


def test_the_existing_operators_own_set_up_is_the_last_resort() -> None:
    """selfInit.oidc names a role and an audience; a role of the document's own keeps the audience."""
    oidc = {"spec.selfInit.oidc": {"enabled": True, "audience": "bao"}}
    own = {"auth": {"method": "jwt", "role": "r", "audience": "mine"}}
    logins = [
        parse_cluster(
            document({**oidc, **{f"spec.backup.{k}": v for k, v in more.items()}}), strict=True
        ).login
        for more in ({}, {"jwtAuthRole": "r"}, own, {"tokenSecretRef": {"name": "bao-token"}})
    ]
    assert logins == [
        Auth(method=AuthMethod.JWT, role="openbao-operator-backup", audience="bao"),
        Auth(method=AuthMethod.JWT, role="r", audience="bao"),
        Auth(method=AuthMethod.JWT, role="r", audience="mine"),
        Auth(method=AuthMethod.TOKEN, secret_ref=SECRET),
    ]


@pytest.mark.parametrize("name", ["retention", "retentionPolicy"])
def test_both_names_of_retention_mean_the_same(name: str) -> None:
    """With the class of backups before upgrades under its own rules."""
    rules = {"maxAge": "1h30m", "keepWeekly": 4, "minKeep": 2, "preUpgrade": {"maxCount": 3}}
    backup = parse_cluster(document({f"spec.backup.{name}": rules}), strict=True).spec.backup
    assert backup is not None
    assert backup.policy == RetentionPolicy(
        max_age=timedelta(minutes=90), keep_weekly=4, min_keep=2, pre_upgrade=ClassPolicy(max_count=3)
    )


def test_the_schedule_is_that_of_the_cluster() -> None:
    """Zone and jitter are the document's; what jitter is drawn from is the cluster."""
    fields = {
        "schedule": "@daily",
        "timeZone": "Asia/Tokyo",
        "jitterSeconds": 60,
        "startingDeadlineSeconds": 90,
    }
    cluster = parse_cluster(document({f"spec.backup.{k}": v for k, v in fields.items()}), strict=True)
    assert (cluster.schedule.cron, cluster.schedule.time_zone) == ("0 0 * * *", "Asia/Tokyo")
    assert (cluster.schedule.jitter_seconds, cluster.schedule.identity) == (60, "default/prod")
    assert cluster.spec.backup is not None
    assert cluster.spec.backup.starting_deadline == timedelta(seconds=90)


def test_a_document_without_backup_has_no_schedule() -> None:
    """It is valid, and asks for nothing."""
    cluster = parse_cluster(document({"spec.backup": DELETE}), strict=True)
    assert cluster.spec.backup is None
    assert cluster.login is None
    with pytest.raises(InternalError):
        _ = cluster.schedule


@pytest.mark.parametrize(
    ("status", "phase", "upgrade", "restore", "locked"),
    [
        ({"phase": "Upgrading", "upgrade": {"step": 1}}, "Upgrading", True, False, False),
        ({"restore": {}}, "", False, True, False),
        ({"phase": 5, "operationLock": "mine"}, "", False, False, True),
        ({"operationLock": {"operation": "Backup"}}, "", False, False, True),
        ({"operationLock": None, "upgrade": None}, "", False, False, False),
        ("nonsense", "", False, False, False),
    ],
)
def test_status_is_read_leniently_and_on_the_safe_side(
    status: object, phase: str, upgrade: bool, restore: bool, locked: bool
) -> None:
    """No surprise there stops backups, but what may be a lock or an upgrade counts as one."""
    found = parse_cluster(document({"status": status}), strict=True).status
    assert found.phase == phase
    assert (found.upgrade is not None, found.restore is not None) == (upgrade, restore)
    assert (found.operation_lock is not None) == locked
