"""The manager's loop: looks at each cluster, or restore, when it is due, or when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from zlib import crc32

from bao_backup.core.errors import BaoBackupError, InternalError
from bao_backup.core.wake import WakeTimes
from bao_backup.ports import Clock

#: Everything is looked at so often at least, even when nothing is said to have happened.
LOOK_AGAIN = timedelta(minutes=5)
#: Never sooner than this by itself, whatever the decision says.
SOONEST = timedelta(milliseconds=50)
#: After an error the cluster is tried again so soon, doubled each time up to the limit.
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
#: A clock that goes back by more than this was set.
SET_BACK = timedelta(seconds=1)


class Manager:
    """Looks at everything that it was told of; an error or a slow server of one harms no other.

    Args:
        look: does what is due for a uid, and answers when to look again (None: when told), as
            `reconcile` with its runtime. What a uid names, it alone knows.
        clock: the time.
        complain: told of each error, with the uid.
        at_once: how many are looked at at the same time; each only once at a time.
        longest_rest: the loop goes round so often, in seconds, though nothing is due: to be seen
            alive, and to see the clock being set.
    """

    def __init__(
        self,
        look: Callable[[str], Awaitable[datetime | None]],
        clock: Clock,
        complain: Callable[[str, BaoBackupError], None],
        *,
        at_once: int = 8,
        longest_rest: float = 1.0,
    ) -> None:
        self._due = look
        self._clock = clock
        self._complain = complain
        self._longest_rest = longest_rest
        self._wake = WakeTimes()
        self._known: set[str] = set()
        self._pauses: dict[str, timedelta] = {}
        self._at_once = at_once
        #: Those whose turn has come, and all that wait for it or are looked at.
        self._turns: asyncio.Queue[str] = asyncio.Queue()
        self._looking: set[str] = set()
        self._again: set[str] = set()
        self._changed = asyncio.Event()
        self._newest = clock.now()
        #: When the loop last went round.
        self.alive_at = clock.monotonic()
        #: How often it went round.
        self.rounds = 0

    def follow(self, uids: Iterable[str]) -> None:
        """These are all now; new ones are looked at soon, and gone ones no more."""
        wanted = set(uids)
        for uid in self._known - wanted:
            self.drop(uid)
        for uid in wanted - self._known:
            self.add(uid)

    def add(self, uid: str) -> None:
        """Look at this one soon, which may be new."""
        self._known.add(uid)
        self.nudge((uid,))

    def drop(self, uid: str) -> None:
        """This one is gone."""
        self._known.discard(uid)
        self._wake.set(uid, None)
        self._pauses.pop(uid, None)

    def nudge(self, uids: Iterable[str]) -> None:
        """Something happened to these: look at them soon."""
        for uid in uids:
            if uid in self._known:
                self._wake.bring_forward(uid, self._clock.now())
                self._changed.set()

    async def caught_up(self, step: float) -> None:
        """Wait until nobody waits for a look, or for so many seconds nobody's turn was over."""
        before = -1
        while not self.rounds or (self._looking and len(self._looking) != before):
            before = len(self._looking)
            await asyncio.sleep(step)

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set."""
        tasks = [asyncio.create_task(self._take_turns()) for _ in range(self._at_once)]
        tasks.append(asyncio.create_task(self._be_woken_by(stop)))
        try:
            while not stop.is_set():
                self.rounds += 1
                self.alive_at = self._clock.monotonic()
                self._see_whether_the_clock_was_set()
                self._changed.clear()
                for uid in self._wake.pop_due(self._clock.now()):
                    self._begin(uid)
                await self._rest()
        finally:
            # Harmless wherever it hits: the next look decides the same again.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _be_woken_by(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._changed.set()

    def _see_whether_the_clock_was_set(self) -> None:
        """What was to come in an hour comes now, if the clock went back by an hour."""
        now = self._clock.now()
        if now < self._newest - SET_BACK:
            for uid in self._known:
                self._wake.set(uid, now)
            self._newest = now
        self._newest = max(self._newest, now)

    def _begin(self, uid: str) -> None:
        if uid in self._looking:
            self._again.add(uid)
        else:
            self._looking.add(uid)
            self._turns.put_nowait(uid)

    async def _take_turns(self) -> None:
        while True:
            await self._take_turn(await self._turns.get())
            # A look may need no waiting at all: thousands in a row would let nothing else happen.
            await asyncio.sleep(0)

    async def _take_turn(self, uid: str) -> None:
        moment = self._clock.now()
        try:
            if uid in self._known:
                moment = await self._look(uid)
        finally:
            self._looking.discard(uid)
        if uid in self._again:
            self._again.discard(uid)
            moment = self._clock.now()
        if uid in self._known:
            self._wake.bring_forward(uid, moment)
            self._changed.set()

    async def _look(self, uid: str) -> datetime:
        """One look; answers when the next one is due."""
        now = self._clock.now()
        try:
            wake = await self._due(uid)
        except BaoBackupError as error:
            if uid in self._known:  # else it went while it was looked at
                self._complain(uid, error)
        except Exception as error:  # noqa: BLE001 - the trouble of one must not end the others
            wrapped = InternalError(f"manage {uid}", type(error).__name__)
            wrapped.__cause__ = error
            self._complain(uid, wrapped)
        else:
            self._pauses.pop(uid, None)
            again = now + _rest_of(uid)
            return max(min(wake, again), now + SOONEST) if wake else again
        pause = self._pauses.get(uid, FIRST_PAUSE)
        self._pauses[uid] = min(pause * 2, LONGEST_PAUSE)
        return self._clock.now() + pause

    async def _rest(self) -> None:
        """Wait for the next moment, or until something changes."""
        upcoming = self._wake.next()
        seconds = self._longest_rest
        if upcoming is not None:
            seconds = min(max((upcoming - self._clock.now()).total_seconds(), 0.0), seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _rest_of(uid: str) -> timedelta:
    """From half of LOOK_AGAIN to all of it, for each cluster its own.

    So the looks at thousands, which began all at once, soon come one by one, and no slot waits for them.
    """
    return LOOK_AGAIN * (0.5 + crc32(uid.encode()) / 2**33)
