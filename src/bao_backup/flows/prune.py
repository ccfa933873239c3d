"""Retention: one LIST, a plan, and the deletions, receipt first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bao_backup.core.errors import StorageError
from bao_backup.core.model import RetentionOutcome
from bao_backup.core.naming import catalogue, receipt_key
from bao_backup.core.retention import Plan, RetentionPolicy, plan_retention
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store


def plan(store: Store, prefix: str, policy: RetentionPolicy, now: datetime) -> Plan:
    """What the policy keeps and drops of the backups below `prefix`. Deletes nothing."""
    return plan_retention(catalogue(store.list(prefix), prefix), policy, now)


def carry_out(store: Store, plan_: Plan, stop: Stop | None = None) -> RetentionOutcome:
    """Delete what the plan drops. What the store refuses is told, and the rest still goes on.

    When the run must end, what is left is left for the next time.

    The receipt goes first: a crash in between leaves an unproven body, never a receipt that
    promises a body which is gone.
    """
    dropped: list[str] = []
    failed: list[str] = []
    for decision in plan_.dropped:
        key = decision.backup.key
        ending = stop.error() if stop is not None else None
        if ending is not None:
            failed.append(f"{key}: {ending.why}")
            continue
        try:
            _delete(store, (receipt_key(key), key))
        except StorageError as error:
            failed.append(f"{key}: {error.why}")
        else:
            dropped.append(key)
    return RetentionOutcome(kept=len(plan_.kept) + len(failed), dropped=tuple(dropped), failed=tuple(failed))


def _delete(store: Store, keys: Iterable[str]) -> None:
    for key in keys:
        store.delete(key)
