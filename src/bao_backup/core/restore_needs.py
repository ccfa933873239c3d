"""What of its cluster's document a restore needs: a mistake in the rest of `spec.backup` is not its own."""

from __future__ import annotations

from collections.abc import Mapping

from bao_backup.core.errors import DocumentError
from bao_backup.core.restore_from_document import restore_problems
from bao_backup.core.restore_spec import OpenBaoRestore
from bao_backup.core.spec import OpenBaoCluster, parse_cluster

#: What a restore may take from `spec.backup`: where the backup is or the safety backup goes, and where
#: its Job can run.
_TAKEN = ("target", "jobTemplate")
#: In place of the schedule, which no restore asks for, and without which there is no `spec.backup`.
_ANY_SCHEDULE = "@daily"


def read_for_restore(document: Mapping[str, object], restore: OpenBaoRestore) -> OpenBaoCluster:
    """The cluster's document, with no more of `spec.backup` than this restore needs.

    Args:
        document: the cluster's, as JSON was decoded, right or wrong.
        restore: one into that cluster.

    Raises:
        DocumentError: with every problem of what the restore needs to run on Kubernetes.
    """
    cluster = parse_cluster(_reduced(document, restore), strict=False)
    problems = restore_problems(restore, cluster)
    if problems:
        raise DocumentError(f"restore into {cluster.metadata.namespace}/{cluster.metadata.name}", problems)
    return cluster


def needs_backup_settings(restore: OpenBaoRestore) -> bool:
    """Whether the restore takes anything from its cluster's `spec.backup`."""
    spec = restore.spec
    return spec.source.target is None or spec.safety_backup or spec.job_template is None


def _reduced(document: Mapping[str, object], restore: OpenBaoRestore) -> Mapping[str, object]:
    spec = document.get("spec")
    backup = spec.get("backup") if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping) or backup is None:
        return document
    reduced = {name: value for name, value in spec.items() if name != "backup"}
    if needs_backup_settings(restore):
        taken = {}
        if isinstance(backup, Mapping):
            taken = {name: backup[name] for name in _TAKEN if name in backup}
        reduced["backup"] = {"schedule": _ANY_SCHEDULE, **taken}
    return {**document, "spec": reduced}
