"""The merge patches that make an object's status what was decided, and touch nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.adapters.statuses import json_objects, json_values, locks, statuses

from bao_backup.adapters.kubernetes.status_patch import (
    OUR_FIELDS,
    backup_patch,
    lacks,
    lock_patch,
    status_as_json,
)
from bao_backup.core.model import Trigger
from bao_backup.core.status import Attempt, BackupStatus, OperationLock

Json = dict[str, Any]
NOW = datetime(2026, 11, 22, 2, 0, 5, 999_999, tzinfo=UTC)

lacking_fields = st.just(frozenset[str]()) | st.frozensets(st.sampled_from(sorted(OUR_FIELDS)))
#: `status.backup` as anybody may have left it: of ours something right or wrong, and of others.
backups = (
    st.builds(lambda status, others: others | status_as_json(status), statuses, json_objects)
    | st.dictionaries(st.sampled_from(sorted(OUR_FIELDS)) | st.text(max_size=5), json_values, max_size=6)
    | json_values
)
raws = st.builds(lambda raw, backup: raw | {"backup": backup}, json_objects, backups) | json_objects


def apply(target: Any, patch: Any) -> Any:
    """The algorithm of RFC 7386, section 2, word for word."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = apply(target.get(name), value)
        return target
    return patch


def after(raw: Json, status: BackupStatus, lacking: frozenset[str]) -> Json:
    """The object's status when the change was sent, if there is one."""
    change = backup_patch(raw, status, lacking)
    merged: Json = apply(raw, {"backup": change} if change else {})
    return merged


def split(backup: object) -> tuple[Json, Json]:
    """What is ours in `status.backup`, and what is not."""
    found = backup if isinstance(backup, Mapping) else {}
    ours = {name: value for name, value in found.items() if name in OUR_FIELDS}
    return ours, {name: value for name, value in found.items() if name not in OUR_FIELDS}


@given(raws, statuses, lacking_fields)
def test_only_our_fields_become_what_was_decided(
    raw: Json, status: BackupStatus, lacking: frozenset[str]
) -> None:
    """Whatever was there: all that is ours is as wanted, and everything else is as it was."""
    result = after(raw, status, lacking)
    ours, others = split(result.get("backup"))
    assert ours == {name: value for name, value in status_as_json(status).items() if name not in lacking}
    assert others == split(raw.get("backup"))[1]
    assert {k: v for k, v in result.items() if k != "backup"} == {
        k: v for k, v in raw.items() if k != "backup"
    }


@given(raws, statuses, lacking_fields)
def test_no_patch_when_nothing_differs(raw: Json, status: BackupStatus, lacking: frozenset[str]) -> None:
    """What was sent once is not sent again."""
    assert backup_patch(after(raw, status, lacking), status, lacking) == {}


@given(raws, statuses, lacking_fields)
def test_what_has_no_room_is_never_sent(raw: Json, status: BackupStatus, lacking: frozenset[str]) -> None:
    """A field that the installed schema lacks gets no value."""
    change = backup_patch(raw, status, lacking)
    assert not [name for name in lacking if change.get(name) is not None]


@given(statuses, st.frozensets(st.sampled_from(sorted(OUR_FIELDS))))
def test_what_did_not_arrive_is_noticed(status: BackupStatus, pruned: frozenset[str]) -> None:
    """The fields that an answer lacks are those that were pruned; without them nothing is to be sent."""
    sent = status_as_json(status)
    raw = {"backup": {name: value for name, value in sent.items() if name not in pruned}, "phase": "Running"}
    assert lacks(raw, status) == pruned & set(sent)
    assert backup_patch(raw, status, lacks(raw, status)) == {}


@pytest.mark.parametrize("raw", [{}, {"backup": None}, {"backup": []}, {"backup": {}}])
def test_where_nothing_arrives_everything_lacks(raw: Json) -> None:
    """A schema without `status.backup` has room for nothing."""
    status = BackupStatus(last_attempt_time=NOW)
    assert lacks(raw, status) == {"consecutiveFailures", "lastAttemptTime"}


def test_a_patch_holds_what_differs_only() -> None:
    """One field inside of a part is one field of the patch; what is gone is null."""
    attempt = Attempt(
        name="a", key="k", slot=NOW, trigger=Trigger.SCHEDULED, accepted=NOW, retry_at=NOW, counted=True
    )
    old = BackupStatus(attempt=attempt, last_failure_reason="NoResult", consecutive_failures=1)
    new = BackupStatus(attempt=replace(attempt, number=2, retry_at=None), consecutive_failures=1)
    assert backup_patch({"backup": status_as_json(old)}, new, frozenset()) == {
        "attempt": {"number": 2, "retryAt": None},
        "lastFailureReason": None,
    }


@pytest.mark.parametrize(
    "moment",
    [NOW, NOW.replace(microsecond=0), NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))],
)
def test_times_are_told_to_the_second_and_in_utc(moment: datetime) -> None:
    """As Kubernetes' own types have them, wherever they come from."""
    attempt = Attempt(name="a", key="k", slot=moment, trigger=Trigger.MANUAL, accepted=moment)
    told = status_as_json(BackupStatus(last_attempt_time=moment, attempt=attempt))
    assert told["lastAttemptTime"] == told["attempt"]["slot"] == "2026-11-22T02:00:05Z"


def test_failures_are_always_told() -> None:
    """A table shows 0, not nothing."""
    assert status_as_json(BackupStatus()) == {"consecutiveFailures": 0}
    assert status_as_json(BackupStatus(consecutive_failures=2)) == {"consecutiveFailures": 2}


@given(raws, json_values, locks)
def test_a_lock_becomes_what_was_decided(raw: Json, there: Any, lock: OperationLock) -> None:
    """Whatever stood in its place; nothing else is touched."""
    raw = raw | {"operationLock": there}
    result = apply(raw, {"operationLock": lock_patch(raw, lock)})
    assert result["operationLock"]["operation"] == lock.operation
    assert lock_patch(result, lock) == {}
    assert {**result, "operationLock": there} == raw


@given(raws, locks)
def test_a_lock_is_taken_away(raw: Json, lock: OperationLock) -> None:
    """Only it."""
    locked = apply(raw, {"operationLock": lock_patch(raw, lock)})
    freed = apply(locked, {"operationLock": lock_patch(locked, None)})
    assert freed == {name: value for name, value in raw.items() if name != "operationLock"}
