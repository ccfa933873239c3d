"""The stand-in for the existing operator: its CRDs have that operator's fields, its documents use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.existing_documents import sample_clusters, sample_documents, sample_restores
from tests.harness.existing_operator import custom_resource_definitions

from bao_backup.core.spec import parse_cluster

CLUSTER, RESTORE = custom_resource_definitions()

TARGET = {
    "provider": {"type": "string", "default": "s3", "enum": ["s3", "gcs", "azure"]},
    "endpoint": {"type": "string"},
    "bucket": {"type": "string", "minLength": 1},
    "pathPrefix": {"type": "string"},
    "credentialsSecretRef": {"type": "object", "x-kubernetes-map-type": "atomic"},
    "credentialsSecretRef.name": {"type": "string", "default": ""},
    "partSize": {"type": "integer", "format": "int64", "default": 10485760, "minimum": 5242880},
    "concurrency": {"type": "integer", "format": "int32", "default": 3, "minimum": 1, "maximum": 10},
    "region": {"type": "string", "default": "us-east-1"},
    "roleArn": {"type": "string"},
    "usePathStyle": {"type": "boolean", "default": False},
    "gcs": {"type": "object"},
    "gcs.project": {"type": "string"},
    "azure": {"type": "object"},
    "azure.storageAccount": {"type": "string", "minLength": 1},
    "azure.container": {"type": "string"},
    "insecureSkipVerify": {"type": "boolean"},
}
BACKUP = {
    "schedule": {"type": "string", "minLength": 1},
    "target": {"type": "object", "required": ["bucket"]},
    **{f"target.{path}": facts for path, facts in TARGET.items()},
    "jwtAuthRole": {"type": "string"},
    "tokenSecretRef": {"type": "object", "x-kubernetes-map-type": "atomic"},
    "tokenSecretRef.name": {"type": "string", "default": ""},
    "retention": {"type": "object"},
    "retention.maxCount": {"type": "integer", "format": "int32", "minimum": 0},
    "retention.maxAge": {"type": "string"},
    "image": {"type": "string"},
}
BACKUP_STATUS = {
    "lastBackupTime": {"type": "string", "format": "date-time"},
    "lastAttemptTime": {"type": "string", "format": "date-time"},
    "lastAttemptScheduledTime": {"type": "string", "format": "date-time"},
    "lastBackupSize": {"type": "integer", "format": "int64"},
    "lastBackupDuration": {"type": "string"},
    "lastBackupName": {"type": "string"},
    "nextScheduledBackup": {"type": "string", "format": "date-time"},
    "consecutiveFailures": {"type": "integer", "format": "int32"},
    "lastFailureReason": {"type": "string"},
}
LOCK = {
    "operation": {"type": "string", "enum": ["Upgrade", "Backup", "Restore"]},
    "holder": {"type": "string"},
    "message": {"type": "string"},
    "acquiredAt": {"type": "string", "format": "date-time"},
    "renewedAt": {"type": "string", "format": "date-time"},
}
SOURCE = {
    "target": {"type": "object", "required": ["bucket"]},
    **{f"target.{path}": facts for path, facts in TARGET.items()},
    "key": {"type": "string", "minLength": 1},
}
OF_CLUSTERS = {
    "spec.paused": {"type": "boolean"},
    "spec.profile": {"type": "string", "enum": ["Hardened", "Development"]},
    "spec.deletionPolicy": {"type": "string", "enum": ["Retain", "DeletePVCs", "DeleteAll"]},
    "spec.restore.jwtAuthRole": {"type": "string"},
    "spec.upgrade.preUpgradeSnapshot": {"type": "boolean"},
    "spec.upgrade.blueGreen.preUpgradeSnapshot": {"type": "boolean"},
    "spec.selfInit.oidc.enabled": {"type": "boolean"},
    "spec.selfInit.oidc.audience": {"type": "string"},
    "spec.selfInit.oidc.issuer": {"type": "string"},
    "spec.network.egressRules": {"type": "array"},
    "status.phase": {
        "type": "string",
        "enum": ["Initializing", "Running", "Upgrading", "BackingUp", "Failed"],
    },
    "status.conditions": {"type": "array", "x-kubernetes-list-type": "map"},
    "status.blueGreen.preUpgradeSnapshotJobName": {"type": "string"},
    "status.lastBackupTime": {"type": "string", "format": "date-time"},
}
OF_RESTORES = {
    "spec": {"type": "object", "required": ["cluster", "source"]},
    "spec.cluster": {"type": "string", "minLength": 1},
    "spec.jwtAuthRole": {"type": "string"},
    "spec.tokenSecretRef.name": {"type": "string", "default": ""},
    "spec.image": {"type": "string", "minLength": 1},
    "spec.force": {"type": "boolean", "default": False},
    "spec.overrideOperationLock": {"type": "boolean", "default": False},
    "status.phase": {
        "type": "string",
        "default": "Pending",
        "enum": ["Pending", "Validating", "Running", "Completed", "Failed"],
    },
    "status.startTime": {"type": "string", "format": "date-time"},
    "status.completionTime": {"type": "string", "format": "date-time"},
    "status.snapshotKey": {"type": "string"},
    "status.snapshotSize": {"type": "integer", "format": "int64"},
    "status.message": {"type": "string"},
    "status.conditions": {"type": "array", "x-kubernetes-list-type": "map"},
}
#: Parts that have these fields and no others: part of the schema -> its fields.
EXACT = [
    (CLUSTER, "spec.backup", BACKUP),
    (CLUSTER, "status.backup", BACKUP_STATUS),
    (CLUSTER, "status.operationLock", LOCK),
    (RESTORE, "spec.source", SOURCE),
]


def schema_of(definition: dict[str, Any]) -> dict[str, Any]:
    """The schema of a CRD's only version."""
    (version,) = definition["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field that the schema knows, with what it says of it; not those within lists."""
    for name, value in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, value
        yield from fields(value, here)


def unknown(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """The paths of what the API server would prune."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown(schema["items"], item, f"{path}[{number}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for name, inner in value.items():
            if name in known:
                yield from unknown(known[name], inner, f"{path}.{name}")
            else:
                yield f"{path}.{name}"


def differences(
    found: dict[str, dict[str, Any]], wanted: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any] | None]:
    """Fields that are missing, or that the schema says something else of."""
    return {
        path: found.get(path)
        for path, facts in wanted.items()
        if path not in found or not found[path].items() >= facts.items()
    }


@pytest.mark.parametrize(("definition", "wanted"), [(CLUSTER, OF_CLUSTERS), (RESTORE, OF_RESTORES)])
def test_the_crds_have_that_operators_fields(
    definition: dict[str, Any], wanted: dict[str, dict[str, Any]]
) -> None:
    """Types, defaults and bounds are that operator's."""
    assert differences(dict(fields(schema_of(definition))), wanted) == {}


@pytest.mark.parametrize(("definition", "part", "wanted"), EXACT, ids=[part for _, part, _ in EXACT])
def test_parts_for_backups_have_no_other_fields(
    definition: dict[str, Any], part: str, wanted: dict[str, dict[str, Any]]
) -> None:
    """Whatever else is written there, the API server prunes."""
    found = dict(fields(dict(fields(schema_of(definition)))[part]))
    assert found.keys() == wanted.keys()
    assert differences(found, wanted) == {}
    assert not [path for path, facts in found.items() if "x-kubernetes-preserve-unknown-fields" in facts]


def test_backups_need_a_schedule_and_a_target() -> None:
    """What that operator requires is required."""
    found = dict(fields(schema_of(CLUSTER)))
    assert found["spec.backup"]["required"] == ["schedule", "target"]
    assert dict(fields(schema_of(RESTORE)))["spec.source"]["required"] == ["key", "target"]


@pytest.mark.parametrize(
    ("definition", "name", "short_names"),
    [(CLUSTER, "openbaoclusters", ["bao", "baoc"]), (RESTORE, "openbaorestores", ["obrestore"])],
)
def test_the_crds_have_that_operators_names(
    definition: dict[str, Any], name: str, short_names: list[str]
) -> None:
    """Plural, short names, group, version and the status subresource are that operator's."""
    spec = definition["spec"]
    (version,) = spec["versions"]
    assert definition["metadata"]["name"] == f"{name}.openbao.org"
    assert (spec["names"]["plural"], spec["names"]["shortNames"]) == (name, short_names)
    assert (spec["group"], spec["scope"], version["name"]) == ("openbao.org", "Namespaced", "v1alpha1")
    assert version["subresources"] == {"status": {}}


def test_the_crds_know_what_the_documents_use() -> None:
    """Nothing in a document would be pruned."""
    for documents, definition in ((sample_clusters(), CLUSTER), (sample_restores(), RESTORE)):
        for document in documents:
            metadata = document["metadata"]["name"]
            assert list(unknown(schema_of(definition), document | {"metadata": {}}, metadata)) == []


@pytest.mark.parametrize("document", sample_clusters(), ids=lambda document: document["metadata"]["name"])
@pytest.mark.parametrize("strict", [False, True])
def test_the_documents_are_read_unchanged(document: dict[str, Any], strict: bool) -> None:
    """No document for that operator has a problem for us."""
    cluster = parse_cluster(document, strict=strict)
    backup = document["spec"].get("backup")
    if backup is None:
        assert cluster.spec.backup is None
    else:
        assert cluster.spec.backup is not None
        assert cluster.spec.backup.target.provider == backup["target"].get("provider", "s3")
        assert cluster.login is not None


def test_the_documents_are_in_the_namespace_that_is_asked_for() -> None:
    """Names are unique, so that all of them can be applied together."""
    documents = sample_documents("security")
    assert {document["metadata"]["namespace"] for document in documents} == {"security"}
    assert len({(document["kind"], document["metadata"]["name"]) for document in documents}) == len(documents)
