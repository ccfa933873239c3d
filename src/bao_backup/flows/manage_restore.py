"""One round of the manager for one restore: observe, decide, write down, do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bao_backup.core.errors import BaoBackupError
from bao_backup.core.observed import Emit, ForgetRun
from bao_backup.core.restore import step_restore
from bao_backup.core.restoring import DiscardRun, RestoreAction, StartRestore
from bao_backup.ports import Clock, RestoreRuntime


async def reconcile_restore(runtime: RestoreRuntime, clock: Clock, uid: str) -> datetime | None:
    """Do what is due for the restore `uid`; answers when to look again (None: when told).

    First the status is written, then the cluster's lock, then it acts. When somebody else wrote either
    meanwhile the answer is at once: the next round observes anew.
    """
    observed, versions = await runtime.observe(uid)
    decision = step_restore(observed, clock.now())
    if decision.status != observed.status and not await runtime.save(uid, versions, decision.status):
        return clock.now()
    wake, lock = decision.wake, observed.cluster.lock if observed.cluster else None
    if decision.lock != lock and not await runtime.save_lock(uid, versions, decision.lock):
        wake = clock.now()
        if decision.lock is not None:
            return wake  # nothing begins without the lock
    await _carry_out(runtime, uid, decision.actions)
    return wake


async def _carry_out(runtime: RestoreRuntime, uid: str, actions: Iterable[RestoreAction]) -> None:
    """Each of them, though one fails: what cannot be told must not keep a run from starting."""
    failure: BaoBackupError | None = None
    for action in actions:
        try:
            match action:
                case StartRestore():
                    await runtime.start(uid, action)
                case ForgetRun():
                    await runtime.forget(uid, action)
                case DiscardRun():
                    await runtime.discard(uid, action)
                case Emit():
                    await runtime.emit(uid, action)
        except BaoBackupError as error:
            failure = failure or error
    if failure is not None:
        raise failure
