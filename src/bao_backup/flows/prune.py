"""Retention: one LIST, a plan, and the deletions, receipt first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from bao_backup.core.errors import BaoBackupError, StorageError, VerificationError
from bao_backup.core.model import Backup, RetentionOutcome
from bao_backup.core.naming import catalogue, receipt_key
from bao_backup.core.receipt import MAXIMUM_RECEIPT_SIZE, locked_until
from bao_backup.core.retention import Plan, RetentionPolicy, plan_retention
from bao_backup.core.storage_errors import ObjectExistsError, ObjectLockedError, ObjectNotFoundError
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store

T = TypeVar("T")
#: So many backups are deleted at once. As many are unproven, at most, when a prune is killed.
BATCH = 50
#: So many requests for single objects are under way at once.
AT_ONCE = 8


class _Left(NamedTuple):
    """Backups that are still there: what kept each of them."""

    errors: Mapping[str, BaoBackupError]
    #: By what their receipts say: nobody asked the store.
    locked: Mapping[str, BaoBackupError] = MappingProxyType({})


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
    on_locked: Callable[[BaoBackupError], None] = _nobody,
    batch: int = BATCH,
) -> RetentionOutcome:
    """Delete what the plan drops. What the store refuses is told, and the rest still goes on.

    When the run must end, what is left is left for the next time. `on_failure` gets the error of each
    backup that is not dropped; `on_locked` of each that is not tried, as its receipt says that it is
    locked: that is no failure. `batch` backups are deleted at once.

    The receipts go first: a crash in between leaves unproven bodies, never a receipt that promises a
    body which is gone. Where the store refuses a body, its receipt is written back, so that the next
    plan drops the backup again. A request to end is answered before any deletion of a batch; what is begun
    is ended, but for receipts of which the store takes none back.
    """
    dropped: list[str] = []
    failed: list[str] = []
    locked = 0
    wanted = [decision.backup for decision in plan_.dropped]
    for start in range(0, len(wanted), batch):
        backups = wanted[start : start + batch]
        ending = _ending(stop)
        if ending is not None:
            left = _Left({backup.key: ending for backup in backups})
        else:
            left = _drop(store, backups, plan_.made, stop)
        for backup in backups:
            error = left.errors.get(backup.key)
            if backup.key in left.locked:
                on_locked(left.locked[backup.key])
                locked += 1
            elif error is None:
                dropped.append(backup.key)
            else:
                failed.append(f"{backup.key}: {error.why}")
                on_failure(error)
    return RetentionOutcome(
        kept=len(plan_.kept) + locked + len(failed), dropped=tuple(dropped), failed=tuple(failed)
    )


def _drop(store: Store, backups: Sequence[Backup], now: datetime | None, stop: Stop | None) -> _Left:
    """Delete the backups; why those are still there that are."""
    receipts, unread = _read_receipts(store, [backup.key for backup in backups if backup.proven], stop)
    if (ending := _ending(stop)) is not None:
        return _Left({backup.key: ending for backup in backups})
    locked = _still_locked(store, receipts, now)
    keys = [backup.key for backup in backups if backup.key not in unread and backup.key not in locked]
    kept = store.delete_many([receipt_key(key) for key in keys])
    refused = {key: kept[receipt_key(key)] for key in keys if receipt_key(key) in kept}
    refused |= _delete_bodies(store, [key for key in keys if key not in refused])
    return _Left(unread | _restore_all(store, receipts, refused, stop), locked)


def _ending(stop: Stop | None) -> BaoBackupError | None:
    return None if stop is None else stop.error()


def _read_receipts(
    store: Store, keys: Sequence[str], stop: Stop | None
) -> tuple[dict[str, bytes | None], dict[str, BaoBackupError]]:
    """Their bytes, None where somebody else has just deleted one; and why one cannot be read."""
    read = _at_once(lambda key: _ending(stop) or _read_receipt(store, key), keys)
    bodies = {key: body for key, body in read.items() if not isinstance(body, BaoBackupError)}
    return bodies, {key: error for key, error in read.items() if isinstance(error, BaoBackupError)}


def _still_locked(
    store: Store, receipts: Mapping[str, bytes | None], now: datetime | None
) -> dict[str, StorageError]:
    """Those that are locked by what their receipts say, though no more by the document."""
    locked: dict[str, StorageError] = {}
    for key, body in receipts.items():
        until = locked_until(body) if body and now else None
        if until is not None and now is not None and until > now:
            why = f"it is locked until {until:%Y-%m-%d %H:%M:%S} UTC, as its receipt says"
            locked[key] = ObjectLockedError(f"delete {store.location}/{key}", why)
    return locked


def _read_receipt(store: Store, key: str) -> bytes | BaoBackupError | None:
    body = bytearray()
    try:
        for chunk in store.get(receipt_key(key)):
            body += chunk
            if len(body) > MAXIMUM_RECEIPT_SIZE:
                why = f"not a receipt: larger than {MAXIMUM_RECEIPT_SIZE} bytes"
                hint = "look at what it is; nobody here wrote it, and nothing here deletes it"
                return VerificationError(f"read {store.location}/{receipt_key(key)}", why, hint=hint)
        return bytes(body)
    except ObjectNotFoundError:
        return None
    except StorageError as error:
        return error


def _delete_bodies(store: Store, keys: Sequence[str]) -> dict[str, StorageError]:
    """Once more where that may help: their receipts are gone already."""
    refused = dict(store.delete_many(keys))
    again = [key for key, error in refused.items() if error.transient]
    for key in again:
        del refused[key]
    return refused | dict(store.delete_many(again))


def _at_once(act: Callable[[str], T], keys: Sequence[str]) -> dict[str, T]:
    """What `act` gives for each key, several at once."""
    if len(keys) < 2:
        return {key: act(key) for key in keys}
    # A run drops one most of the time, and need not wait for this to be loaded.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(keys, pool.map(act, keys), strict=True))


def _restore_all(
    store: Store,
    receipts: Mapping[str, bytes | None],
    refused: Mapping[str, StorageError],
    stop: Stop | None,
) -> dict[str, BaoBackupError]:
    """Back to what was before the deletions failed; why each is still there that is.

    Each that fails may take minutes where the store does not answer: when the run must end, one is enough.
    """
    failures: list[StorageError] = []

    def restore(key: str) -> StorageError | None:
        if failures and _ending(stop) is not None:
            return _not_written_back(refused[key], failures[0])
        try:
            return refused[key] if _restore(store, key, receipts.get(key)) else None
        except StorageError as second:
            failures.append(second)
            return _not_written_back(refused[key], second)

    restored = _at_once(restore, list(refused))
    return {key: error for key, error in restored.items() if error is not None}


def _restore(store: Store, key: str, receipt: bytes | None) -> bool:
    """Whether it is still there: nothing is wrong when only the answer to its deletion was lost."""
    try:
        store.head(key)
        if receipt is not None:
            store.create(receipt_key(key), receipt)
    except ObjectNotFoundError:
        return False
    except ObjectExistsError:
        return True  # it was never deleted
    return True


def _not_written_back(error: StorageError, second: StorageError) -> StorageError:
    why = f"{error.why}; nor could its receipt be written back: {second.why}"
    hint = "bao-backup verify writes it anew; without it, retention leaves the backup to its age"
    return type(error)(error.doing, why, hint=hint, details=error.details)
