"""What executors say at their end, for tests of the manager's decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from bao_backup.core.model import Outcome, Result, RetentionOutcome
from bao_backup.core.observed import StartRun

SECOND = timedelta(seconds=1)


def result_of(run: StartRun, began: datetime, took: timedelta, reason: str = "", **more: Any) -> Result:
    """What the executor of a run says: it began 5 s late, and ended 5 s before anybody could look."""
    result = Result(
        outcome=Outcome.FAILED if reason else Outcome.SUCCEEDED,
        reason=reason or "BackupSucceeded",
        message=f"it failed: {reason}" if reason else "stored and proven",
        exit_code=4 if reason else 0,
        key=run.key,
        size=0 if reason else 123_456,
        sha256="" if reason else "ab" * 32,
        started=began + 5 * SECOND,
        finished=began + took - 5 * SECOND,
        slot=run.slot,
        trigger=run.trigger,
        raft_index=0 if reason else 77,
    )
    return replace(result, **more)


def retention(dropped: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> RetentionOutcome:
    """What retention did, with two kept."""
    return RetentionOutcome(kept=2, dropped=dropped, failed=failed)
