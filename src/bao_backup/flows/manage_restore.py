"""One round of the manager for one restore: observe, decide, write down, do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bao_backup.core.errors import BaoBackupError
from bao_backup.core.observed import Emit, ForgetRun
from bao_backup.core.restore import step_restore
from bao_backup.core.restoring import DiscardRun, ReleaseRun, RestoreAction, StartRestore
from bao_backup.ports import Clock, RestoreRuntime


async def reconcile_restore(runtime: RestoreRuntime, clock: Clock, uid: str) -> datetime | None:
    """Do what is due for the restore `uid`; answers when to look again (None: when told).

    First the status is written, and told, then the cluster's lock is, then it acts. When somebody else wrote
    either meanwhile the answer is at once: the next round observes anew.
    """
    observed, versions = await runtime.observe(uid)
    decision = step_restore(observed, clock.now())
    if decision.status != observed.status and not await runtime.save(uid, versions, decision.status):
        return clock.now()
    # Told now: the next round finds the status written, and has nothing more to tell of it.
    failure = await _carry_out(runtime, uid, decision.events)
    wake, lock = decision.wake, observed.cluster.lock if observed.cluster else None
    actions = decision.actions
    if decision.lock != lock and not await runtime.save_lock(uid, versions, decision.lock):
        wake = clock.now()
        if decision.lock is not None:
            actions = ()  # nothing begins without the lock
    failure = await _carry_out(runtime, uid, actions) or failure
    if failure is not None:
        raise failure
    return wake


async def _carry_out(
    runtime: RestoreRuntime, uid: str, actions: Iterable[RestoreAction]
) -> BaoBackupError | None:
    """Each of them, though one fails: what cannot be told must not keep a run from starting.

    Gives the first failure.
    """
    failure: BaoBackupError | None = None
    for action in actions:
        try:
            match action:
                case StartRestore():
                    await runtime.start(uid, action)
                case ReleaseRun():
                    await runtime.release(uid, action)
                case ForgetRun():
                    await runtime.forget(uid, action)
                case DiscardRun():
                    await runtime.discard(uid, action)
                case Emit():
                    await runtime.emit(uid, action)
        except BaoBackupError as error:
            failure = failure or error
    return failure
