"""A cluster's document, status and lock as the API shows them, right or wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.statuses import json_values, locks, statuses, to_the_second
from tests.core.documents import document
from tests.core.spec_cases import WRONG

from bao_backup.adapters.kubernetes.known_cluster import KnownCluster, is_newer, read_backup_status
from bao_backup.adapters.kubernetes.names import MEMORY, TRIGGER
from bao_backup.adapters.kubernetes.status_patch import (
    OUR_FIELDS,
    lock_patch,
    memory_of,
    status_as_json,
)
from bao_backup.core.status import BackupStatus, OperationLock

Json = dict[str, Any]
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
FIELDS = {field.encode_name: field.name for field in msgspec.structs.fields(BackupStatus)}
#: What else is in an object the API server sees to.
WRONG_SPECS = [case for case in WRONG if all(path.startswith("spec") for path in case[1])]
OTHERS = BackupStatus(last_failure_reason="NoResult", consecutive_failures=3, last_attempt_time=NOW)


def body(changes: Json | None = None, *, status: Any = None, annotations: Json | None = None) -> Json:
    """An object as the API sends it."""
    metadata = {
        "name": "prod",
        "namespace": "vault",
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 3,
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    sent = document(changes) | {"metadata": metadata}
    return sent if status is None else sent | {"status": status}


def known(**given_: Any) -> KnownCluster:
    """The same, taken in."""
    return KnownCluster.of(body(**given_))


# --- status ------------------------------------------------------------------------------------


@given(statuses)
def test_a_status_is_read_as_it_was_written(status: BackupStatus) -> None:
    """Every field of it, with times to the second."""
    told = json.loads(json.dumps(status_as_json(status)))
    assert read_backup_status(told) == to_the_second(status)
    assert known(status={"backup": told}).read_status() == to_the_second(status)


@given(st.dictionaries(st.sampled_from(sorted(OUR_FIELDS)) | st.text(max_size=5), json_values))
def test_any_status_can_be_read(backup: Json) -> None:
    """Whatever somebody wrote there; and what it means is stable."""
    status = read_backup_status(backup)
    assert read_backup_status(status_as_json(status)) == to_the_second(status)


@pytest.mark.parametrize("field", sorted(OUR_FIELDS))
@settings(max_examples=10)
@given(status=statuses)
def test_a_broken_field_is_as_if_it_were_not_there(field: str, status: BackupStatus) -> None:
    """The others are kept."""
    broken = status_as_json(status) | {field: {"no": "such"}}
    expected = msgspec.structs.replace(
        to_the_second(status), **{FIELDS[field]: getattr(BackupStatus(), FIELDS[field])}
    )
    assert read_backup_status(broken) == expected


def test_several_broken_fields_are_left_out_one_by_one() -> None:
    """So that a status which another program wrote in part still means something."""
    told = status_as_json(OTHERS) | {"attempt": {"name": "x"}, "conditions": "none", "waiting": [1]}
    told |= {"lastBackupTime": "yesterday", "lastBackupSize": None, "later": {"than": "us"}}
    assert read_backup_status(told) == OTHERS


@pytest.mark.parametrize("status", [None, [], "x", 0, {}, {"backup": None}, {"backup": []}, {"backup": "x"}])
def test_without_a_status_there_is_none(status: Any) -> None:
    """Nobody wrote it, or not as an object."""
    assert known(status=status).read_status() == BackupStatus()
    assert known(status=status).read_lock() is None


# --- memory ------------------------------------------------------------------------------------


@given(statuses)
def test_the_memory_in_an_annotation_wins(status: BackupStatus) -> None:
    """It has all of the status, which may have had no room for some."""
    there = known(status={"backup": status_as_json(OTHERS)}, annotations={MEMORY: memory_of("u-1", status)})
    assert there.read_status() == to_the_second(status)


def test_the_memory_of_another_cluster_is_ignored() -> None:
    """An annotation is copied with the document, by whoever makes another cluster of it."""
    copied = {MEMORY: memory_of("another", BackupStatus(successful_backups=7))}
    assert known(annotations=copied).read_status() == BackupStatus()


@pytest.mark.parametrize(
    "memory",
    ["", "x", "[]", "null", '{"lastBackupTime":"x"}', '{"x":' + "[" * 50_000, "{", '{"attempt":{}}'],
    ids=lambda memory: memory[:20],
)
def test_a_broken_memory_is_ignored(memory: str) -> None:
    """Then the status says what people see."""
    there = known(status={"backup": status_as_json(OTHERS)}, annotations={MEMORY: memory})
    assert there.read_status() == OTHERS


# --- lock --------------------------------------------------------------------------------------


@given(locks)
def test_a_lock_is_read_as_it_was_written(lock: OperationLock) -> None:
    """Whoever holds it."""
    assert known(status={"operationLock": lock_patch({}, lock)}).read_lock() == to_the_second(lock)


@pytest.mark.parametrize(
    "lock",
    [
        {"operation": "Backup"},
        {"holder": "x"},
        {"operation": 1, "holder": "x"},
        {"operation": "Upgrade", "holder": "x", "acquiredAt": "yesterday"},
        "Upgrade",
        ["Upgrade"],
        True,
    ],
)
def test_a_lock_that_cannot_be_read_is_somebodys(lock: Any) -> None:
    """It is not ours, and not nobody's."""
    found = known(status={"operationLock": lock}).read_lock()
    assert found is not None
    assert (found.operation, found.holder) == ("unknown", "unknown")


@pytest.mark.parametrize("lock", [None, {}, ""])
def test_no_lock(lock: Any) -> None:
    """An empty one is nobody's."""
    assert known(status={"operationLock": lock}).read_lock() is None


# --- document ----------------------------------------------------------------------------------


def test_a_document_is_read() -> None:
    """With its name, uid and generation, and the status of its manager."""
    there = known(status={"phase": "Running"}, annotations={TRIGGER: "now"})
    found, problems = there.read_document()
    assert problems == ()
    assert found is not None
    assert (found.metadata.namespace, found.metadata.name, found.metadata.uid) == ("vault", "prod", "u-1")
    assert (there.uid, there.generation, there.version, there.trigger) == ("u-1", 3, "7", "now")
    assert found.status.phase == "Running"


@pytest.mark.parametrize(("changes", "problems"), WRONG_SPECS, ids=lambda case: str(case)[:60])
def test_a_wrong_document_has_its_problems(changes: Json, problems: Json) -> None:
    """Each with the field's path, and no document."""
    found, said = known(changes=changes).read_document()
    assert found is None
    assert {problem.path for problem in said} >= set(problems)


@pytest.mark.parametrize("spec", [[], "x", {"backup": []}])
def test_a_document_of_no_form_has_problems(spec: Any) -> None:
    """Nothing of it is a defect here."""
    found, said = KnownCluster.of(body() | {"spec": spec}).read_document()
    assert found is None
    assert said


# --- versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "other", "newer"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("b", "a", True), ("a", "b", True)],
)
def test_versions_are_compared_as_numbers(version: str, other: str, newer: bool) -> None:
    """Of those that are none, each other one is newer."""
    assert is_newer(version, other) is newer


def test_versions_that_are_no_numbers_and_equal() -> None:
    """The same one is not newer."""
    assert not is_newer("a", "a")
