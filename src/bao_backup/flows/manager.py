"""The manager's loop: looks at each cluster when it is due, or when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bao_backup.core.errors import BaoBackupError, InternalError
from bao_backup.core.wake import WakeTimes
from bao_backup.flows.manage import reconcile
from bao_backup.ports import Clock, Runtime

#: Every cluster is looked at so often even when nothing is said to have happened.
LOOK_AGAIN = timedelta(minutes=5)
#: After an error the cluster is tried again so soon, doubled each time up to the limit.
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)


class Manager:
    """Reconciles every cluster that it was told of; an error of one harms no other.

    Args:
        runtime: where documents, status and runs are.
        clock: the time.
        complain: told of each error, with the cluster's uid.
    """

    def __init__(
        self, runtime: Runtime, clock: Clock, complain: Callable[[str, BaoBackupError], None]
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._complain = complain
        self._wake = WakeTimes()
        self._known: set[str] = set()
        self._pauses: dict[str, timedelta] = {}
        self._changed = asyncio.Event()
        #: When the loop last went round.
        self.alive_at = clock.monotonic()

    def follow(self, uids: Iterable[str]) -> None:
        """These are all the clusters now; new ones are looked at soon, and gone ones no more."""
        wanted = set(uids)
        for uid in self._known - wanted:
            self._wake.set(uid, None)
            self._pauses.pop(uid, None)
        new = wanted - self._known
        self._known = wanted
        self.nudge(new)

    def nudge(self, uids: Iterable[str]) -> None:
        """Something happened to these: look at them soon."""
        for uid in uids:
            if uid in self._known:
                self._wake.bring_forward(uid, self._clock.now())
                self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set; the round under way is finished first."""
        while not stop.is_set():
            self.alive_at = self._clock.monotonic()
            self._changed.clear()
            for uid in self._wake.pop_due(self._clock.now()):
                if uid in self._known:
                    self._wake.bring_forward(uid, await self._look(uid))
            await self._rest(stop)

    async def _look(self, uid: str) -> datetime:
        now = self._clock.now()
        try:
            wake = await reconcile(self._runtime, self._clock, uid)
        except BaoBackupError as error:
            self._complain(uid, error)
        except Exception as error:  # noqa: BLE001 - one cluster's trouble must not end the others
            wrapped = InternalError(f"manage {uid}", type(error).__name__)
            wrapped.__cause__ = error
            self._complain(uid, wrapped)
        else:
            self._pauses.pop(uid, None)
            return min(wake, now + LOOK_AGAIN) if wake else now + LOOK_AGAIN
        pause = self._pauses.get(uid, FIRST_PAUSE)
        self._pauses[uid] = min(pause * 2, LONGEST_PAUSE)
        return now + pause

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait for the next moment, a nudge or the stop; at most a second, to be seen alive."""
        upcoming = self._wake.next()
        seconds = 1.0
        if upcoming is not None:
            seconds = min(max((upcoming - self._clock.now()).total_seconds(), 0.0), seconds)
        waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(stop.wait())]
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
