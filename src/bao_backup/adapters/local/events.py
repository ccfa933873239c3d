"""What people were told of each cluster, newest last, in the manager's memory."""

from __future__ import annotations

from typing import NamedTuple

from bao_backup.adapters.local.database import Database

#: Events that are kept for each cluster.
KEPT_EVENTS = 200


class EventRow(NamedTuple):
    """Something that people were told."""

    time: str
    reason: str
    message: str
    warning: bool


class Events:
    """The table of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uid: str, event: EventRow) -> None:
        """Keep what people are told, and drop the oldest of it."""
        with self._database.transaction():
            self._database.change(
                "INSERT INTO event (uid, time, reason, message, warning) VALUES (?, ?, ?, ?, ?)",
                (uid, event.time, event.reason, event.message, int(event.warning)),
            )
            self._database.change(
                "DELETE FROM event WHERE uid = ?1 AND id <= (SELECT id FROM event WHERE uid = ?1"
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (uid, KEPT_EVENTS),
            )

    def newest(self, uid: str, most: int) -> list[EventRow]:
        """The newest events, oldest first."""
        rows = self._database.rows(
            "SELECT time, reason, message, warning FROM event WHERE uid = ? ORDER BY id DESC LIMIT ?",
            (uid, most),
        )
        return [
            EventRow(time, reason, message, bool(warning)) for time, reason, message, warning in rows[::-1]
        ]
