"""People's requests for manual runs, in the manager's memory: what became of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from bao_backup.adapters.local.database import Database
from bao_backup.core.model import Result
from bao_backup.core.result import decode_result

#: Requests that are done stay known for so many more of the same cluster.
KEPT_REQUESTS = 100


class RequestRow(NamedTuple):
    """A request."""

    #: The run that it led to; empty while it waits.
    run: str
    #: How that run ended; None while it is not known.
    result: Result | None


class Requests:
    """The table of requests. A request's value is "request-" and a number that no other ever has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, uid: str) -> str:
        """Ask for a manual run; answers with the request's value."""
        with self._database.transaction():
            asked = datetime.now(UTC).isoformat()
            row = self._database.change("INSERT INTO request (uid, asked) VALUES (?, ?)", (uid, asked))
            self._database.change(
                "DELETE FROM request WHERE uid = ?1 AND result IS NOT NULL AND id <= (SELECT id FROM request"
                " WHERE uid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (uid, KEPT_REQUESTS),
            )
        return f"request-{row.lastrowid}"

    def oldest(self, uid: str) -> str:
        """The value of the request that waits longest; empty when none does."""
        query = "SELECT id FROM request WHERE uid = ? AND cleared = 0 ORDER BY id LIMIT 1"
        rows = self._database.rows(query, (uid,))
        return f"request-{rows[0][0]}" if rows else ""

    def waiting(self) -> set[str]:
        """The uids of the clusters that a request waits for."""
        return {uid for (uid,) in self._database.rows("SELECT DISTINCT uid FROM request WHERE cleared = 0")}

    def clear(self, uid: str, value: str) -> None:
        """The request was accepted."""
        with self._database.transaction():
            number = value.removeprefix("request-")
            self._database.change("UPDATE request SET cleared = 1 WHERE uid = ? AND id = ?", (uid, number))

    def get(self, uid: str, value: str) -> RequestRow | None:
        """What became of it; None when it was dropped, since its cluster has no document any more."""
        number = value.removeprefix("request-")
        rows = self._database.rows("SELECT run, result FROM request WHERE uid = ? AND id = ?", (uid, number))
        if not rows:
            return None
        run, result = rows[0]
        return RequestRow(run or "", decode_result(result.encode()) if result else None)
