"""OpenBaoCluster documents: defaults, compatibility, unknown fields, and what is read out of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.documents import DELETE, document, problems_of

from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import DocumentError
from bao_backup.core.login import Auth
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.spec import parse_cluster
from bao_backup.core.status import OperationLock

#: As users of the existing operator write it, with fields that only that operator reads.
EXISTING = {
    "apiVersion": "openbao.org/v1alpha1",
    "kind": "OpenBaoCluster",
    "metadata": {
        "name": "prod",
        "namespace": "security",
        "uid": "6c0e9a51-6f0a-4b7c-9d6a-0f6d1c6f2c11",
        "generation": 7,
        "creationTimestamp": "2026-01-05T10:11:12Z",
        "resourceVersion": "12345",
        "annotations": {"openbao.org/trigger-backup": "now"},
        "finalizers": ["openbao.org/openbaocluster-finalizer"],
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "version": "2.4.4",
        "replicas": 3,
        "profile": "Hardened",
        "tls": {"enabled": True, "mode": "OperatorManaged"},
        "storage": {"size": "10Gi"},
        "network": {"egressRules": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
        "selfInit": {"enabled": True, "oidc": {"enabled": True, "audience": "bao"}, "requests": []},
        "upgrade": {"preUpgradeSnapshot": True, "blueGreen": {"preUpgradeSnapshot": True}},
        "deletionPolicy": "Retain",
        "backup": {
            "schedule": "0 3 * * *",
            "image": "registry.example.com/backup:1",
            "jwtAuthRole": "backup",
            "retention": {"maxCount": 7, "maxAge": "168h"},
            "target": {
                "provider": "s3",
                "endpoint": "https://s3.eu-central-1.amazonaws.com",
                "bucket": "bao-backups",
                "region": "eu-central-1",
                "pathPrefix": "clusters/",
                "usePathStyle": False,
                "credentialsSecretRef": {"name": "s3-keys"},
                "partSize": 20971520,
                "concurrency": 5,
            },
        },
    },
    "status": {
        "phase": "Running",
        "readyReplicas": 3,
        "operationLock": {
            "operation": "Upgrade",
            "holder": "openbaocluster/upgrade",
            "message": "rolling",
            "acquiredAt": "2026-11-22T01:00:00Z",
        },
    },
}


@pytest.mark.parametrize("strict", [True, False])
def test_a_document_of_the_existing_operator_is_read_unchanged(strict: bool) -> None:
    """All of its fields mean the same; what only that operator reads is left alone."""
    cluster = parse_cluster(EXISTING, strict=strict)
    assert cluster.spec.backup is not None
    target = cluster.spec.backup.target
    assert (cluster.metadata.namespace, cluster.metadata.name, cluster.metadata.generation) == (
        "security",
        "prod",
        7,
    )
    assert cluster.identity == cluster.metadata.uid == EXISTING["metadata"]["uid"]  # type: ignore[index] # a literal
    assert cluster.metadata.creation_timestamp == datetime(2026, 1, 5, 10, 11, 12, tzinfo=UTC)
    assert cluster.metadata.annotations == {"openbao.org/trigger-backup": "now"}
    assert (target.bucket, target.region, target.path_prefix) == ("bao-backups", "eu-central-1", "clusters/")
    assert (target.part_size, target.concurrency, target.credentials_secret) == (20_971_520, 5, "s3-keys")
    assert cluster.spec.backup.policy == RetentionPolicy(max_count=7, max_age=timedelta(days=7))
    assert cluster.login == Auth(method=AuthMethod.JWT, role="backup", audience="bao")
    assert cluster.spec.profile == "Hardened"
    assert len(cluster.spec.network.egress_rules) == 1
    assert cluster.spec.upgrade.pre_upgrade_snapshot
    assert cluster.spec.upgrade.blue_green.pre_upgrade_snapshot
    assert cluster.status.phase == "Running"
    assert cluster.status.operation_lock == OperationLock(
        operation="Upgrade",
        holder="openbaocluster/upgrade",
        message="rolling",
        acquired_at=datetime(2026, 11, 22, 1, 0, tzinfo=UTC),
    )
    assert cluster.ignored == ()


DEFAULTS: dict[str, Any] = {
    "metadata.namespace": "default",
    "metadata.uid": "",
    "metadata.generation": 0,
    "metadata.annotations": {},
    "metadata.creation_timestamp": None,
    "spec.paused": False,
    "spec.profile": "",
    "spec.connection": None,
    "spec.network.egress_rules": (),
    "spec.self_init.oidc.enabled": False,
    "spec.self_init.oidc.audience": "",
    "spec.self_init.oidc.issuer": "",
    "spec.restore.jwt_auth_role": "",
    "spec.upgrade.pre_upgrade_snapshot": False,
    "spec.upgrade.blue_green.pre_upgrade_snapshot": False,
    "spec.deletion_policy": "",
    "spec.backup.suspend": False,
    "spec.backup.time_zone": "UTC",
    "spec.backup.jitter_seconds": 0,
    "spec.backup.starting_deadline_seconds": None,
    "spec.backup.active_deadline_seconds": 14_400,
    "spec.backup.verify": "Head",
    "spec.backup.retention": None,
    "spec.backup.retention_policy": None,
    "spec.backup.auth": None,
    "spec.backup.jwt_auth_role": "",
    "spec.backup.token_secret_ref": None,
    "spec.backup.job_template": None,
    "spec.backup.history_limit": 3,
    "spec.backup.image": "",
    "spec.backup.policy": None,
    "spec.backup.starting_deadline": None,
    "spec.backup.target.provider": "s3",
    "spec.backup.target.endpoint": "",
    "spec.backup.target.path": "",
    "spec.backup.target.path_prefix": "",
    "spec.backup.target.credentials_secret": "",
    "spec.backup.target.part_size": 10_485_760,
    "spec.backup.target.concurrency": 3,
    "spec.backup.target.region": "us-east-1",
    "spec.backup.target.role_arn": "",
    "spec.backup.target.use_path_style": False,
    "spec.backup.target.insecure_skip_verify": False,
    "spec.backup.target.s3": None,
    "spec.backup.target.gcs": None,
    "spec.backup.target.azure": None,
    "spec.backup.target.workload_identity": None,
    "status.phase": "",
    "status.upgrade": None,
    "status.restore": None,
    "status.operation_lock": None,
    "login": None,
    "ignored": (),
    "identity": "default/prod",
}

PARTS: dict[str, dict[str, Any]] = {
    "spec.backup.retention": {
        "max_count": 0,
        "max_age": "",
        "keep_hourly": 0,
        "keep_daily": 0,
        "keep_weekly": 0,
        "keep_monthly": 0,
        "keep_yearly": 0,
        "min_keep": 1,
        "pre_upgrade": None,
    },
    "spec.backup.jobTemplate": {
        "resources": {},
        "node_selector": {},
        "tolerations": (),
        "affinity": {},
        "labels": {},
        "annotations": {},
        "service_account_name": "",
        "priority_class_name": "",
        "env": (),
        "volumes": (),
        "volume_mounts": (),
    },
    "spec.backup.target.s3": {
        "sse": None,
        "checksum": None,
        "kms_key_id": "",
        "storage_class": "",
        "tags": {},
        "sts_endpoint": "",
        "object_lock": False,
    },
    "spec.backup.target.workloadIdentity": {"service_account_annotations": {}, "pod_labels": {}},
}


def reach(value: Any, path: str) -> Any:
    """The attribute at a path."""
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(("path", "expected"), DEFAULTS.items())
def test_a_field_that_is_not_set_has_its_default(path: str, expected: object) -> None:
    """The existing operator's where it has the field."""
    assert reach(parse_cluster(document(), strict=True), path) == expected


@pytest.mark.parametrize(("path", "expected"), PARTS.items())
def test_an_empty_part_has_its_defaults(path: str, expected: dict[str, object]) -> None:
    """Each field of it."""
    cluster = parse_cluster(document({path: {}}), strict=True)
    names = {"jobTemplate": "job_template", "workloadIdentity": "workload_identity"}
    part = reach(cluster, ".".join(names.get(name, name) for name in path.split(".")))
    assert {name: getattr(part, name) for name in part.__struct_fields__} == expected


def test_null_is_the_same_as_absent() -> None:
    """As on Kubernetes; so a field may be emptied in YAML."""
    emptied = document(
        {"spec.backup.retention": None, "spec.backup.timeZone": None, "spec.connection": None, "status": None}
    )
    assert parse_cluster(emptied, strict=True) == parse_cluster(document(), strict=True)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("spec.backup.shedule", "schedule"),
        ("spec.backup.target.pathprefix", "pathPrefix"),
        ("spec.backup.retention.maxcount", "maxCount"),
        ("spec.backup.jobTemplate.nodeselector", "nodeSelector"),
        ("spec.connection.adresses", "addresses"),
    ],
)
def test_a_field_that_nobody_knows_is_named_with_the_nearest_one(path: str, near: str) -> None:
    """Without an API server, a slip of the pen would otherwise be lost."""
    changed = document({"spec.connection.addresses": ["https://bao:8200"], path: "x"})
    found = problems_of(changed)
    assert set(found) == {path}
    assert f"did you mean {near}?" in found[path]
    assert problems_of(changed, strict=False) == {}


def test_a_field_that_is_near_to_none_shows_which_there_are() -> None:
    """The error is enough to go on."""
    found = problems_of(document({"spec.backup.target.zzz": 1}))
    assert "bucket" in found["spec.backup.target.zzz"]


def test_unknown_fields_elsewhere_are_left_alone() -> None:
    """They are other programs' business."""
    assert (
        problems_of(document({"spec.bakcup": 1, "spec.network.x": 1, "x": 1, "metadata.x": 1, "status.x": 1}))
        == {}
    )


def test_fields_within_free_parts_are_not_ours_to_know() -> None:
    """Kubernetes knows them."""
    resources = {"limits": {"memory": "1Gi", "example.com/gpu": 1}}
    changed = document({"spec.backup.jobTemplate": {"resources": resources, "affinity": {"x": {"y": []}}}})
    backup = parse_cluster(changed, strict=True).spec.backup
    assert backup is not None
    assert backup.job_template is not None
    assert backup.job_template.resources == resources


@pytest.mark.parametrize("strict", [True, False])
def test_a_later_version_of_the_document_is_accepted_and_told(strict: bool) -> None:
    """Its restoreTest has no effect here, and is no error."""
    test = {"everySuccessfulBackups": 10, "namespace": "drills", "clusterTemplate": {"anything": 1}}
    cluster = parse_cluster(document({"spec.backup.restoreTest": test}), strict=strict)
    assert cluster.ignored == ("spec.backup.restoreTest",)


def test_several_errors_are_told_at_once() -> None:
    """Of all parts; the message names each, and no value that is there."""
    changed = document(
        {
            "kind": "OpenBaoRestore",
            "metadata.namespace": "Not a name",
            "spec.paused": "yes",
            "spec.backup.schedule": "0 0 2 * * *",
            "spec.backup.timeZone": "Mars/Phobos",
            "spec.backup.target.partSize": 1,
            "spec.backup.target.endpoint": "https://user:hunter2@example.com",
            "spec.backup.target.bucket": DELETE,
            "spec.backup.retention": {"maxAge": "7d"},
            "spec.connection": {"addresses": ["https://user:hunter2@example.com"], "caFile": "ca.crt"},
        }
    )
    with pytest.raises(DocumentError) as caught:
        parse_cluster(changed, strict=True)
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {
        "metadata.namespace",
        "spec.paused",
        "spec.backup.schedule",
        "spec.backup.timeZone",
        "spec.backup.target.partSize",
        "spec.backup.target.endpoint",
        "spec.backup.target.bucket",
        "spec.backup.retention.maxAge",
        "spec.connection.addresses[0]",
        "spec.connection.caFile",
        "kind",
    }
    assert all(path in caught.value.message for path in paths)
    assert "hunter2" not in caught.value.message
    assert (caught.value.reason, caught.value.exit_code) == ("InvalidDocument", 1)
