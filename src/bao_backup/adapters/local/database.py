"""The manager's memory: one SQLite file, in WAL mode, safe against a crash at any moment.

Every change is one transaction. A status is written only over the version that it was made from.
Other processes (`trigger`, `status`) open the same file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.model import Result
from bao_backup.core.status import BackupStatus, OperationLock

SCHEMA_VERSION = 1
#: Events that are kept for each cluster.
KEPT_EVENTS = 200

_SCHEMA = """
CREATE TABLE cluster (
  uid TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL,
  document TEXT NOT NULL, generation INTEGER NOT NULL,
  status TEXT NOT NULL, lock TEXT, version INTEGER NOT NULL,
  succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE run (
  uid TEXT NOT NULL, name TEXT NOT NULL, begun TEXT NOT NULL,
  deadline REAL NOT NULL, started INTEGER NOT NULL, forgotten INTEGER NOT NULL DEFAULT 0, result TEXT,
  PRIMARY KEY (uid, name)
) STRICT;
CREATE TABLE request (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, asked TEXT NOT NULL
) STRICT;
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, time TEXT NOT NULL,
  reason TEXT NOT NULL, message TEXT NOT NULL, warning INTEGER NOT NULL
) STRICT;
CREATE INDEX event_of ON event (uid, id);
CREATE INDEX open_run ON run (uid) WHERE forgotten = 0;
"""


class ClusterRow(NamedTuple):
    """A cluster as the database knows it."""

    uid: str
    namespace: str
    name: str
    #: The last valid document, as JSON.
    document: str
    generation: int
    status: BackupStatus
    lock: OperationLock | None
    version: int
    succeeded: int
    failed: int
    dropped: int


class RunRow(NamedTuple):
    """A run that is not forgotten yet."""

    uid: str
    name: str
    begun: datetime
    #: Seconds after `begun` at which it is ended from outside.
    deadline: float
    #: A process was really started for it.
    started: bool


class EventRow(NamedTuple):
    """Something that people were told."""

    time: str
    reason: str
    message: str
    warning: bool


class Database:
    """The open file. One thread uses it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=10.0)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"open the manager's state {file}",
                str(error),
                hint="check the folder's permissions; a damaged file can be moved away: backups stay, "
                "and the status is built anew",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _migrate(self) -> None:
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        with self._transaction():
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif found != SCHEMA_VERSION:
                raise ConfigurationError(
                    f"open the manager's state {self._file}",
                    f"its schema is version {found}, known is {SCHEMA_VERSION}",
                    hint="use the bao-backup that wrote it, or a newer one",
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise InternalError(
                f"write the manager's state {self._file}", str(error), hint="check its disk for space"
            ) from error

    @property
    def data_version(self) -> int:
        """Changes whenever another process has written."""
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    # --- clusters ------------------------------------------------------------------------------

    def put_document(self, uid: str, namespace: str, name: str, document: str) -> None:
        """Remember the valid document; its generation goes up when it changed."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO cluster (uid, namespace, name, document, generation, status, version)"
                " VALUES (?, ?, ?, ?, 1, '{}', 1) ON CONFLICT (uid) DO UPDATE SET"
                " document = excluded.document, generation = generation + 1"
                " WHERE document != excluded.document",
                (uid, namespace, name, document),
            )

    def cluster(self, uid: str) -> ClusterRow | None:
        """The cluster, or None when it was never seen."""
        return next(iter(self.clusters(uid)), None)

    def clusters(self, uid: str | None = None) -> list[ClusterRow]:
        """All that were ever seen, by name; or the one of that uid."""
        rows = self._connection.execute(
            "SELECT uid, namespace, name, document, generation, status, lock, version, succeeded, failed,"
            " dropped FROM cluster WHERE uid = ?1 OR ?1 IS NULL ORDER BY namespace, name",
            (uid,),
        )
        return [_cluster(row) for row in rows]

    def save(self, uid: str, version: int, status: BackupStatus, lock: OperationLock | None) -> bool:
        """Write status and lock over that version; False when it is not the newest any more."""
        with self._transaction():
            changed = self._connection.execute(
                "UPDATE cluster SET status = ?, lock = ?, version = version + 1"
                " WHERE uid = ? AND version = ?",
                (_json(status), _json(lock) if lock else None, uid, version),
            ).rowcount
        return changed == 1

    # --- runs ----------------------------------------------------------------------------------

    def add_run(self, uid: str, name: str, begun: datetime, deadline: float) -> None:
        """Note that a run begins, unless one of that name is known."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO run (uid, name, begun, deadline, started) VALUES (?, ?, ?, ?, 0)",
                (uid, name, begun.isoformat(), deadline),
            )

    def mark_started(self, uid: str, name: str) -> None:
        """A process was started for the run."""
        with self._transaction():
            self._connection.execute("UPDATE run SET started = 1 WHERE uid = ? AND name = ?", (uid, name))

    def open_runs(self, of: str | None = None) -> list[RunRow]:
        """The runs whose end is not in the status yet, of one cluster or of all."""
        rows = self._connection.execute(
            "SELECT uid, name, begun, deadline, started FROM run"
            " WHERE forgotten = 0 AND (uid = ?1 OR ?1 IS NULL) ORDER BY begun, name",
            (of,),
        )
        return [
            RunRow(uid, name, datetime.fromisoformat(begun), deadline, bool(started))
            for uid, name, begun, deadline, started in rows
        ]

    def has_run(self, uid: str, name: str) -> bool:
        """Whether a run of that name was begun, whatever became of it."""
        query = "SELECT 1 FROM run WHERE uid = ? AND name = ?"
        return self._connection.execute(query, (uid, name)).fetchone() is not None

    def forget_run(self, uid: str, name: str, result: Result | None, keep: int) -> list[str]:
        """The run's end is in the status: count it, once; answers with the runs that leave the history."""
        succeeded = result is not None and result.succeeded
        dropped = result.retention.dropped_count if result and result.retention else 0
        with self._transaction():
            changed = self._connection.execute(
                "UPDATE run SET forgotten = 1, result = ? WHERE uid = ? AND name = ? AND forgotten = 0",
                (_json(result) if result else None, uid, name),
            ).rowcount
            if changed:
                self._connection.execute(
                    "UPDATE cluster SET succeeded = succeeded + ?, failed = failed + ?, dropped = dropped + ?"
                    " WHERE uid = ?",
                    (int(succeeded), int(not succeeded), dropped, uid),
                )
            old = self._connection.execute(
                "SELECT name FROM run WHERE uid = ? AND forgotten = 1 ORDER BY begun DESC, name DESC"
                " LIMIT -1 OFFSET ?",
                (uid, keep),
            ).fetchall()
            for (gone,) in old:
                self._connection.execute("DELETE FROM run WHERE uid = ? AND name = ?", (uid, gone))
        return [gone for (gone,) in old]

    # --- requests and events -------------------------------------------------------------------

    def ask(self, uid: str) -> str:
        """Ask for a manual run; answers with the request's value."""
        with self._transaction():
            asked = datetime.now(UTC).isoformat()
            row = self._connection.execute("INSERT INTO request (uid, asked) VALUES (?, ?)", (uid, asked))
            return f"request-{row.lastrowid}"

    def oldest_request(self, uid: str) -> str:
        """The value of the request that waits longest; empty when none does."""
        query = "SELECT id FROM request WHERE uid = ? ORDER BY id LIMIT 1"
        row = self._connection.execute(query, (uid,)).fetchone()
        return f"request-{row[0]}" if row else ""

    def clear_request(self, uid: str, value: str) -> None:
        """The request was accepted."""
        with self._transaction():
            number = value.removeprefix("request-")
            self._connection.execute("DELETE FROM request WHERE uid = ? AND id = ?", (uid, number))

    def add_event(self, uid: str, event: EventRow) -> None:
        """Keep what people are told, and drop the oldest of it."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO event (uid, time, reason, message, warning) VALUES (?, ?, ?, ?, ?)",
                (uid, event.time, event.reason, event.message, int(event.warning)),
            )
            self._connection.execute(
                "DELETE FROM event WHERE uid = ?1 AND id <= (SELECT id FROM event WHERE uid = ?1"
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (uid, KEPT_EVENTS),
            )

    def events(self, uid: str, most: int) -> list[EventRow]:
        """The newest events, oldest first."""
        rows = self._connection.execute(
            "SELECT time, reason, message, warning FROM event WHERE uid = ? ORDER BY id DESC LIMIT ?",
            (uid, most),
        ).fetchall()
        return [EventRow(row[0], row[1], row[2], bool(row[3])) for row in reversed(rows)]


def _cluster(row: tuple[Any, ...]) -> ClusterRow:
    fields = dict(zip(ClusterRow._fields, row, strict=True))
    fields["status"] = msgspec.json.decode(fields["status"], type=BackupStatus)
    if fields["lock"] is not None:
        fields["lock"] = msgspec.json.decode(fields["lock"], type=OperationLock)
    return ClusterRow(**fields)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
