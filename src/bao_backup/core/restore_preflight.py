"""Why a restore must wait: it never runs beside another operation on its cluster."""

from __future__ import annotations

from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Observed, RunState
from bao_backup.core.operation_lock import restore_holder, restore_holding
from bao_backup.core.preflight import Blocked, problems_in_words
from bao_backup.core.restore_spec import OpenBaoRestore
from bao_backup.core.restoring import ObservedRestore

#: Why a restore waits for another holder of the operation lock.
LOCKED = "OperationLocked"


def restore_preflight(observed: ObservedRestore, document: OpenBaoRestore) -> Blocked | None:
    """None when the restore may begin, else the first reason why not."""
    cluster = observed.cluster
    if observed.leaving:
        return Blocked(reason="BeingDeleted", message="the document is being deleted")
    if cluster is None:
        return Blocked(
            reason="ClusterMissing", message=f"there is no OpenBaoCluster {document.spec.cluster} here"
        )
    return (
        _cluster_usable(observed, cluster)
        or _name_free(observed)
        or _first_in_line(observed, cluster)
        or _no_backup(cluster)
        or (None if document.spec.override_operation_lock else _stable(observed))
        or _lock_free(observed, document, cluster)
    )


def _cluster_usable(observed: ObservedRestore, cluster: Observed) -> Blocked | None:
    if observed.cluster_document is None:
        problems = problems_in_words(observed.cluster_problems)
        words = (
            f"the OpenBaoCluster {cluster.name} is not valid, nor what this restore needs of it: {problems}"
        )
        return Blocked(reason="ClusterInvalid", message=words)
    if observed.cluster_document.spec.paused:
        return Blocked(reason="Paused", message=f"spec.paused of the OpenBaoCluster {cluster.name} is true")
    if cluster.stopping:
        return Blocked(
            reason="ManagerStopping", message="the manager is about to end, and starts no more runs"
        )
    return None


def _name_free(observed: ObservedRestore) -> Blocked | None:
    run = observed.namesake
    if run is None:
        return None
    if not run.ours:
        words = f"another manager's run has the name {run.name}: remove it, or name the restore otherwise"
        return Blocked(reason="AnotherManager", message=words)
    of_whom = f"the run {run.name} of an earlier restore of this name"
    if run.state is RunState.UNFINISHED and not run.held:
        return Blocked(reason="RestoreInProgress", message=f"{of_whom} is not finished")
    return Blocked(reason="NameTaken", message=f"{of_whom} is removed first")


def _first_in_line(observed: ObservedRestore, cluster: Observed) -> Blocked | None:
    """One at a time: by creation, then by name. A run counts though its document is gone."""
    ours = (observed.created, observed.name)
    older = [(each.created, each.name) for each in cluster.restores or () if each.name != observed.name]
    first = min((each for each in older if each < ours), default=None)
    if first is not None:
        words = f"the OpenBaoRestore {first[1]} is older, and not finished"
        return Blocked(reason="RestoreInProgress", message=words)
    for run in cluster.restore_runs:
        if run.state is RunState.UNFINISHED and run.name != restore_run_name(observed.name):
            return Blocked(reason="RestoreInProgress", message=f"the run {run.name} is not finished")
    return None


def _no_backup(cluster: Observed) -> Blocked | None:
    """Not even by force: an override is for the lock of an operation that is dead."""
    attempt = cluster.status.attempt
    running = next((run.name for run in cluster.runs if run.state is RunState.UNFINISHED), "")
    if not running and attempt is not None and attempt.under_way:
        running = attempt.name
    if not running:
        return None
    return Blocked(reason="BackupRunning", message=f"the backup {running} is not finished")


def _stable(observed: ObservedRestore) -> Blocked | None:
    status = observed.cluster_document.status if observed.cluster_document else None
    if status is not None and status.upgrade is not None:
        return Blocked(
            reason="UpgradeInProgress",
            message="status.upgrade of the cluster is set: an upgrade is in progress",
        )
    if status is not None and status.restore is not None:
        return Blocked(
            reason="RestoreInProgress",
            message="status.restore of the cluster is set: a restore is in progress",
        )
    return None


def _lock_free(observed: ObservedRestore, document: OpenBaoRestore, cluster: Observed) -> Blocked | None:
    lock = cluster.lock
    if lock is None or lock.holder == restore_holder(observed.name):
        return None
    alive = any(each.name == restore_holding(lock) for each in cluster.restores or ())
    if document.spec.override_operation_lock and not alive:
        return None
    return Blocked(
        reason=LOCKED, message=f"{lock.holder} holds the cluster's operation lock for {lock.operation}"
    )
