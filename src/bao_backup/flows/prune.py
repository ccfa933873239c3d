"""Retention: one LIST, a plan, and the deletions, receipt first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bao_backup.core.errors import BaoBackupError, ObjectExistsError, ObjectNotFoundError, StorageError
from bao_backup.core.model import Backup, RetentionOutcome
from bao_backup.core.naming import catalogue, receipt_key
from bao_backup.core.retention import Plan, RetentionPolicy, plan_retention
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store


def plan(store: Store, prefix: str, policy: RetentionPolicy, now: datetime) -> Plan:
    """What the policy keeps and drops of the backups below `prefix`. Deletes nothing."""
    return plan_retention(catalogue(store.list(prefix), prefix), policy, now)


def _nobody(_error: BaoBackupError) -> None:
    """The outcome says enough."""


def carry_out(
    store: Store,
    plan_: Plan,
    stop: Stop | None = None,
    *,
    on_failure: Callable[[BaoBackupError], None] = _nobody,
) -> RetentionOutcome:
    """Delete what the plan drops. What the store refuses is told, and the rest still goes on.

    When the run must end, what is left is left for the next time. `on_failure` gets the error of each
    backup that is not dropped.

    The receipt goes first: a crash in between leaves an unproven body, never a receipt that
    promises a body which is gone. Where the store refuses the body, its receipt is written back, so
    that the next plan drops the backup again.
    """
    dropped: list[str] = []
    failed: list[str] = []
    for decision in plan_.dropped:
        key = decision.backup.key
        error = stop.error() if stop is not None else None
        error = error or _drop(store, decision.backup)
        if error is None:
            dropped.append(key)
        else:
            failed.append(f"{key}: {error.why}")
            on_failure(error)
    return RetentionOutcome(kept=len(plan_.kept) + len(failed), dropped=tuple(dropped), failed=tuple(failed))


def _drop(store: Store, backup: Backup) -> StorageError | None:
    """Delete the backup; why it is still there, if it is."""
    receipt = None
    try:
        receipt = _read_receipt(store, backup) if backup.proven else None
        store.delete(receipt_key(backup.key))
        _delete_body(store, backup.key)
    except StorageError as error:
        return _restore(store, backup.key, receipt, error)
    return None


def _read_receipt(store: Store, backup: Backup) -> bytes | None:
    """Its bytes; None when somebody else has just deleted it."""
    try:
        return b"".join(store.get(receipt_key(backup.key)))
    except ObjectNotFoundError:
        return None


def _delete_body(store: Store, key: str) -> None:
    """Once more where that may help: its receipt is gone already."""
    try:
        store.delete(key)
    except StorageError as error:
        if not error.transient:
            raise
        store.delete(key)


def _restore(store: Store, key: str, receipt: bytes | None, error: StorageError) -> StorageError | None:
    """Back to what was before the deletion failed; nothing is wrong when only its answer was lost."""
    try:
        store.head(key)
        if receipt is not None:
            store.create(receipt_key(key), receipt)
    except ObjectNotFoundError:
        return None
    except ObjectExistsError:
        return error  # it was never deleted
    except StorageError as second:
        why = f"{error.why}; nor could its receipt be written back: {second.why}"
        hint = "bao-backup verify writes it anew; without it, retention leaves the backup to its age"
        return type(error)(error.doing, why, hint=hint, details=error.details)
    return error
