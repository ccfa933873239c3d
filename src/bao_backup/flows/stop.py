"""How a run is told to end: by a signal, or by its own deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from bao_backup.core.errors import BaoBackupError, DeadlineError, InterruptedRunError
from bao_backup.ports import Clock


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
        # Of all ways to wake a thread only this queue's put may be used in a signal handler: an event's
        # lock may be held by the very thread that the signal interrupts.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._closers: list[Callable[[], None]] = []

    def ask(self, why: str) -> None:
        """End the run soon. Safe in a signal handler; the first reason stays."""
        if not self._asked:
            self._why = why
            self._asked = True
            self._bell.put(None)
        self.wake()

    def wake(self) -> None:
        """Call every closer, to end reads that block."""
        for close in tuple(self._closers):
            close()

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, not below 0; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock.monotonic())

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
        """Wait, but not past a signal or the deadline: those raise. For one thread at a time."""
        self.check()
        remaining = self.remaining
        with suppress(Empty):
            self._bell.get(timeout=seconds if remaining is None else min(seconds, remaining))
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
