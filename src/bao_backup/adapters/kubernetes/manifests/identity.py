"""The ServiceAccount of a cluster's runs. It gets no Role: runs do not call the Kubernetes API."""

from __future__ import annotations

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests.owned import Manifest, backup_of, metadata, template_of
from bao_backup.core.spec import OpenBaoCluster

#: By it EKS knows the role of a ServiceAccount.
EKS_ROLE = "eks.amazonaws.com/role-arn"


def service_account(document: OpenBaoCluster) -> Manifest | None:
    """The ServiceAccount, with the annotations that the cloud's identity needs.

    None when `jobTemplate.serviceAccountName` names another.
    """
    if template_of(document).service_account_name:
        return None
    target = backup_of(document).target
    annotations = dict(
        target.workload_identity.service_account_annotations if target.workload_identity else {}
    )
    if target.role_arn:
        annotations[EKS_ROLE] = target.role_arn
    name = names.service_account_name(document.metadata.name)
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(document, name, annotations=annotations),
        "automountServiceAccountToken": False,
    }
