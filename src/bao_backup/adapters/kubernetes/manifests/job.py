"""The Job of a run: one try, within its deadline, and a result that outlives it."""

from __future__ import annotations

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests.owned import Manifest, merged, metadata, own_labels
from bao_backup.adapters.kubernetes.manifests.pod import pod_spec
from bao_backup.adapters.kubernetes.manifests.work import Work
from bao_backup.adapters.kubernetes.options import JobOptions


def job(work: Work, options: JobOptions) -> Manifest:
    """The Job. It has no time to live yet: that is set once its result is in the status."""
    template = work.template
    labels = merged(template.labels, {**own_labels(work), **work.labels})
    pod_labels: dict[str, str] = {}
    for each in reversed(work.targets):
        pod_labels |= each.target.workload_identity.pod_labels if each.target.workload_identity else {}
    key = {names.KEY: work.key} if work.key else {}
    # A restore's pod is made once the manager released this very Job: it must not be made twice.
    held = {"suspend": True} if work.component == names.RESTORE_COMPONENT else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(work, work.name, labels, merged(template.annotations, work.annotations)),
        "spec": {
            # One pod and no more: the manager alone tries a backup again, and nobody a restore, since a
            # snapshot must never be submitted twice. (The existing operator's restores have 3.)
            "backoffLimit": 0,
            "activeDeadlineSeconds": work.deadline_seconds,
            **held,
            "template": {
                "metadata": {
                    "labels": merged(pod_labels, labels),
                    "annotations": merged(template.annotations, key),
                },
                "spec": pod_spec(work, options),
            },
        },
    }
