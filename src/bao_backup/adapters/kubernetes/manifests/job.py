"""The Job of a run: one try, within its deadline, and a result that outlives it."""

from __future__ import annotations

from datetime import UTC

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests.owned import (
    Manifest,
    backup_of,
    merged,
    metadata,
    own_labels,
    template_of,
)
from bao_backup.adapters.kubernetes.manifests.pod import pod_spec
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.model import Trigger
from bao_backup.core.observed import StartRun
from bao_backup.core.settings import RunSettings
from bao_backup.core.spec import OpenBaoCluster

#: Values of the label `names.BACKUP_TYPE`.
BACKUP_TYPES = {
    Trigger.SCHEDULED: "scheduled",
    Trigger.MANUAL: "manual",
    Trigger.PRE_UPGRADE: "pre-upgrade",
}


def job(document: OpenBaoCluster, run: StartRun, settings: RunSettings, options: JobOptions) -> Manifest:
    """The Job. It has no time to live yet: that is set once its result is in the status."""
    template, cluster = template_of(document), document.metadata.name
    type_of_backup = {names.BACKUP_TYPE: BACKUP_TYPES[run.trigger]}
    labels = merged(template.labels, own_labels(cluster) | type_of_backup)
    identity = backup_of(document).target.workload_identity
    pod_labels = merged(identity.pod_labels if identity else {}, labels)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(document, run.name, labels, merged(template.annotations, _about(document, run))),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": backup_of(document).active_deadline_seconds,
            "template": {
                "metadata": {
                    "labels": pod_labels,
                    "annotations": merged(template.annotations, {names.KEY: run.key}),
                },
                "spec": pod_spec(document, settings, options),
            },
        },
    }


def _about(document: OpenBaoCluster, run: StartRun) -> dict[str, str]:
    """What the manager reads from its Job again; a label has no room for a whole name."""
    return {
        names.KEY: run.key,
        names.CLUSTER_NAME: document.metadata.name,
        names.CLUSTER_UID: document.metadata.uid,
        names.SLOT: run.slot.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z",
        names.TRY: str(run.number),
    }
