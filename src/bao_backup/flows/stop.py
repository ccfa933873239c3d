"""How a run is told to end: by a signal, or by its own deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bao_backup.core.errors import BaoBackupError, DeadlineError, InterruptedRunError
from bao_backup.ports import Clock

#: A request to end is answered so soon while a run waits, in seconds.
LONGEST_NAP = 0.1


class Stop:
    """Asked at every chunk and in every wait; from any thread.

    Args:
        clock: for the deadline.
        seconds: how long the run may take from now on; None for as long as it takes.
    """

    def __init__(self, clock: Clock, seconds: float | None = None) -> None:
        self._clock = clock
        self._limit = seconds
        self._deadline = None if seconds is None else clock.monotonic() + seconds
        self._asked = False
        self._why = ""
        self._closers: list[Callable[[], None]] = []

    def ask(self, why: str) -> None:
        """End the run soon. Safe in a signal handler; the first reason stays."""
        if not self._asked:
            self._why = why
            self._asked = True
        self.wake()

    def follow(self, earlier: Stop) -> None:
        """What was asked of that one until now is asked of this one, which takes its place."""
        if earlier._asked:
            self.ask(earlier._why)

    def wake(self) -> None:
        """Call every closer, to end reads that block."""
        for close in tuple(self._closers):
            close()

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, not below 0; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock.monotonic())

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The time inside, which a person takes, does not count for the deadline; a request to end does."""
        begun, deadline = self._clock.monotonic(), self._deadline
        self._deadline = None
        try:
            yield
        finally:
            if deadline is not None:
                self._deadline = deadline + self._clock.monotonic() - begun

    def error(self) -> BaoBackupError | None:
        """Why the run must end now, or None."""
        if self._asked:
            return InterruptedRunError("run", self._why)
        if self.remaining == 0.0:
            return DeadlineError("run", f"its deadline of {self._limit:g} s passed")
        return None

    def check(self) -> None:
        """Raise InterruptedRunError or DeadlineError when the run must end."""
        error = self.error()
        if error is not None:
            raise error

    def wait(self, seconds: float) -> None:
        """Wait, but not past a signal or the deadline: those raise."""
        until = time.monotonic() + seconds
        self.check()
        # In short naps: a signal that comes just before a long one would be answered only after it,
        # and the lock of an event may be held by the very thread that the signal interrupts.
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LONGEST_NAP))
            self.check()

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """While inside, a request to end and the deadline also call `close`, to wake a blocked read."""
        self._closers.append(close)
        remaining = self.remaining
        alarm = threading.Timer(remaining, self.wake) if remaining is not None else None
        if alarm is not None:
            alarm.daemon = True
            alarm.start()
        try:
            yield
        finally:
            self._closers.remove(close)
            if alarm is not None:
                alarm.cancel()
