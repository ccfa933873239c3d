"""The manager's decision for an OpenBaoRestore: from what is observed, and the time, what to do next.

`step_restore` is level-triggered, as `step` is. A restore goes Pending, Validating (it waits until it
is alone, and takes the cluster's lock), Running, and Completed or Failed. In Validating its run is made,
and held: until it is released nothing has begun, and it may be made again. Running says which run is
released, before it is: from then on there is never another one, whatever became of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Emit, ForgetRun, Run, RunState
from bao_backup.core.operation_lock import restore_holder, restore_run_unfinished
from bao_backup.core.preflight import Blocked, problems_in_words
from bao_backup.core.restore_end import end_of_run, fail, lost
from bao_backup.core.restore_preflight import LOCKED, restore_preflight
from bao_backup.core.restore_spec import FINAL_PHASES, OpenBaoRestore, RestorePhase, RestoreStatus
from bao_backup.core.restoring import (
    DiscardRun,
    ObservedRestore,
    ReleaseRun,
    RestoreAction,
    RestoreDecision,
    StartRestore,
)
from bao_backup.core.status import Condition, OperationLock, conditions_with

#: How soon a restore that waits is tried again, when nothing happens before.
LOOK_AGAIN = timedelta(seconds=60)
#: How soon to see that a run is there, is released, or is gone.
SEE_THAT_IT_HAPPENED = timedelta(seconds=1)

OVERRIDE = "OperationLockOverride"
COMPLETE = "RestoreComplete"
CHANGED = "DocumentChanged"
_CHANGED_WORDS = (
    "the document was changed after it was accepted, and nothing was done: a restore is made once, as it was"
    " asked for; make a new document"
)
_SUSPENDED_WORDS = (
    ", not by this manager, and keeps the cluster's lock: delete it, after which nobody knows what the server"
    " took; resumed, it would begin anew, and may send the snapshot twice"
)


def step_restore(observed: ObservedRestore, now: datetime) -> RestoreDecision:
    """What to write, what to do, and when to look again."""
    if observed.status.phase in FINAL_PHASES:
        return _finished(observed)
    if _is_carried_out_by_another(observed):
        lock = observed.cluster.lock if observed.cluster else None
        return RestoreDecision(status=observed.status, lock=lock)
    run, released = observed.run, observed.status.phase is RestorePhase.RUNNING
    if released and (run is None or _is_another(observed.status, run)):
        return _over(observed, *lost(observed, now))
    if run is not None and (released or not run.held):
        return _follow(observed, run, now)
    if observed.document is None:
        words = problems_in_words(observed.problems)
        return _over(observed, *fail(observed, "InvalidDocument", words, now), *_put_away(run))
    return _validate(observed, observed.document, now)


def _is_carried_out_by_another(observed: ObservedRestore) -> bool:
    """By its run, or by its phase: only a later version's manager writes Unknown, and knows more."""
    theirs = observed.namesake is not None and not observed.namesake.ours
    phase = observed.status.phase
    return phase is RestorePhase.UNKNOWN or (phase is RestorePhase.RUNNING and theirs)


def _is_another(status: RestoreStatus, run: Run) -> bool:
    """Not the run that was released: a manager that did not know yet that it leads no more made it."""
    return bool(status.run_uid and run.uid) and run.uid != status.run_uid


# --- before the run ----------------------------------------------------------------------------


def _validate(observed: ObservedRestore, document: OpenBaoRestore, now: datetime) -> RestoreDecision:
    if _was_changed(observed):
        return _over(observed, *fail(observed, CHANGED, _CHANGED_WORDS, now), *_put_away(observed.run))
    status, events = _accept(observed, document, now)
    blocked = restore_preflight(observed, document)
    if blocked is not None:
        return _wait(observed, status, events, blocked, now)
    assert observed.cluster is not None  # noqa: S101 - preflight has seen to it
    lock = observed.cluster.lock
    actions: tuple[RestoreAction, ...] = ()
    if lock is None or lock.holder != restore_holder(observed.name):
        status, lock, actions = _take_lock(observed, status, lock, now)
    elif observed.run is not None:
        # It is held, and the lock was seen to be ours.
        decision = _follow(replace(observed, status=status), observed.run, now)
        return replace(decision, events=(*events, *decision.events))
    run = restore_run_name(observed.name)
    status = replace(status, reason="", message=f"the run {run} is being started")
    status = _not_complete(observed, status, "RestoreStarting", now)
    return RestoreDecision(
        status=status,
        events=events,
        lock=lock,
        actions=(*actions, StartRestore(name=run)),
        wake=now + SEE_THAT_IT_HAPPENED,
    )


def _was_changed(observed: ObservedRestore) -> bool:
    """Whether the document is another than the one that was accepted, as only a foreign CRD lets it be.

    A document that is being deleted has a new generation, too.
    """
    condition = observed.status.condition(COMPLETE)
    accepted = condition.observed_generation if condition is not None else 0
    validating = observed.status.phase is RestorePhase.VALIDATING
    return validating and not observed.leaving and 0 < accepted < observed.generation


def _accept(
    observed: ObservedRestore, document: OpenBaoRestore, now: datetime
) -> tuple[RestoreStatus, tuple[Emit, ...]]:
    """The first look at a document that is right: what it asks for, and what of it has no effect here."""
    status = observed.status
    if status.phase is RestorePhase.VALIDATING:
        return status, ()
    key = status.snapshot_key or document.spec.source.key
    status = replace(status, phase=RestorePhase.VALIDATING, snapshot_key=key)
    begun = (Emit(reason="RestoreValidationStarted", message=f"of the cluster {document.spec.cluster}"),)
    if not document.ignored:
        return status, begun
    words = f"the document is valid; without effect here: {', '.join(document.ignored)}"
    condition = _condition(observed, "DocumentValid", "True", "FieldIgnored", words, now)
    status = replace(status, conditions=conditions_with(status.conditions, condition))
    return status, (*begun, Emit(reason="FieldIgnored", message=words, warning=True))


def _wait(
    observed: ObservedRestore,
    status: RestoreStatus,
    events: tuple[Emit, ...],
    blocked: Blocked,
    now: datetime,
) -> RestoreDecision:
    """Without the lock, so that whatever it waits for may go on; and without a run that would keep it."""
    told = observed.status.reason == blocked.reason
    status = replace(status, reason=blocked.reason, message=f"it waits: {blocked.message}")
    status = _not_complete(observed, status, blocked.reason, now)
    if blocked.reason == LOCKED and not told:
        events += (Emit(reason="OperationLockBlocked", message=blocked.message, warning=True),)
    namesake, actions = observed.namesake, _put_away(observed.run)
    if namesake is not None and namesake.ours and (namesake.held or namesake.state is RunState.FINISHED):
        actions += (DiscardRun(name=namesake.name),)
    wake = now + (SEE_THAT_IT_HAPPENED if actions else LOOK_AGAIN)
    return RestoreDecision(status=status, events=events, lock=_let_go(observed), actions=actions, wake=wake)


def _take_lock(
    observed: ObservedRestore, status: RestoreStatus, before: OperationLock | None, now: datetime
) -> tuple[RestoreStatus, OperationLock, tuple[RestoreAction, ...]]:
    """The lock, free or (by override) another's, and what is told of it, once it is taken."""
    lock = _our_lock(observed, now)
    if before is None:
        # An override that was written down, and whose lock went before it was taken, was none.
        kept = tuple(c for c in status.conditions if c.type != OVERRIDE)
        return replace(status, conditions=kept), lock, ()
    words = f"the operation lock of {before.holder} for {before.operation} was taken by force"
    condition = _condition(observed, OVERRIDE, "True", "OperationLockOverridden", words, now)
    status = replace(status, conditions=conditions_with(status.conditions, condition))
    return status, lock, (Emit(reason=OVERRIDE, message=words, warning=True),)


# --- the run -----------------------------------------------------------------------------------


def _follow(observed: ObservedRestore, run: Run, now: datetime) -> RestoreDecision:
    """Its run is there: held still, under way, or ended."""
    if run.state is RunState.FINISHED:
        return _over(observed, *end_of_run(observed, run, now), ForgetRun(name=run.name))
    lock = observed.cluster.lock if observed.cluster else None
    if observed.cluster is not None and lock is None:
        lock = _our_lock(observed, now)  # somebody took it away
    actions: tuple[RestoreAction, ...] = ()
    wake, words = None, f"the run {run.name} is under way"
    if run.held and lock is not None and lock.holder == restore_holder(observed.name):
        actions, wake = (ReleaseRun(name=run.name, uid=run.uid),), now + SEE_THAT_IT_HAPPENED
    elif run.held:
        wake, words = now + LOOK_AGAIN, f"the run {run.name} waits for the cluster's operation lock"
    elif run.suspended:
        words = f"the Job {run.name} was suspended{_SUSPENDED_WORDS}"
    status = replace(
        observed.status,
        phase=RestorePhase.RUNNING,
        start_time=observed.status.start_time or now,
        run_uid=observed.status.run_uid or run.uid,
        reason="",
        message=words,
    )
    known = observed.status.phase is RestorePhase.RUNNING
    return RestoreDecision(
        status=_not_complete(observed, status, "RestoreRunning", now),
        events=() if known else (Emit(reason="RestoreStarted", message=run.name),),
        lock=lock,
        actions=actions,
        wake=wake,
    )


def _over(
    observed: ObservedRestore, status: RestoreStatus, told: Emit, *actions: RestoreAction
) -> RestoreDecision:
    """First its end is written, then the lock is free."""
    return RestoreDecision(status=status, events=(told,), lock=_let_go(observed), actions=actions)


def _finished(observed: ObservedRestore) -> RestoreDecision:
    """It never runs again; what is left over is put away."""
    run = observed.run
    actions = _put_away(run)
    if run is not None and run.state is RunState.FINISHED:
        actions = (ForgetRun(name=run.name),)
    return RestoreDecision(status=observed.status, lock=_let_go(observed), actions=actions)


def _put_away(run: Run | None) -> tuple[RestoreAction, ...]:
    """A run that is held has done nothing, and would wait for ever."""
    return (DiscardRun(name=run.name),) if run is not None and run.held else ()


# --- the lock, and what is told ----------------------------------------------------------------


def _our_lock(observed: ObservedRestore, now: datetime) -> OperationLock:
    return OperationLock(
        operation="Restore",
        holder=restore_holder(observed.name),
        message=restore_run_name(observed.name),
        acquired_at=now,
        renewed_at=now,
    )


def _let_go(observed: ObservedRestore) -> OperationLock | None:
    """Without ours, unless a run of this name is under way: then whoever sees its end releases it."""
    cluster = observed.cluster
    if cluster is None or cluster.lock is None or cluster.lock.holder != restore_holder(observed.name):
        return cluster.lock if cluster is not None else None
    return cluster.lock if restore_run_unfinished(cluster, observed.name) else None


def _not_complete(
    observed: ObservedRestore, status: RestoreStatus, reason: str, now: datetime
) -> RestoreStatus:
    condition = _condition(observed, COMPLETE, "False", reason, status.message, now)
    return replace(status, conditions=conditions_with(status.conditions, condition))


def _condition(
    observed: ObservedRestore, type_: str, holds: str, reason: str, message: str, now: datetime
) -> Condition:
    return Condition(
        type=type_,
        status=holds,
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=observed.generation,
    )
