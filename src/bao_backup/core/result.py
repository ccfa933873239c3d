"""Makes the result that an executor ends with, and keeps it small enough for Kubernetes."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from bao_backup.core.errors import BaoBackupError
from bao_backup.core.model import Outcome, Result, RetentionOutcome, Trigger
from bao_backup.core.receipt import Receipt

#: Kubernetes keeps 4,096 bytes of a termination message; this leaves room.
LARGEST_RESULT = 3500
LONGEST_MESSAGE = 1200
LONGEST_LINE = 300
MOST_LINES = 3


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


def failed(
    error: BaoBackupError,
    *,
    started: datetime,
    finished: datetime,
    key: str = "",
    slot: datetime | None = None,
    trigger: Trigger = Trigger.SCHEDULED,
    tries: int = 0,
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
    )


def encode_result(result: Result) -> bytes:
    """The result as JSON of at most 3,500 bytes: long texts are cut, and lists shortened."""
    body = msgspec.json.encode(result)
    if len(body) <= LARGEST_RESULT:
        return body
    retention = result.retention
    if retention is not None:
        retention = replace(retention, dropped=_few(retention.dropped), failed=_few(retention.failed))
    small = replace(
        result,
        message=_cut(result.message, LONGEST_MESSAGE),
        warnings=_few(result.warnings),
        retention=retention,
    )
    body = msgspec.json.encode(small)
    if len(body) > LARGEST_RESULT:
        # Escapes can make a text several times as long: then only what decides is kept.
        bare = replace(small, message=_cut(ascii(result.message), LONGEST_LINE), warnings=(), retention=None)
        body = msgspec.json.encode(bare)
    return body


def decode_result(body: bytes) -> Result | None:
    """The result that an executor wrote; None when there is none, or it is not one."""
    try:
        return msgspec.json.decode(body, type=Result)
    except msgspec.MsgspecError:
        return None


def _few(lines: tuple[str, ...]) -> tuple[str, ...]:
    few = tuple(_cut(line, LONGEST_LINE) for line in lines[:MOST_LINES])
    return few if len(lines) <= MOST_LINES else (*few, f"and {len(lines) - MOST_LINES} more")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
