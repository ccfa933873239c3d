"""What all our objects have in common: their labels, and the cluster that they go away with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests.work import Work
from bao_backup.core.errors import InternalError

#: An object as JSON, as the API takes it.
Manifest = dict[str, Any]


def own_labels(work: Work) -> dict[str, str]:
    """The labels of whatever is made for this cluster's backups, or for its restores."""
    cluster = work.cluster.metadata.name
    return {
        names.APP_NAME: "openbao",
        names.INSTANCE: names.label_value(cluster),
        names.MANAGED_BY: names.OURS,
        names.CLUSTER: names.label_value(cluster),
        names.COMPONENT: work.component,
    }


def metadata(
    work: Work,
    name: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Names, labels and the owner of an object, beside its cluster.

    The cluster owns restores' Jobs, too: deleting an OpenBaoRestore in mid-restore must not kill its
    Job and leave the cluster half restored. The owner does not block the deletion of its cluster:
    where the API server enforces permissions for that, the manager would need rights on the
    finalizers of somebody else's objects.
    """
    document, cluster = work.cluster, work.cluster.metadata
    if not cluster.uid:
        raise InternalError(f"make {name}", "the document has no uid, so it is not from Kubernetes")
    made: Manifest = {
        "name": name,
        "namespace": cluster.namespace,
        "labels": dict(labels if labels is not None else own_labels(work)),
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
