"""The checks before a run starts: healthy, stable, exclusive, and what else must be so."""

from __future__ import annotations

from collections.abc import Iterable

from bao_backup.core.errors import Problem
from bao_backup.core.model import Trigger, Value
from bao_backup.core.observed import Observed, RunState
from bao_backup.core.status import LOCK_HOLDER


class Blocked(Value, frozen=True, kw_only=True):
    """Why no run may start now."""

    reason: str
    message: str


#: The reason of who waits for the manager's limit on runs at once.
NO_ROOM = "TooManyRuns"
#: Asked of the server only when everything else allows a run.
HEALTH_UNKNOWN = Blocked(reason="HealthUnknown", message="the server's health was not asked yet")


def preflight(observed: Observed, trigger: Trigger) -> Blocked | None:
    """None when a run may start, else the first reason why not.

    `trigger` matters for `suspend` only: it stops the schedule, not a person.
    """
    return (
        _configured(observed, trigger)
        or _healthy(observed)
        or _stable(observed)
        or _exclusive(observed)
        or _server_ready(observed)
    )


def _configured(observed: Observed, trigger: Trigger) -> Blocked | None:
    document = observed.document
    if document is None:
        return Blocked(reason="InvalidDocument", message=problems_in_words(observed.problems))
    if document.spec.backup is None:
        return Blocked(reason="NotConfigured", message="the document has no spec.backup")
    if document.spec.paused:
        return Blocked(reason="Paused", message="spec.paused is true")
    if document.spec.backup.suspend and trigger is Trigger.SCHEDULED:
        return Blocked(reason="Suspended", message="spec.backup.suspend is true")
    if document.login is None:
        return Blocked(
            reason="AuthenticationRequired",
            message="no OpenBao login is configured: set spec.backup.auth, jwtAuthRole or tokenSecretRef",
        )
    return None


def _healthy(observed: Observed) -> Blocked | None:
    document = observed.document
    phase = document.status.phase if document else ""
    if phase == "Running" or document is None:
        return None
    if not phase and document.spec.connection is not None:
        return None  # nobody manages this server, so nobody writes its phase
    return Blocked(reason="ClusterNotRunning", message=f"status.phase is {phase or 'empty'}, not Running")


def _stable(observed: Observed) -> Blocked | None:
    if observed.document and observed.document.status.upgrade is not None:
        return Blocked(reason="UpgradeInProgress", message="status.upgrade is set: an upgrade is in progress")
    if observed.document and observed.document.status.restore is not None:
        return Blocked(reason="RestoreInProgress", message="status.restore is set: a restore is in progress")
    if observed.restore:
        return Blocked(
            reason="RestoreInProgress", message=f"the OpenBaoRestore {observed.restore} is not finished"
        )
    if observed.unfinished_restore_run:
        return Blocked(
            reason="RestoreInProgress", message=f"the run {observed.unfinished_restore_run} is not finished"
        )
    lock = observed.lock
    if lock is not None and lock.holder != LOCK_HOLDER:
        return Blocked(
            reason="OperationLocked", message=f"{lock.holder} holds the operation lock for {lock.operation}"
        )
    return None


def _exclusive(observed: Observed) -> Blocked | None:
    for run in observed.runs:
        if run.state is RunState.UNFINISHED:
            if not run.ours:
                return Blocked(
                    reason="AnotherManager", message=f"another manager's backup {run.name} is not finished"
                )
            return Blocked(reason="BackupRunning", message=f"the run {run.name} is not finished")
    if observed.stopping:
        return Blocked(
            reason="ManagerStopping", message="the manager is about to end, and starts no more runs"
        )
    if not observed.room:
        return Blocked(reason=NO_ROOM, message="the manager's limit on runs at once is reached")
    return None


def _server_ready(observed: Observed) -> Blocked | None:
    if not observed.can_ask_health:
        return None
    if observed.health is None:
        return HEALTH_UNKNOWN
    if not observed.health.ready:
        return Blocked(reason=observed.health.reason, message=observed.health.message)
    return None


def problems_in_words(problems: Iterable[Problem]) -> str:
    """All problems of a document on one line."""
    return "; ".join(f"{problem.path}: {problem.expected}" for problem in problems)
