"""What to send so that an object's status becomes what was decided: JSON merge patches (RFC 7386).

Only our own fields are ever in one: what others wrote beside them stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import msgspec

from bao_backup.adapters.kubernetes.api import Json
from bao_backup.core.restore_spec import RestoreStatus
from bao_backup.core.status import BackupStatus, OperationLock

#: Every field of `status.backup` that is ours, by its JSON name.
OUR_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(BackupStatus))
_FIELDS_OF_RESTORES = frozenset(field.encode_name for field in msgspec.structs.fields(RestoreStatus))
_ABSENT = object()


def status_as_json(status: BackupStatus) -> Json:
    """`status.backup`, with times to the second, as Kubernetes' own types have them.

    `consecutiveFailures` is always there, so that tables show a 0.
    """
    found = _plain(status)
    assert isinstance(found, dict)  # noqa: S101 - a struct is always an object
    return {"consecutiveFailures": 0} | found


def memory_of(uid: str, status: BackupStatus) -> str:
    """The whole status as one text: what an annotation holds where the status has no room for it.

    It names its cluster: an annotation is copied with the document, by whoever makes another of it.
    """
    return msgspec.json.encode({"uid": uid, "status": _plain(status)}).decode()


def backup_patch(raw: Mapping[str, Any], status: BackupStatus, lacking: AbstractSet[str]) -> Json:
    """The change from `status.backup` in `raw` (all of the status) to the wanted one; {}: none.

    Args:
        raw: `status` of the object.
        status: what `status.backup` is to say.
        lacking: fields of `status.backup` for which the installed schema has no room.
    """
    known = raw.get("backup")
    known = known if isinstance(known, Mapping) else {}
    wanted = {name: value for name, value in status_as_json(status).items() if name not in lacking}
    ours = {name: value for name, value in known.items() if name in OUR_FIELDS}
    return _difference(ours, wanted)


def restore_patch(raw: Mapping[str, Any], status: RestoreStatus, lacking: AbstractSet[str]) -> Json:
    """The change from `status` of a restore to the wanted one; {}: none. The phase is always there."""
    wanted = {name: value for name, value in _restore_as_json(status).items() if name not in lacking}
    return _difference({name: value for name, value in raw.items() if name in _FIELDS_OF_RESTORES}, wanted)


def restore_lacks(raw: Mapping[str, Any], status: RestoreStatus) -> frozenset[str]:
    """Which fields of a restore's status that was just sent did not arrive: the schema pruned them."""
    return frozenset(name for name in _restore_as_json(status) if name not in raw)


def _restore_as_json(status: RestoreStatus) -> Json:
    found = _plain(status)
    assert isinstance(found, dict)  # noqa: S101 - a struct is always an object
    return {"phase": str(status.phase)} | found


def lock_patch(raw: Mapping[str, Any], lock: OperationLock | None) -> Json | None:
    """The change that makes `lock` of the lock in `raw`; None takes it away."""
    locked = raw.get("operationLock")
    return None if lock is None else _difference(locked if isinstance(locked, Mapping) else {}, _plain(lock))


def lacks(raw: Mapping[str, Any], status: BackupStatus) -> frozenset[str]:
    """Which fields of a status that was just sent did not arrive: the schema pruned them."""
    known = raw.get("backup")
    known = known if isinstance(known, Mapping) else {}
    return frozenset(name for name in status_as_json(status) if name not in known)


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """The merge patch from `old` to `new`."""
    change: Json = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := _difference(before, value):
                change[name] = inner
        elif value != before:
            change[name] = value
    return change


def _plain(value: object) -> Any:
    """The value as JSON; times to the second."""
    return _seconds(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _seconds(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case dict():
            return {name: _seconds(each) for name, each in value.items()}
        case list() | tuple():
            return [_seconds(each) for each in value]
        case _:
            return value
