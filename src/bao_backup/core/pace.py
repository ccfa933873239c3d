"""A limit of bandwidth: how long to wait before the next bytes (a token bucket)."""

from __future__ import annotations


class Pace:
    """So many bytes a second on the average, and at most `burst` of them at once.

    It has no clock: times are seconds, from whatever instant, that never go back.
    """

    def __init__(self, rate: int, burst: int) -> None:
        """`rate` in bytes a second; `burst` in bytes, which may go at once after a rest."""
        self._rate = rate
        self._burst = burst
        #: How many bytes may go, below zero when more went than may; and when that was so.
        self._left = float(burst)
        self._at: float | None = None

    def wait_for(self, size: int, now: float) -> float:
        """Seconds to wait before `size` bytes may go. They count as gone from then on."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= size
        return max(0.0, -self._left / self._rate)
