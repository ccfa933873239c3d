"""One round of the manager for one cluster: observe, decide, write down, do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from bao_backup.core.errors import BaoBackupError
from bao_backup.core.observed import (
    Action,
    AskHealth,
    ClearTrigger,
    Decision,
    Emit,
    ForgetRun,
    Observed,
    StartCheck,
    StartRun,
)
from bao_backup.core.step import step
from bao_backup.ports import Clock, Runtime


async def reconcile(runtime: Runtime, clock: Clock, uid: str) -> datetime | None:
    """Do what is due for the cluster `uid`; answers when to look again (None: when told).

    The status is written before anything is done. When somebody else wrote it meanwhile, nothing
    is done, and the answer is at once: the next round observes anew.
    """
    observed, version = await runtime.observe(uid)
    decision = step(observed, clock.now())
    if any(isinstance(action, AskHealth) for action in decision.actions):
        health = await runtime.ask_health(uid)
        # Asking takes time: others may have taken the last place meanwhile.
        observed, version = await runtime.observe(uid)
        observed = replace(observed, health=health)
        decision = step(observed, clock.now())
    if _changes(observed, decision) and not await runtime.save(uid, version, decision.status, decision.lock):
        return clock.now()
    await _carry_out(runtime, uid, decision.actions)
    return decision.wake


async def _carry_out(runtime: Runtime, uid: str, actions: Iterable[Action]) -> None:
    """Each of them, though one fails: what cannot be tidied up must not keep a run from starting."""
    failure: BaoBackupError | None = None
    for action in actions:
        try:
            match action:
                case StartRun():
                    await runtime.start(uid, action)
                case StartCheck():
                    await runtime.start_check(uid, action)
                case ForgetRun():
                    await runtime.forget(uid, action)
                case ClearTrigger():
                    await runtime.clear_trigger(uid, action)
                case Emit():
                    await runtime.emit(uid, action)
                case AskHealth():
                    pass  # answered already
        except BaoBackupError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _changes(observed: Observed, decision: Decision) -> bool:
    return decision.status != observed.status or decision.lock != observed.lock
