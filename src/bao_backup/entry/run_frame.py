"""What a backup and a restore have around them: signals, whatever goes wrong, and the result at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from bao_backup.adapters.system import keep_freed_memory
from bao_backup.core.errors import BaoBackupError, ConfigurationError, InternalError
from bao_backup.core.model import Result
from bao_backup.entry.result_file import leave_result
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock

#: Chunks are at most 1 MiB; what malloc keeps must be above that.
KEPT_BLOCK = 8 * 1024 * 1024


class Ending(Protocol):
    """How a run ended."""

    @property
    def result(self) -> Result:
        """What is written."""
        ...


E = TypeVar("E", bound=Ending)


def run_framed(
    run: Callable[[Clock, Stop], E],
    fail: Callable[[BaoBackupError, datetime, datetime], E],
    *,
    doing: str,
    result_file: Path | None,
    last: bool,
    clock: Clock,
) -> E:
    """Do one run, write its result where it is wanted, and answer with how it ended.

    A signal ends the run, and never keeps it from writing its result.

    Args:
        run: the run; the Stop is asked by signals, and has no deadline.
        fail: the end of a run that raised, with when it started and finished.
        doing: what it does, as errors say it: "back up".
        result_file: where its result goes.
        last: the process has nothing to do afterwards: a signal that comes later than the result
            changes nothing any more.
        clock: the time; `run` gets it.

    Raises ConfigurationError before anything was done when there is no folder for the result,
    InternalError when the result of a run that ended could not be written.
    """
    if result_file is not None and not result_file.parent.is_dir():
        raise ConfigurationError(f"write the result {result_file}", "there is no such folder")
    started = clock.now()
    keep_freed_memory(KEPT_BLOCK)
    with stopped_by_signals(last=last) as early:
        try:
            ended = run(clock, early)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            # Also what a library written in another language dies with: who waits gets a result.
            known = error if isinstance(error, BaoBackupError) else InternalError.unforeseen(doing, error)
            ended = fail(known, started, clock.now())
        if result_file is not None:
            leave_result(result_file, ended.result)
    return ended
