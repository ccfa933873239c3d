"""What every run is given beside its store and its server: the time, and somebody to tell."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, and waiting."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds, for durations and deadlines."""
        ...


class Reporter(Protocol):
    """Where a run says what it is doing: a terminal, a log, or nothing."""

    def say(self, words: str) -> None:
        """One thing that happened, or begins, in words."""
        ...

    def moved(self, size: int) -> None:
        """How many bytes went through so far, in this try; called for each chunk, so be quick."""
        ...
