"""When the manager checks a configuration, and what becomes of it: the condition `ConfigurationProven`.

A check is started once for each new `spec.backup` and `spec.connection`, where `checkOnCreate` is set. It
keeps no backup of its cluster from starting, and holds no lock. Where runs are processes of the manager's
machine, it takes a place among them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from bao_backup.core.errors import InternalError, InterruptedRunError
from bao_backup.core.model import Result
from bao_backup.core.naming import check_digits, check_run_name
from bao_backup.core.observed import Action, Emit, ForgetRun, Observed, RunState, StartCheck
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, CheckAttempt, Condition, with_condition

CONDITION = "ConfigurationProven"
#: A check that is not to be seen so long after its start is lost.
LOST_AFTER = timedelta(minutes=5)
#: With one of these the check itself failed, and nothing is said of the configuration.
_OF_ITSELF = (InterruptedRunError.exit_code, InternalError.exit_code)


def settle_check(
    observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """Start the check that is due, or take the end of the one that was started into the condition.

    While the document is not valid, and none is in force, nothing begins and nothing is taken back.
    """
    ended = tuple(
        ForgetRun(name=run.name) for run in observed.check_runs if run.ours and run.state is RunState.FINISHED
    )
    document = observed.document
    if document is None:
        return status, ended
    if document.spec.backup is None or not document.spec.backup.check_on_create:
        others = tuple(each for each in status.conditions if each.type != CONDITION)
        return replace(status, check=None, conditions=others), ended
    digits = _digits(document)
    if status.check is None or status.check.digits != digits:
        if document.spec.paused or observed.stopping or not observed.room:
            return status, ended
        check = CheckAttempt(name=_name(observed, digits), digits=digits, accepted=now)
        status = _tell(replace(status, check=check), "Unknown", "CheckRunning", "a check is under way", now)
        return status, (*ended, StartCheck(name=check.name))
    if status.check.settled:
        return status, ended
    status, actions = _look_after(status.check, observed, status, now)
    return status, (*actions, *ended)


def _look_after(
    check: CheckAttempt, observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    run = next((run for run in observed.check_runs if run.name == check.name), None)
    if run is not None and run.state is RunState.UNFINISHED:
        return status, ()
    settled = replace(status, check=replace(check, settled=True))
    if run is None:
        if now < check.accepted + LOST_AFTER:
            return status, (StartCheck(name=check.name),)
        words = f"the check {check.name} is nowhere to be found; change the document to have another one"
        return _tell(settled, "Unknown", "RunLost", words, now), ()
    if run.result is None:
        words = f"another manager has a run of the name {run.name}"
        return _tell(settled, "Unknown", "AnotherManager", words, now), ()
    return _fold(settled, run.result, now)


def _fold(status: BackupStatus, result: Result, now: datetime) -> tuple[BackupStatus, tuple[Action, ...]]:
    if result.succeeded:
        told = Emit(reason="ConfigurationProven", message=result.message)
        return _tell(status, "True", "ConfigurationProven", result.message, now), (told,)
    verdict = "Unknown" if result.exit_code in _OF_ITSELF else "False"
    told = Emit(reason="ConfigurationNotProven", message=f"{result.reason}: {result.message}", warning=True)
    return _tell(status, verdict, result.reason, result.message, now), (told,)


def _tell(status: BackupStatus, verdict: str, reason: str, message: str, now: datetime) -> BackupStatus:
    return with_condition(
        status,
        Condition(
            type=CONDITION,
            status=verdict,
            reason=reason,
            message=message,
            last_transition_time=now,
            observed_generation=status.observed_generation,
        ),
    )


def _digits(document: OpenBaoCluster) -> str:
    """What tells one configuration from another."""
    checked = (document.spec.backup, document.spec.connection)
    return check_digits(msgspec.json.encode(checked, order="deterministic").decode())


def _name(observed: Observed, digits: str) -> str:
    """Another one each time, also where a document becomes again what it was: names are used up."""
    return check_run_name(observed.name, check_digits(observed.uid, digits, str(observed.generation)))
