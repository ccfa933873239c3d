"""Labels, annotations and names of the objects on Kubernetes, which all parts here agree on.

The existing operator's where it has them (`openbao.org/...`); its own Jobs carry them, too, with
another `app.kubernetes.io/managed-by`.
"""

from __future__ import annotations

from hashlib import sha256

MANAGED_BY = "app.kubernetes.io/managed-by"
#: The value of MANAGED_BY on all that we make.
OURS = "bao-backup"
APP_NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
#: Name of the cluster, shortened where a label has no room for it (`label_value`).
CLUSTER = "openbao.org/cluster"
#: What a Job is for: "backup", "restore" or "upgrade-snapshot".
COMPONENT = "openbao.org/component"
BACKUP_COMPONENT = "backup"
RESTORE_COMPONENT = "restore"
UPGRADE_COMPONENT = "upgrade-snapshot"
#: "scheduled", "manual" or "pre-upgrade"; of a check CHECK_TYPE.
BACKUP_TYPE = "openbao.org/backup-type"
CHECK_TYPE = "check"

#: Annotation of a cluster: any value asks for a manual run.
TRIGGER = "openbao.org/trigger-backup"
#: Annotation of a cluster whose installed schema has no room for our status: the manager's memory.
MEMORY = "openbao.org/bao-backup-memory"
#: Annotations of a Job: the object's key, the cluster's whole name and uid, the slot, which try it is.
KEY = "openbao.org/backup-key"
CLUSTER_NAME = "openbao.org/cluster-name"
CLUSTER_UID = "openbao.org/cluster-uid"
SLOT = "openbao.org/slot"
TRY = "openbao.org/try"
#: Annotations of a Job that restores: the restore's name and uid.
RESTORE_NAME = "openbao.org/restore-name"
RESTORE_UID = "openbao.org/restore-uid"
#: Annotation of a Job that restores: it was released, and whoever suspends it then is not the manager.
RELEASED = "openbao.org/restore-released"
#: Annotation of a Job of ours that is over, and whose result is in the status.
RECORDED = "openbao.org/result-recorded"
#: Annotation of a Job that the manager ended since its pod could not start: "REASON: MESSAGE".
ENDED_BECAUSE = "openbao.org/ended-because"

LONGEST_LABEL = 63
LONGEST_NAME = 253


def is_ours(key: str) -> bool:
    """Whether a label or annotation of this key is for us to set, whatever a template says."""
    return key.startswith("openbao.org/") or key in {MANAGED_BY, APP_NAME, INSTANCE}


def service_account_name(cluster: str, component: str) -> str:
    """The ServiceAccount of a cluster's runs; the existing operator's roles are bound to this name.

    `component` is BACKUP_COMPONENT or RESTORE_COMPONENT: each has its own, and so its own role.
    """
    return _ending(cluster, f"-{component}-serviceaccount")


def network_policy_name(cluster: str, component: str) -> str:
    """The NetworkPolicy of a cluster's runs: never the existing operator's `-jobs-network-policy`."""
    return _ending(cluster, f"-bao-{component}")


def label_value(name: str) -> str:
    """The name as the value of a label: unchanged up to 63 characters, else cut, with a digest."""
    return shortened(name, LONGEST_LABEL)


def shortened(name: str, longest: int) -> str:
    """The name, or where it is longer, its beginning and 8 hex digits of its SHA-256."""
    if len(name) <= longest:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9].rstrip('-.')}-{digest}"


def _ending(cluster: str, ending: str) -> str:
    return shortened(cluster, LONGEST_NAME - len(ending)) + ending
