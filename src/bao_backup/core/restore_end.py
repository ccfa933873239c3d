"""How a restore ended, in its status: what happened, the way back, and what a person must do next."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.model import Result
from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Emit, Run
from bao_backup.core.restore_errors import RestoreSealedError
from bao_backup.core.restore_spec import RestorePhase, RestoreStatus
from bao_backup.core.restoring import ObservedRestore
from bao_backup.core.status import Condition, conditions_with
from bao_backup.core.words import size_in_words

#: The reason of a run that ended and said nothing.
NO_RESULT = "NoResult"
_NOT_KNOWN = f"whether the server took the snapshot is not known: {RestoreUnknownError.default_hint}"
#: A run that was killed said nothing of the backup that it made first.
_LOOK_FOR_WAY_BACK = "bao-backup list --class pre-restore shows what was there before, if it was backed up"


def end_of_run(observed: ObservedRestore, run: Run, now: datetime) -> tuple[RestoreStatus, Emit]:
    """The status after its run ended, in whatever way, and what people are told."""
    result = run.result
    if result is None:
        words = f"the run {run.name} ended without a result; {_NOT_KNOWN}"
        return fail(observed, NO_RESULT, _with_way_back(words, "", observed), now)
    message = result.message
    if _is_unknown(result.reason, result) and result.reason != RestoreUnknownError.reason:
        message = f"{message}; {_NOT_KNOWN}"
    if result.safety_key or _is_unknown(result.reason, result):
        message = _with_way_back(message, result.safety_key, observed)
    status = replace(
        observed.status,
        start_time=observed.status.start_time or result.started,
        snapshot_key=result.key or observed.status.snapshot_key,
        snapshot_size=result.size or observed.status.snapshot_size,
        safety_backup_key=result.safety_key,
    )
    observed = replace(observed, status=status)
    if not result.succeeded:
        return fail(observed, result.reason, message, result.finished, result)
    status = _ended(
        observed,
        RestorePhase.COMPLETED,
        result.reason,
        message,
        result.finished,
        ("True", "RestoreSucceeded"),
    )
    said = f"{status.snapshot_key}, {size_in_words(status.snapshot_size)}: {message}"
    return status, Emit(reason="RestoreCompleted", message=said)


def lost(observed: ObservedRestore, now: datetime) -> tuple[RestoreStatus, Emit]:
    """Its run was there, and is not any more: it is never started again."""
    words = f"the run {restore_run_name(observed.name)} is gone before its end was seen; {_NOT_KNOWN}"
    return fail(observed, RestoreUnknownError.reason, _with_way_back(words, "", observed), now)


def _with_way_back(message: str, key: str, observed: ObservedRestore) -> str:
    """The message, and where the backup of before is, or how it is found where nobody named it."""
    if key:
        return f"{message}; what was there before is at {key}: restore that to go back"
    document = observed.document
    wanted = document is None or document.spec.safety_backup
    return f"{message}; {_LOOK_FOR_WAY_BACK}" if wanted else message


def fail(
    observed: ObservedRestore, reason: str, message: str, ended: datetime, result: Result | None = None
) -> tuple[RestoreStatus, Emit]:
    """The status of a restore that failed for this reason, and what people are told."""
    if _is_unknown(reason, result):
        told = ("Unknown", RestoreUnknownError.reason)
    elif reason == RestoreSealedError.reason:
        told = ("False", RestoreSealedError.reason)
    else:
        told = ("False", "RestoreFailed")
    status = _ended(observed, RestorePhase.FAILED, reason, message, ended, told)
    return status, Emit(reason="RestoreFailed", message=f"{reason}: {message}", warning=True)


def _is_unknown(reason: str, result: Result | None) -> bool:
    if reason in {NO_RESULT, RestoreUnknownError.reason}:
        return True
    return result is not None and result.exit_code == RestoreUnknownError.exit_code


def _ended(
    observed: ObservedRestore,
    phase: RestorePhase,
    reason: str,
    message: str,
    ended: datetime,
    told: tuple[str, str],
) -> RestoreStatus:
    """`told` is the status and the reason of the condition `RestoreComplete`."""
    condition = Condition(
        type="RestoreComplete",
        status=told[0],
        reason=told[1],
        message=message,
        last_transition_time=ended,
        observed_generation=observed.generation,
    )
    return replace(
        observed.status,
        phase=phase,
        completion_time=ended,
        reason=reason,
        message=message,
        conditions=conditions_with(observed.status.conditions, condition),
    )
