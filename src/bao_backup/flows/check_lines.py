"""The lines of a check as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bao_backup.core.check import Line, failed, skipped
from bao_backup.core.errors import BaoBackupError, InterruptedRunError
from bao_backup.flows.stop import Stop


class Lines:
    """What was found so far, in order."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self.all: list[Line] = []

    def add(self, line: Line) -> None:
        """One more."""
        self.all.append(line)

    def attempt(self, name: str, act: Callable[[], Line]) -> BaoBackupError | None:
        """Add the line that `act` gives, or that it failed; answers with what it failed with.

        Raises InterruptedRunError when the check must end.
        """
        self._stop.check()
        try:
            self.add(act())
        except InterruptedRunError:
            raise
        except BaoBackupError as error:
            self._stop.check()
            self.add(failed(name, error))
            return error
        return None

    def skip(self, names: Iterable[str], why: str) -> None:
        """Add lines that are not tried."""
        self.all += [skipped(name, why) for name in names]
