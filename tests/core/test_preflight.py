"""The checks before a run: a table of what blocks, for which reason, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.documents import document

from bao_backup.core.errors import Problem
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Health, Observed, Run, RunState, UnfinishedRestore
from bao_backup.core.preflight import preflight
from bao_backup.core.spec import parse_cluster
from bao_backup.core.status import LOCK_HOLDER, OperationLock

RUNNING = {"spec.backup.tokenSecretRef": {"name": "token"}, "status.phase": "Running"}
OURS = OperationLock(operation="Backup", holder=LOCK_HOLDER)
UPGRADE = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade")
UNFINISHED = Run(name="backup-prod-x", state=RunState.UNFINISHED)
FINISHED = Run(name="backup-prod-x", state=RunState.FINISHED)
THEIRS = Run(name="backup-prod-y", state=RunState.UNFINISHED, ours=False)
SEALED = Health(ready=False, reason="Sealed", message="every node is sealed")


def observed(changes: Mapping[str, Any] | None = None, **more: Any) -> Observed:
    """A cluster with a login, in which nothing is in the way but what is said."""
    parsed = parse_cluster(document({**RUNNING, **(changes or {})}), strict=True)
    return Observed(**{"namespace": "default", "name": "prod", "uid": "uid", "document": parsed, **more})


READY: dict[str, Observed] = {
    "nothing is in the way": observed(),
    "nobody writes the phase of a server that nobody manages": observed(
        {"spec.connection": {"addresses": ["https://bao:8200"]}, "status.phase": ""}
    ),
    "the lock is ours": observed(lock=OURS),
    "its runs have ended": observed(runs=(FINISHED,)),
    "the login comes from selfInit": observed(
        {"spec.backup.tokenSecretRef": None, "spec.selfInit": {"oidc": {"enabled": True}}}
    ),
    "the server was asked": observed(can_ask_health=True, health=Health(ready=True)),
}
BLOCKED: dict[str, Observed] = {
    "InvalidDocument": observed(document=None, problems=(Problem("spec.backup.schedule", "expected it"),)),
    "NotConfigured": observed({"spec.backup": None}),
    "Paused": observed({"spec.paused": True}),
    "Suspended": observed({"spec.backup.suspend": True}),
    "AuthenticationRequired": observed({"spec.backup.tokenSecretRef": None}),
    "ClusterNotRunning": observed({"status.phase": "BackingUp"}),
    "UpgradeInProgress": observed({"status.upgrade": {"targetVersion": "2.5.0"}}),
    "RestoreInProgress": observed({"status.restore": {"name": "x"}}),
    "OperationLocked": observed(lock=UPGRADE),
    "BackupRunning": observed(runs=(FINISHED, UNFINISHED)),
    "AnotherManager": observed(runs=(THEIRS,)),
    "TooManyRuns": observed(room=False),
    "ManagerStopping": observed(stopping=True),
    "Sealed": observed(can_ask_health=True, health=SEALED),
    "HealthUnknown": observed(can_ask_health=True),
}


@pytest.mark.parametrize("case", READY.values(), ids=READY)
def test_a_run_may_start(case: Observed) -> None:
    """Nothing blocks it."""
    assert preflight(case, Trigger.SCHEDULED) is None
    assert preflight(case, Trigger.MANUAL) is None


@pytest.mark.parametrize(("reason", "case"), BLOCKED.items(), ids=BLOCKED)
def test_a_run_may_not_start(reason: str, case: Observed) -> None:
    """Each obstacle has its own reason, and words for people."""
    blocked = preflight(case, Trigger.SCHEDULED)
    assert blocked is not None
    assert blocked.reason == reason
    assert blocked.message


@pytest.mark.parametrize("reason", BLOCKED)
def test_only_suspend_lets_a_person_pass(reason: str) -> None:
    """It stops the schedule; every other obstacle stops a manual run, too."""
    blocked = preflight(BLOCKED[reason], Trigger.MANUAL)
    assert (blocked is None) == (reason == "Suspended")


def test_messages_name_what_is_in_the_way() -> None:
    """The holder of the lock, the run, the phase, the field."""
    words = {
        "InvalidDocument": "spec.backup.schedule: expected it",
        "ClusterNotRunning": "status.phase is BackingUp, not Running",
        "OperationLocked": "openbaocluster/upgrade holds the operation lock for Upgrade",
        "BackupRunning": "the run backup-prod-x is not finished",
        "AnotherManager": "another manager's backup backup-prod-y is not finished",
        "Sealed": "every node is sealed",
    }
    for reason, expected in words.items():
        blocked = preflight(BLOCKED[reason], Trigger.SCHEDULED)
        assert blocked is not None
        assert blocked.message == expected


def test_a_cluster_without_a_phase_was_never_started() -> None:
    """Its operator writes the phase once it is there; so does an unfinished restore block by itself."""
    blocked = preflight(observed({"status.phase": ""}), Trigger.SCHEDULED)
    assert blocked is not None
    assert (blocked.reason, blocked.message) == ("ClusterNotRunning", "status.phase is empty, not Running")
    monday = UnfinishedRestore(name="back-to-monday", created=datetime(2026, 11, 23, tzinfo=UTC))
    blocked = preflight(observed(restores=(monday,)), Trigger.SCHEDULED)
    assert blocked is not None
    assert blocked.reason == "RestoreInProgress"
    assert "back-to-monday" in blocked.message


def test_a_restores_run_blocks_without_its_document() -> None:
    """It goes on when somebody deletes the document, and until it ends no backup starts."""
    run = Run(name="restore-gone", state=RunState.UNFINISHED)
    blocked = preflight(observed(restores=(), restore_runs=(run,)), Trigger.SCHEDULED)
    assert blocked is not None
    assert (blocked.reason, blocked.message) == ("RestoreInProgress", "the run restore-gone is not finished")
    over = replace(run, state=RunState.FINISHED)
    assert preflight(observed(restores=(), restore_runs=(over,)), Trigger.SCHEDULED) is None


def test_the_first_reason_is_the_one_to_act_on() -> None:
    """What a person has configured comes before the cluster's state, and that before other runs."""
    blocked = preflight(
        observed({"spec.backup.suspend": True, "status.phase": "Failed"}, lock=UPGRADE, runs=(THEIRS,)),
        Trigger.SCHEDULED,
    )
    assert blocked is not None
    assert blocked.reason == "Suspended"
    blocked = preflight(observed({"status.phase": "Failed"}, lock=UPGRADE, room=False), Trigger.SCHEDULED)
    assert blocked is not None
    assert blocked.reason == "ClusterNotRunning"


def test_a_lock_whose_form_nobody_knows_is_somebodys() -> None:
    """It blocks as any other's does."""
    parsed = parse_cluster(document({**RUNNING, "status.operationLock": "held"}), strict=True)
    blocked = preflight(observed(document=parsed, lock=parsed.status.operation_lock), Trigger.SCHEDULED)
    assert blocked is not None
    assert blocked.reason == "OperationLocked"
