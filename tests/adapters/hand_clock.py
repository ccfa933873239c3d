"""A clock that goes on only by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 2, tzinfo=UTC)) -> None:
        self._now = start
        self._passed = 0.0

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._now + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds."""
        return 1000.0 + self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds
