"""Makes the result that an executor ends with, and keeps it small enough for Kubernetes."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from bao_backup.core.errors import BaoBackupError
from bao_backup.core.model import Outcome, Result, RetentionOutcome, Trigger
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_outcome import Restored
from bao_backup.core.storage import MAX_KEY_BYTES

#: Kubernetes keeps 4,096 bytes of a termination message; this leaves room.
LARGEST_RESULT = 3500


class _Room(NamedTuple):
    """How much room there is, in bytes of JSON, and in lines of each list."""

    message: int
    lines: int
    line: int


#: Tried one after the other until the result fits; the last one always does.
_ROOMS = (_Room(1200, 3, 300), _Room(1000, 3, 100), _Room(600, 1, 100), _Room(300, 0, 0))
#: A key has at most 1,024 bytes in every store, and each may need an escape.
_LONGEST_KEY = 2 * MAX_KEY_BYTES
_LONGEST_NAME = 100


def succeeded(
    receipt: Receipt,
    *,
    started: datetime,
    finished: datetime,
    tries: int,
    warnings: tuple[str, ...],
    retention: RetentionOutcome | None,
) -> Result:
    """The result of a run whose backup is proven, by the receipt that it wrote or found."""
    return Result(
        outcome=Outcome.SUCCEEDED,
        reason="BackupSucceeded",
        message=f"{receipt.key} is stored and proven",
        exit_code=0,
        key=receipt.key,
        size=receipt.size,
        sha256=receipt.sha256,
        started=receipt.started or started,
        finished=receipt.finished or finished,
        slot=receipt.slot,
        trigger=receipt.trigger or Trigger.SCHEDULED,
        tries=tries,
        raft_index=receipt.snapshot.index,
        raft_term=receipt.snapshot.term,
        server_version=receipt.cluster.server_version,
        verification=receipt.verification.level,
        retention=retention,
        warnings=warnings,
    )


def restored(done: Restored) -> Result:
    """The result of a restore that is done; size, digest and Raft position are the snapshot's."""
    return Result(
        outcome=Outcome.SUCCEEDED,
        reason="RestoreSucceeded",
        message="; ".join((f"{done.key} is restored to {done.namespace}/{done.name}", *done.next_steps)),
        exit_code=0,
        key=done.key,
        size=done.size,
        sha256=done.sha256,
        started=done.started,
        finished=done.finished,
        trigger=Trigger.MANUAL,
        tries=1,
        raft_index=done.raft_index,
        raft_term=done.raft_term,
        server_version=done.leader.version,
        warnings=done.warnings,
        safety_key=done.safety_key,
    )


def failed(  # noqa: PLR0913 - a result has so many fields that an error does not tell
    error: BaoBackupError,
    *,
    started: datetime,
    finished: datetime,
    key: str = "",
    slot: datetime | None = None,
    trigger: Trigger = Trigger.SCHEDULED,
    tries: int = 0,
    warnings: tuple[str, ...] = (),
    safety_key: str = "",
) -> Result:
    """The result of a run that ended in an error; its exit code and reason are the error's."""
    return Result(
        outcome=Outcome.FAILED,
        reason=error.reason,
        message=error.message,
        exit_code=error.exit_code,
        key=key,
        started=started,
        finished=finished,
        slot=slot,
        trigger=trigger,
        tries=tries,
        warnings=warnings,
        safety_key=safety_key,
    )


def encode_result(result: Result) -> bytes:
    """The result as JSON of at most 3,500 bytes: long texts are cut, and lists shortened."""
    whole = _Room(LARGEST_RESULT, LARGEST_RESULT, LARGEST_RESULT)
    for room in (whole, *_ROOMS):
        body = msgspec.json.encode(_shortened(result, room))
        if len(body) <= LARGEST_RESULT:
            return body
    # Two keys, each as long as any store allows: the way back is worth more than what its document says.
    return msgspec.json.encode(_shortened(replace(result, key=""), _ROOMS[-1]))


def decode_result(body: bytes) -> Result | None:
    """The result that an executor wrote; None when there is none, or it is not one."""
    try:
        return msgspec.json.decode(body, type=Result)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _shortened(result: Result, room: _Room) -> Result:
    retention = result.retention
    if retention is not None:
        dropped, failed = _few(retention.dropped, room), _few(retention.failed, room)
        retention = replace(
            retention,
            dropped=dropped,
            failed=failed,
            more_dropped=retention.dropped_count - len(dropped),
            more_failed=retention.failed_count - len(failed),
        )
    warnings = _few(result.warnings, room)
    missing = len(result.warnings) - len(warnings)
    return replace(
        result,
        reason=_cut(result.reason, _LONGEST_NAME),
        message=_cut(result.message, room.message),
        key=_whole_key(result.key),
        safety_key=_whole_key(result.safety_key),
        sha256=_cut(result.sha256, _LONGEST_NAME),
        server_version=_cut(result.server_version, _LONGEST_NAME),
        retention=retention,
        warnings=(*warnings, f"and {missing} more") if missing else warnings,
    )


def _whole_key(key: str) -> str:
    """A part of a key would be another key."""
    return key if _cut(key, _LONGEST_KEY) == key else ""


def _few(lines: tuple[str, ...], room: _Room) -> tuple[str, ...]:
    return tuple(_cut(line, room.line) for line in lines[: room.lines])


def _cut(text: str, size: int) -> str:
    """The text, or so much of it that its JSON and a mark of the cut have `size` bytes."""
    text = text[: size + 1].encode(errors="replace").decode()  # a file's name may hold half a character
    if _size(text) <= size:
        return text
    room = size - len("…".encode())
    kept = ""
    for character in text:
        room -= _size(character)
        if room < 0:
            break
        kept += character
    return kept + "…"


def _size(text: str) -> int:
    """Bytes of the text in JSON, without its quotes."""
    return len(msgspec.json.encode(text)) - 2
