"""The manager's limit on runs at once: who has a place, and who waits for one."""

from __future__ import annotations

from collections.abc import Callable

from bao_backup.core.preflight import NO_ROOM
from bao_backup.core.status import BackupStatus


class Places:
    """A cluster has a place from when its attempt is written down until its end is.

    Args:
        most: how many there are; 0: no limit.
        changed: told the uid of each cluster that waits, when a place becomes free.
    """

    def __init__(self, most: int, changed: Callable[[str], None]) -> None:
        self._most = most
        self._changed = changed
        self._taken: set[str] = set()
        self._waiting: set[str] = set()

    def are_left_for(self, uid: str) -> bool:
        """Whether the cluster has a place, or may have one."""
        return not self._most or len(self._taken - {uid}) < self._most

    def see(self, uid: str, status: BackupStatus) -> None:
        """A run that is under way has its place, whoever gave it."""
        if status.attempt is not None and status.attempt.under_way:
            self._taken.add(uid)

    def settle(self, uid: str, status: BackupStatus) -> bool:
        """Take a place or give it back, as this status is about to say; False when none is left."""
        if status.waiting is not None and status.waiting.reason == NO_ROOM:
            self._waiting.add(uid)
        else:
            self._waiting.discard(uid)
        if status.attempt is not None and status.attempt.under_way:
            if uid not in self._taken and not self.are_left_for(uid):
                return False
            self._taken.add(uid)
        else:
            self._give_back(uid)
        return True

    def let_go(self, uid: str) -> None:
        """The cluster is gone."""
        self._waiting.discard(uid)
        self._give_back(uid)

    def _give_back(self, uid: str) -> None:
        if uid in self._taken:
            self._taken.discard(uid)
            for each in self._waiting:
                self._changed(each)
