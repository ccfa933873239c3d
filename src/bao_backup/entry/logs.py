"""The manager's log: one line an event, as text or as JSON. Never a secret: it is told none."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from bao_backup.core.errors import BaoBackupError, one_line

#: Seconds within which the same kind of a library's record is told once.
SAME_AGAIN_AFTER = 60.0


class Log:
    """Writes lines to a stream.

    Args:
        form: "text" or "json".
        verbose: also the details of errors.
        stream: standard error by default.
    """

    def __init__(self, form: str, *, verbose: bool = False, stream: TextIO | None = None) -> None:
        self._form = form
        self._verbose = verbose
        self._stream = stream or sys.stderr

    def say(
        self,
        message: str,
        *,
        cluster: str = "",
        reason: str = "",
        warning: bool = False,
        error: BaoBackupError | None = None,
    ) -> None:
        """One event; `reason` is for machines."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = "warning" if warning else "info"
        if self._form == "json":
            fields = {"time": time, "level": level, "cluster": cluster, "reason": reason}
            line = json.dumps({k: v for k, v in fields.items() if v} | {"message": one_line(message)})
        else:
            parts = (time, level.upper(), cluster, reason and f"{reason}:", one_line(message))
            line = " ".join(part for part in parts if part)
        if self._verbose and error is not None and error.__cause__ is not None:
            line += "\n" + "".join(traceback.format_exception(error.__cause__)).rstrip()
        with suppress(OSError):  # a log that is full or gone must not stop backups; events are kept, too
            print(line, file=self._stream, flush=True)

    def take_in(self, *libraries: str) -> None:
        """From now on the errors that these libraries log are lines of this log, and nothing else is."""
        for name in libraries:
            logger = logging.getLogger(name)
            logger.handlers = [_Lines(self)]
            logger.propagate = False
            logger.setLevel(logging.ERROR)


class _Lines(logging.Handler):
    """A library's record as a line; of one kind at most one a minute, since some are told at each try."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._told: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind = str(record.msg)
        if record.created - self._told.get(kind, 0.0) < SAME_AGAIN_AFTER:
            return
        self._told = {each: at for each, at in self._told.items() if record.created - at < SAME_AGAIN_AFTER}
        self._told[kind] = record.created
        # Only its words: what a library adds as a traceback may hold anything.
        self._log.say(record.getMessage(), reason="LibraryError", warning=True)
