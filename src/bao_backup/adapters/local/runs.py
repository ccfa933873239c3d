"""The runs in the manager's memory: which were begun, and which of them are not in the status yet."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from bao_backup.adapters.local.database import Database, to_json
from bao_backup.core.model import Result


class RunRow(NamedTuple):
    """A run whose end is not in the status yet."""

    uid: str
    name: str
    begun: datetime
    #: After so many seconds, and some more, it is ended from outside.
    deadline: float
    #: A process was really started for it.
    started: bool


class Runs:
    """The table of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uid: str, name: str, begun: datetime, deadline: float) -> RunRow | None:
        """Note that a run begins, unless one of that name is known; None when that one has ended."""
        with self._database.transaction():
            self._database.change(
                "INSERT OR IGNORE INTO run (uid, name, begun, deadline, started) VALUES (?, ?, ?, ?, 0)",
                (uid, name, begun.isoformat(), deadline),
            )
        return next((row for row in self.open(uid) if row.name == name), None)

    def mark_started(self, uid: str, name: str) -> None:
        """A process was started for the run."""
        with self._database.transaction():
            self._database.change("UPDATE run SET started = 1 WHERE uid = ? AND name = ?", (uid, name))

    def open(self, of: str | None = None) -> list[RunRow]:
        """The runs whose end is not in the status yet, of one cluster or of all."""
        rows = self._database.rows(
            "SELECT uid, name, begun, deadline, started FROM run"
            " WHERE forgotten = 0 AND (uid = ?1 OR ?1 IS NULL) ORDER BY begun, name",
            (of,),
        )
        return [
            RunRow(uid, name, datetime.fromisoformat(begun), deadline, bool(started))
            for uid, name, begun, deadline, started in rows
        ]

    def names(self) -> list[tuple[str, str]]:
        """Cluster and name of every run that is known: open ones and history."""
        return [(uid, name) for uid, name in self._database.rows("SELECT uid, name FROM run")]

    def forget(self, uid: str, name: str, result: Result, keep: int, *, counts: bool = True) -> list[str]:
        """The run's end is in the status: count it, once, and tell who asked for it.

        Not with `counts` False, as for checks. Answers with the runs that leave the history of `keep`.
        """
        dropped = result.retention.dropped_count if result.retention else 0
        told = to_json(result)
        with self._database.transaction():
            changed = self._database.change(
                "UPDATE run SET forgotten = 1, result = ? WHERE uid = ? AND name = ? AND forgotten = 0",
                (told, uid, name),
            ).rowcount
            if changed and counts:
                self._database.change(
                    "UPDATE cluster SET succeeded = succeeded + ?, failed = failed + ?, dropped = dropped + ?"
                    " WHERE uid = ?",
                    (int(result.succeeded), int(not result.succeeded), dropped, uid),
                )
                self._database.change(
                    "UPDATE request SET result = ? WHERE uid = ? AND run = ?", (told, uid, name)
                )
            old = self._database.rows(
                "SELECT name FROM run WHERE uid = ? AND forgotten = 1 ORDER BY begun DESC, name DESC"
                " LIMIT -1 OFFSET ?",
                (uid, keep),
            )
            for (gone,) in old:
                self._database.change("DELETE FROM run WHERE uid = ? AND name = ?", (uid, gone))
        return [gone for (gone,) in old]
