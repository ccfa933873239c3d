"""What all our objects have in common: their labels, and the cluster that they go away with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bao_backup.adapters.kubernetes import names
from bao_backup.core.backup_spec import Backup, JobTemplate
from bao_backup.core.errors import InternalError
from bao_backup.core.spec import OpenBaoCluster

#: An object as JSON, as the API takes it.
Manifest = dict[str, Any]


def own_labels(cluster: str) -> dict[str, str]:
    """The labels of whatever is made for this cluster's backups."""
    return {
        names.APP_NAME: "openbao",
        names.INSTANCE: names.label_value(cluster),
        names.MANAGED_BY: names.OURS,
        names.CLUSTER: names.label_value(cluster),
        names.COMPONENT: names.BACKUP_COMPONENT,
    }


def metadata(
    document: OpenBaoCluster,
    name: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Names, labels and the owner of an object, beside its cluster.

    The owner does not block the deletion of its cluster: where the API server enforces permissions
    for that, the manager would need rights on the finalizers of somebody else's objects.
    """
    cluster = document.metadata
    if not cluster.uid:
        raise InternalError(f"make {name}", "the document has no uid, so it is not from Kubernetes")
    made: Manifest = {
        "name": name,
        "namespace": cluster.namespace,
        "labels": dict(labels if labels is not None else own_labels(cluster.name)),
    }
    if annotations:
        made["annotations"] = dict(annotations)
    made["ownerReferences"] = [
        {
            "apiVersion": document.api_version,
            "kind": document.kind,
            "name": cluster.name,
            "uid": cluster.uid,
            "controller": True,
        }
    ]
    return made


def merged(theirs: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations of a template, and ours; what means something to us is never theirs."""
    return {key: value for key, value in theirs.items() if not names.is_ours(key)} | dict(ours)


def backup_of(document: OpenBaoCluster) -> Backup:
    """`spec.backup`, which must be there."""
    if document.spec.backup is None:
        raise InternalError("make the objects of a run", "the document has no spec.backup")
    return document.spec.backup


def template_of(document: OpenBaoCluster) -> JobTemplate:
    """`jobTemplate`, or one in which nothing is said."""
    return backup_of(document).job_template or JobTemplate()
