"""The CRDs of the existing OpenBao operator, as far as backup and restore go.

What is below `backup`, `source` and `status` has exactly the fields of that operator's first version,
so that the API server prunes all others, ours among them. Its other fields are here as far as
`existing_documents` uses them. Written anew from a list of names, types and bounds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.process import wait_until

GROUP = "openbao.org"
VERSION = "v1alpha1"

Schema = dict[str, Any]

_FLAG: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_INT32: Schema = {"type": "integer", "format": "int32"}
_INT64: Schema = {"type": "integer", "format": "int64"}
_ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _choice(*values: str) -> Schema:
    return _TEXT | {"enum": list(values)}


_NOT_EMPTY = _TEXT | {"minLength": 1}
_SECRET = _object(name=_TEXT | {"default": ""}) | {"x-kubernetes-map-type": "atomic"}

_TARGET = _object(
    ("bucket",),
    provider=_choice("s3", "gcs", "azure") | {"default": "s3"},
    endpoint=_TEXT,
    bucket=_NOT_EMPTY,
    pathPrefix=_TEXT,
    credentialsSecretRef=_SECRET,
    partSize=_INT64 | {"default": 10485760, "minimum": 5242880},
    concurrency=_INT32 | {"default": 3, "minimum": 1, "maximum": 10},
    region=_TEXT | {"default": "us-east-1"},
    roleArn=_TEXT,
    usePathStyle=_FLAG | {"default": False},
    gcs=_object(project=_TEXT),
    azure=_object(storageAccount=_NOT_EMPTY, container=_TEXT),
    insecureSkipVerify=_FLAG,
)

_BACKUP = _object(
    ("schedule", "target"),
    schedule=_NOT_EMPTY,
    target=_TARGET,
    jwtAuthRole=_TEXT,
    tokenSecretRef=_SECRET,
    retention=_object(maxCount=_INT32 | {"minimum": 0}, maxAge=_TEXT),
    image=_TEXT,
)

_CLUSTER_SPEC = _object(
    version=_TEXT,
    image=_TEXT,
    replicas=_INT32,
    paused=_FLAG,
    profile=_choice("Hardened", "Development"),
    deletionPolicy=_choice("Retain", "DeletePVCs", "DeleteAll"),
    tls=_ANYTHING,
    storage=_ANYTHING,
    unseal=_ANYTHING,
    network=_object(egressRules=_list(_ANYTHING)),
    selfInit=_object(
        enabled=_FLAG,
        oidc=_object(enabled=_FLAG, audience=_TEXT, issuer=_TEXT),
        requests=_list(_ANYTHING),
    ),
    upgrade=_object(preUpgradeSnapshot=_FLAG, blueGreen=_object(preUpgradeSnapshot=_FLAG)),
    restore=_object(jwtAuthRole=_TEXT),
    backup=_BACKUP,
)

_CONDITIONS = _list(
    _object(
        ("type", "status", "lastTransitionTime", "reason", "message"),
        type=_TEXT,
        status=_choice("True", "False", "Unknown"),
        observedGeneration=_INT64,
        lastTransitionTime=_TIME,
        reason=_NOT_EMPTY,
        message=_TEXT,
    )
) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}

_BACKUP_STATUS = _object(
    lastBackupTime=_TIME,
    lastAttemptTime=_TIME,
    lastAttemptScheduledTime=_TIME,
    lastBackupSize=_INT64,
    lastBackupDuration=_TEXT,
    lastBackupName=_TEXT,
    nextScheduledBackup=_TIME,
    consecutiveFailures=_INT32,
    lastFailureReason=_TEXT,
)

_CLUSTER_STATUS = _object(
    phase=_choice("Initializing", "Running", "Upgrading", "BackingUp", "Failed"),
    conditions=_CONDITIONS,
    operationLock=_object(
        ("operation", "holder"),
        operation=_choice("Upgrade", "Backup", "Restore"),
        holder=_TEXT,
        message=_TEXT,
        acquiredAt=_TIME,
        renewedAt=_TIME,
    ),
    blueGreen=_object(preUpgradeSnapshotJobName=_TEXT),
    # That it is there means an upgrade; what is in it, nobody here reads.
    upgrade=_object(),
    lastBackupTime=_TIME,
    backup=_BACKUP_STATUS,
)

_RESTORE_SPEC = _object(
    ("cluster", "source"),
    cluster=_NOT_EMPTY,
    source=_object(("key", "target"), target=_TARGET, key=_NOT_EMPTY),
    jwtAuthRole=_TEXT,
    tokenSecretRef=_SECRET,
    image=_NOT_EMPTY,
    force=_FLAG | {"default": False},
    overrideOperationLock=_FLAG | {"default": False},
)

_RESTORE_STATUS = _object(
    phase=_choice("Pending", "Validating", "Running", "Completed", "Failed") | {"default": "Pending"},
    startTime=_TIME,
    completionTime=_TIME,
    snapshotKey=_TEXT,
    snapshotSize=_INT64,
    message=_TEXT,
    conditions=_CONDITIONS,
)


def custom_resource_definitions() -> list[dict[str, Any]]:
    """Both CRDs (apiextensions.k8s.io/v1), ready to be applied."""
    columns: list[dict[str, Any]] = [
        {"name": "Cluster", "type": "string", "jsonPath": ".spec.cluster"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
    ]
    return [
        _definition("OpenBaoCluster", ["bao", "baoc"], _CLUSTER_SPEC, _CLUSTER_STATUS, []),
        _definition("OpenBaoRestore", ["obrestore"], _RESTORE_SPEC, _RESTORE_STATUS, columns),
    ]


def install(plane: ControlPlane) -> None:
    """Have the API server use these CRDs, in place of others of their names; comes back when it does."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in custom_resource_definitions():
        name = definition["metadata"]["name"]
        there = plane.request("GET", f"{path}/{name}")
        if there.status == 404:
            plane.create(path, definition)
        else:
            version = there.json()["metadata"]["resourceVersion"]
            metadata = {"name": name, "resourceVersion": version}
            answer = plane.request("PUT", f"{path}/{name}", definition | {"metadata": metadata})
            if answer.status != 200:
                raise HarnessError(f"replace the CRD {name}: {answer.status} {answer.body[:500]!r}")
    for kind, part in (("OpenBaoCluster", "backup"), ("OpenBaoRestore", "source")):
        wait_until(f"the CRD of {kind}", partial(_in_use, plane, kind, part), seconds=30)


def _in_use(plane: ControlPlane, kind: str, part: str) -> bool:
    """Whether a target's path, which only our CRDs have, is unknown."""
    what = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": "probe"},
        "spec": {part: {"target": {"path": "/backups"}}},
    }
    path = f"/apis/{GROUP}/{VERSION}/namespaces/default/{kind.lower()}s?dryRun=All&fieldValidation=Strict"
    return f'unknown field \\"spec.{part}.target.path\\"'.encode() in plane.request("POST", path, what).body


def _definition(
    kind: str, short_names: list[str], spec: Schema, status: Schema, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    singular = kind.lower()
    schema = _object(apiVersion=_TEXT, kind=_TEXT, metadata={"type": "object"}, spec=spec, status=status)
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": f"{singular}s",
        "singular": singular,
        "shortNames": short_names,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }
