"""The ServiceAccount of a cluster's runs. It gets no Role: runs do not call the Kubernetes API."""

from __future__ import annotations

from bao_backup.adapters.kubernetes.manifests.owned import Manifest, metadata
from bao_backup.adapters.kubernetes.manifests.work import Work

#: By it EKS knows the role of a ServiceAccount.
EKS_ROLE = "eks.amazonaws.com/role-arn"


def service_account(work: Work) -> Manifest | None:
    """The ServiceAccount, with the annotations that the cloud's identity needs.

    None when `jobTemplate.serviceAccountName` names another. It has one role of AWS; what else a run
    needs, its settings name.
    """
    if work.template.service_account_name:
        return None
    annotations: dict[str, str] = {}
    for target in reversed([each.target for each in work.targets]):
        if target.workload_identity:
            annotations |= target.workload_identity.service_account_annotations
        if target.role_arn:
            annotations[EKS_ROLE] = target.role_arn
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(work, work.service_account_name, annotations=annotations),
        "automountServiceAccountToken": False,
    }
