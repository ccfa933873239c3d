"""Whose the operation lock of a cluster is, where a restore holds it or wants it."""

from __future__ import annotations

from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Observed, RunState
from bao_backup.core.status import OperationLock

#: A restore holds the lock by this and its document's name.
_RESTORE_HOLDER = "openbaorestore/"


def restore_holder(restore: str) -> str:
    """The holder that a restore of this name takes the lock as."""
    return _RESTORE_HOLDER + restore


def restore_holding(lock: OperationLock | None) -> str:
    """The name of the restore that holds the lock; empty when none does."""
    if lock is None or not lock.holder.startswith(_RESTORE_HOLDER):
        return ""
    return lock.holder.removeprefix(_RESTORE_HOLDER)


def restore_run_unfinished(cluster: Observed, restore: str) -> bool:
    """Whether a run of the restore of this name is under way, whoever started it."""
    name = restore_run_name(restore)
    return any(run.name == name and run.state is RunState.UNFINISHED for run in cluster.restore_runs)


def lock_in_force(cluster: Observed) -> OperationLock | None:
    """The lock, unless a restore left it: neither its unfinished document nor an unfinished run is there."""
    restore = restore_holding(cluster.lock)
    if not restore or cluster.restores is None:
        return cluster.lock
    known = any(unfinished.name == restore for unfinished in cluster.restores)
    return cluster.lock if known or restore_run_unfinished(cluster, restore) else None
