"""On a real API server with our CRDs: fields of others are kept, restores never change, kubectl tells."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.cluster.crd_server import Server, collection, with_our_crds
from tests.core.documents import document, restore_document
from tests.core.restore_cases import KEY, S
from tests.harness.client import Answer
from tests.harness.control_plane import ControlPlane
from tests.harness.existing_documents import sample_documents

from bao_backup.core.model import Trigger
from bao_backup.core.status import (
    Attempt,
    BackupStatus,
    CheckAttempt,
    Condition,
    ObservedSchedule,
    OperationLock,
    SuccessfulBackup,
    Waiting,
)

pytestmark = pytest.mark.servers


@pytest.fixture
def server(control_plane: ControlPlane) -> Server:
    """The API server with our CRDs."""
    return with_our_crds(control_plane)


# --- fields of others --------------------------------------------------------------------------


def test_documents_for_the_existing_operator_lose_nothing(server: Server) -> None:
    """Each field that only that operator knows is stored as it was written."""
    for what in sample_documents():
        assert server.create(what, strict=True).status == 201
        assert missing(what["spec"], server.stored(what)["spec"]) == []


def test_fields_of_its_later_versions_are_kept(server: Server) -> None:
    """Beside those that we know, and those of a later backup by their name."""
    changes = {
        "spec.tls": {"mode": "ACME"},
        "spec.network.api": {"port": 1},
        "spec.selfInit.oidc.later": [1],
        "spec.upgrade.blueGreen.later": {"a": None},
        "spec.restore.later": True,
        "spec.backup.restoreTest": {"everySuccessfulBackups": 3, "clusterTemplate": {"version": "2.7.0"}},
    }
    what = document(changes)
    assert missing(what["spec"], server.stored(what)["spec"]) == []


def missing(written: Any, stored: Any, path: str = "spec") -> list[str]:
    """The paths of what was written and is not stored so."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return [
            place
            for name, value in written.items()
            for place in missing(value, stored.get(name), f"{path}.{name}")
        ]
    return [] if written == stored else [path]


@pytest.mark.parametrize(
    "path", ["spec.backup.shedule", "spec.backup.target.pathprefix", "spec.connection.x"]
)
def test_a_slip_of_the_pen_is_told_by_kubectl(server: Server, path: str) -> None:
    """It applies strictly by itself; without that, the field is dropped."""
    what = document({"spec.connection.addresses": ["https://bao:8200"], path: "x"})
    answer = server.create(what, strict=True)
    assert answer.status == 400
    assert f'unknown field "{path}"' in answer.json()["message"]
    right = document({"spec.connection.addresses": ["https://bao:8200"]})
    assert server.stored(what)["spec"] == server.stored(right)["spec"]


def test_the_status_of_others_is_kept_beside_ours(server: Server) -> None:
    """Any phase, any condition, and what a later version writes into status.backup."""
    what = document({"metadata.name": "status-of-others"})
    status = {
        "phase": "Rewinding",
        "conditions": [{"type": "Available", "status": "True"}],
        "restore": {"name": "r"},
        "operationLock": {"operation": "Backup", "holder": "x", "later": 1},
        "backup": {
            "lastBackupTime": "2026-11-22T02:00:00Z",
            "conditions": [{"type": "BackupReady", "status": "True", "reason": "Ready", "message": ""}],
            "latestSnapshot": {"digest": "sha256:00", "size": 1},
            "restoreTest": {"last": {"outcome": "Passed"}},
        },
    }
    assert with_status(server, what, status).json()["status"] == status


def with_status(server: Server, what: dict[str, Any], status: dict[str, Any]) -> Answer:
    """The answer to a write of the status of a document that was just stored; it is removed again."""
    place = f"{collection(what)}/{what['metadata']['name']}"
    server.plane.request("DELETE", place)
    created = server.create(what, keep=True)
    assert created.status == 201, created.body
    try:
        return server.plane.request("PUT", f"{place}/status", {**created.json(), "status": status})
    finally:
        server.plane.request("DELETE", place)


MOMENT = datetime(2026, 11, 22, 2, 0, 5, 120000, tzinfo=UTC)
ATTEMPT = Attempt(
    name="backup-prod-1", key=KEY, slot=MOMENT, trigger=Trigger.MANUAL, number=2, accepted=MOMENT,
    counted=True, retry_at=MOMENT, settled=True,
)  # fmt: skip
#: Every field is set.
OUR_STATUS = BackupStatus(
    last_backup_time=MOMENT,
    last_attempt_time=MOMENT,
    last_attempt_scheduled_time=MOMENT,
    last_backup_size=8 * 1024**3,
    last_backup_duration="1m12s",
    last_backup_name=KEY,
    next_scheduled_backup=MOMENT,
    consecutive_failures=1,
    successful_backups=2,
    last_failure_reason="StorageDenied",
    last_failure_message="denied",
    last_failure_time=MOMENT,
    last_successful_backup=SuccessfulBackup(
        time=MOMENT, key=KEY, size=1, sha256="00", duration="1s", raft_index=2**40, trigger=Trigger.SCHEDULED
    ),
    last_handled_manual_trigger="a",
    accepted_trigger="b",
    attempt=ATTEMPT,
    deferred=ATTEMPT,
    check=CheckAttempt(name="check-prod-0123abcd", digits="0123abcd", accepted=MOMENT, settled=True),
    waiting=Waiting(slot=MOMENT, trigger=Trigger.PRE_UPGRADE, reason="OperationLocked", message="by x"),
    schedule=ObservedSchedule(expression="@daily", time_zone="UTC", since=MOMENT),
    conditions=(
        Condition(
            type="BackupReady", status="False", reason="StorageDenied", message="denied",
            last_transition_time=MOMENT, observed_generation=3,
        ),
    ),
    observed_generation=3,
)  # fmt: skip


def test_our_own_status_is_stored_as_it_is_written(server: Server) -> None:
    """Every field of it, and of the lock."""
    assert [name for name in BackupStatus.__struct_fields__ if not getattr(OUR_STATUS, name)] == []
    lock = OperationLock(operation="Backup", holder="x", message="y", acquired_at=MOMENT, renewed_at=MOMENT)
    written = json.loads(msgspec.json.encode({"backup": OUR_STATUS, "operationLock": lock}))
    stored = with_status(server, document({"metadata.name": "our-status"}), written).json()["status"]
    assert stored == written
    assert msgspec.convert(stored["backup"], BackupStatus) == OUR_STATUS


def test_an_operation_that_nobody_knows_is_no_lock(server: Server) -> None:
    """One of Backup, Restore and Upgrade, as the existing operator has it."""
    what = document({"metadata.name": "wrong-lock"})
    answer = with_status(server, what, {"operationLock": {"operation": "Dance", "holder": "x"}})
    assert answer.status == 422
    assert "status.operationLock.operation" in answer.json()["message"]


# --- restores never change ---------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [
    {"spec.cluster": "other"},
    {S: {"latest": True}},
    {"spec.force": True},
    {"spec.jobTemplate": {"resources": {"limits": {"memory": "2Gi"}}}},
    {"spec.clusterTemplate": {"version": "2.7.1"}},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_restore_never_changes(server: Server, changes: dict[str, Any]) -> None:
    """Not in any field, those that are only kept among them; labels may."""
    first = {
        "metadata.name": "never-changes",
        S: {"key": KEY},
        "spec.jobTemplate": {"resources": {"limits": {"memory": "1Gi"}}},
        "spec.clusterTemplate": {"version": "2.7.0"},
    }
    what = restore_document(first)
    path = f"{collection(what)}/never-changes"
    server.plane.request("DELETE", path)
    assert server.create(what, keep=True).status == 201
    try:
        version = {
            "metadata.resourceVersion": server.plane.request("GET", path).json()["metadata"][
                "resourceVersion"
            ]
        }
        answer = server.plane.request("PUT", path, restore_document({**first, **version, **changes}))
        assert answer.status == 422
        assert "expected no change" in answer.json()["message"]
        labelled = restore_document({**first, **version, "metadata.labels": {"a": "b"}})
        assert server.plane.request("PUT", path, labelled).status == 200
    finally:
        server.plane.request("DELETE", path)


# --- what people see ---------------------------------------------------------------------------


def test_kubectl_shows_what_matters(server: Server) -> None:
    """By the short name: phase, schedule, last backup, failures, next slot; more with -o wide."""
    what = document({"metadata.name": "shown"})
    server.plane.request("DELETE", f"{collection(what)}/shown")
    created = server.create(what, keep=True).json()
    try:
        ready = {"type": "BackupReady", "status": "False", "reason": "StorageDenied", "message": "denied"}
        backup = {
            "lastBackupTime": "2020-11-22T02:00:00Z",
            "lastBackupName": KEY,
            "consecutiveFailures": 3,
            "nextScheduledBackup": "2999-11-23T02:00:00Z",
            "conditions": [{**ready, "lastTransitionTime": "2026-11-22T02:00:00Z"}],
        }
        status = {"phase": "Running", "backup": backup}
        server.plane.request("PUT", f"{collection(what)}/shown/status", {**created, "status": status})
        narrow = server.plane.kubectl("get", "baoc", "shown")
        wide = server.plane.kubectl("get", "bao", "shown", "-o", "wide")
        explained = server.plane.kubectl("explain", "openbaocluster.spec.backup.target.partSize")
    finally:
        server.plane.request("DELETE", f"{collection(what)}/shown")
    assert narrow.splitlines()[0].split() == [
        "NAME", "PHASE", "SCHEDULE", "LAST", "BACKUP", "FAILURES", "NEXT", "AGE",
    ]  # fmt: skip
    assert all(word in narrow for word in ("Running", "0 2 * * *", " 3 ", "2999-11-23T02:00:00Z"))
    assert KEY not in narrow
    assert "StorageDenied" in wide
    assert KEY in wide
    assert "Bytes of each part" in explained
