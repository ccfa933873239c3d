"""When to look at which cluster again: one heap for all of them."""

from __future__ import annotations

import heapq
from datetime import datetime


class WakeTimes:
    """One moment for each name at most; setting a new one replaces the old."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._moments: dict[str, datetime] = {}

    def set(self, name: str, moment: datetime | None) -> None:
        """Look at `name` at that moment, and at no other; None: not by itself."""
        if moment is None:
            self._moments.pop(name, None)
        else:
            self._moments[name] = moment
            heapq.heappush(self._heap, (moment, name))

    def bring_forward(self, name: str, moment: datetime) -> None:
        """Look at `name` at that moment, unless it is earlier anyway."""
        known = self._moments.get(name)
        if known is None or moment < known:
            self.set(name, moment)

    def pop_due(self, now: datetime) -> list[str]:
        """The names whose moment has come, earliest first; each is forgotten by this."""
        due = []
        while (first := self._first()) is not None and first[0] <= now:
            heapq.heappop(self._heap)
            del self._moments[first[1]]
            due.append(first[1])
        return due

    def next(self) -> datetime | None:
        """The earliest moment, or None."""
        first = self._first()
        return first[0] if first else None

    def _first(self) -> tuple[datetime, str] | None:
        while self._heap:
            moment, name = self._heap[0]
            if self._moments.get(name) == moment:
                return moment, name
            heapq.heappop(self._heap)  # replaced or dropped since
        return None
