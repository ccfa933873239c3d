"""Places for runs: who asked first gets the next that is free."""

from __future__ import annotations

#: Who was called and did not come for so many seconds goes to the end of the queue.
TURN = 10.0


class Room:
    """How many runs may be under way at once, and who waits for a place.

    Nobody gets a place that somebody waits for who asked before: a cluster with a frequent schedule
    cannot keep others out. Who is called and cannot come delays the others by `TURN` at most.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        #: Who waits, the longest first, and when (monotonic) they were called.
        self._queue: dict[str, float | None] = {}

    def is_for(self, uid: str, taken: int) -> bool:
        """Whether `uid` may start a run now, when others have `taken` places."""
        before = list(self._queue).index(uid) if uid in self._queue else len(self._queue)
        return self._places - taken > before

    def enter(self, uid: str) -> None:
        """There was no place for `uid`: it waits."""
        self._queue.setdefault(uid, None)

    def leave(self, uid: str) -> None:
        """`uid` got its place, or does not want one any more."""
        self._queue.pop(uid, None)

    def call(self, taken: int, now: float) -> set[str]:
        """Whose turn it is now, and was not yet when this was asked last."""
        for uid, called in tuple(self._queue.items()):
            if called is not None and now - called > TURN:
                del self._queue[uid]
                self._queue[uid] = None
        first = list(self._queue)[: max(self._places - taken, 0)]
        fresh = {uid for uid in first if self._queue[uid] is None}
        self._queue.update(dict.fromkeys(fresh, now))
        return fresh
