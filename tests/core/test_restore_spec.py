"""OpenBaoRestore documents: defaults, rules, and whether a restore is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.documents import problems_of_restore, restore_document
from tests.core.restore_cases import KEY, RESTORE_NUMBERS, RIGHT_RESTORES, WRONG_RESTORES, S

from bao_backup.core.restore_spec import (
    OpenBaoRestore,
    RestorePhase,
    RestoreStatus,
    cluster_under_restore,
    parse_restore,
)

DEFAULTS: dict[str, Any] = {
    "source.target": None,
    "source.key": "",
    "source.before": None,
    "source.expected_digest": "",
    "source.expected_cluster_id": "",
    "source.expected_version": "",
    "source.expected_size": None,
    "jwt_auth_role": "",
    "token_secret": "",
    "auth": None,
    "image": "",
    "force": False,
    "override_operation_lock": False,
    "safety_backup": True,
    "active_deadline_seconds": 14_400,
    "job_template": None,
}


@pytest.mark.parametrize(("path", "expected"), DEFAULTS.items())
def test_a_field_that_is_not_set_has_its_default(path: str, expected: object) -> None:
    """The existing operator's where it has the field."""
    value: Any = parse_restore(restore_document(), strict=True).spec
    for name in path.split("."):
        value = getattr(value, name)
    assert value == expected


@pytest.mark.parametrize(("path", "least", "most"), RESTORE_NUMBERS)
def test_a_number_has_its_bounds(path: str, least: int, most: int) -> None:
    """Both ends are right, one beyond either is not."""
    for value in (least, most):
        assert problems_of_restore(restore_document({path: value})) == {}
    for wrong in (least - 1, most + 1):
        found = problems_of_restore(restore_document({path: wrong}))
        assert found == {path: f"expected a whole number from {least} to {most}"}


@pytest.mark.parametrize(("changes", "expected"), WRONG_RESTORES, ids=str)
def test_a_wrong_value_is_told_with_its_path(changes: dict[str, Any], expected: dict[str, str]) -> None:
    """Exactly those problems, no more."""
    found = problems_of_restore(restore_document(changes))
    assert set(found) == set(expected)
    assert all(part in found[path] for path, part in expected.items()), found


@pytest.mark.parametrize("changes", RIGHT_RESTORES, ids=str)
def test_a_right_document_survives_being_written_and_read(changes: dict[str, Any]) -> None:
    """Through JSON, by this reader and by msgspec's own, which knows the same types and bounds."""
    restore = parse_restore(restore_document(changes), strict=True)
    written = msgspec.json.encode(restore)
    assert parse_restore(msgspec.json.decode(written), strict=True) == restore
    assert msgspec.json.decode(written, type=OpenBaoRestore) == restore


def test_the_document_says_what_it_is() -> None:
    """A cluster's document is none, nor is one of another version."""
    assert set(problems_of_restore(restore_document({"kind": "OpenBaoCluster"}))) == {"kind"}
    assert set(problems_of_restore(restore_document({"apiVersion": "openbao.org/v1"}))) == {"apiVersion"}


def test_a_field_that_nobody_knows_is_named() -> None:
    """A slip of the pen would restore something else."""
    changed = restore_document({f"{S}.expectedDigset": "x"})
    assert "expectedDigest" in problems_of_restore(changed)[f"{S}.expectedDigset"]
    assert problems_of_restore(changed, strict=False) == {}


def test_fields_of_a_later_version_are_accepted_and_told() -> None:
    """But for the one that would spare the cluster: to ignore that one would do harm."""
    later = {"spec.targetLifecycle": "Disposable", "spec.cleanupAfterSeconds": 60}
    restore = parse_restore(restore_document(later), strict=True)
    assert restore.ignored == ("spec.targetLifecycle", "spec.cleanupAfterSeconds")
    assert parse_restore(restore_document(), strict=True).ignored == ()


# --- whether it is over ------------------------------------------------------------------------

OVER = {"phase": "Completed"}, {"phase": "Failed"}, {"phase": "Failed", "message": 5}
NOT_OVER: tuple[Any, ...] = (
    None,
    {},
    {"phase": ""},
    {"phase": "Pending"},
    {"phase": "Validating"},
    {"phase": "Running"},
    {"phase": "Unknown"},
    {"phase": "Rewinding"},
    {"phase": ["Completed"]},
    {"phase": None},
    "Completed",
    {"phase": "Running", "conditions": [5]},
)


@pytest.mark.parametrize("status", OVER, ids=str)
def test_a_restore_that_completed_or_failed_is_over(status: object) -> None:
    """It never runs again, and stands in nobody's way."""
    document = restore_document({"status": status})
    assert not parse_restore(document, strict=True).unfinished
    assert cluster_under_restore(document) == ""


@pytest.mark.parametrize("status", NOT_OVER, ids=str)
def test_any_other_restore_may_still_write(status: object) -> None:
    """Also one in a phase that nobody knows, or whose status cannot be read."""
    document = restore_document({"status": status})
    assert parse_restore(document, strict=True).unfinished
    assert cluster_under_restore(document) == "prod"


@pytest.mark.parametrize(
    ("status", "cluster"),
    [
        (None, ""),
        ({"phase": "Pending"}, ""),
        ({"phase": "Validating"}, ""),
        ({"phase": "Running"}, "prod"),
        ({"phase": "Unknown"}, "prod"),
        ({"phase": "Rewinding"}, "prod"),
        ({"phase": "Completed"}, ""),
    ],
)
def test_what_is_deleted_before_its_run_never_begins(status: object, cluster: str) -> None:
    """It stands in nobody's way, however long somebody's finalizer keeps it; one that has a run does."""
    document = restore_document({"status": status, "metadata.deletionTimestamp": "2026-11-26T02:00:00Z"})
    assert cluster_under_restore(document) == cluster


def test_a_wrong_document_may_be_under_way_all_the_same() -> None:
    """Another manager, which knows more than this one, may be carrying it out."""
    document = restore_document({"spec.clusterTemplate": {}, "status": {"phase": "Running"}})
    assert cluster_under_restore(document) == "prod"


def test_the_status_is_read() -> None:
    """All of its fields; null is the same as absent."""
    written: dict[str, Any] = {
        "phase": "Completed",
        "startTime": "2026-11-22T02:00:00Z",
        "completionTime": None,
        "snapshotKey": KEY,
        "snapshotSize": 5,
        "safetyBackupKey": "a/b",
        "reason": "RestoreSucceeded",
        "message": "done",
        "conditions": [],
        "target": {"of": "a later version"},
    }
    assert parse_restore(restore_document({"status": written}), strict=True).status == RestoreStatus(
        phase=RestorePhase.COMPLETED,
        start_time=datetime(2026, 11, 22, 2, tzinfo=UTC),
        snapshot_key=KEY,
        snapshot_size=5,
        safety_backup_key="a/b",
        reason="RestoreSucceeded",
        message="done",
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Completed", "prod"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(
    sorted({path for changes, _ in WRONG_RESTORES for path in changes} | {"status", "status.phase"})
)


@given(paths, anything)
def test_no_value_in_any_field_surprises_the_reader(path: str, value: object) -> None:
    """It is told by path, or accepted and survives being written and read."""
    changed = restore_document({path: value}) if path != "spec" else restore_document() | {"spec": value}
    assert isinstance(cluster_under_restore(changed), str)
    if not problems_of_restore(changed):
        restore = parse_restore(changed, strict=True)
        assert parse_restore(msgspec.to_builtins(restore), strict=True) == restore
