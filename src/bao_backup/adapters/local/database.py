"""The manager's memory: one SQLite file, in WAL mode, safe against a crash at any moment.

Every change is one transaction, on disk when it returns. Other processes (`trigger`, `status`) open
the same file. What is in it: `clusters.py`, `runs.py`, `requests.py`, `events.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bao_backup.core.errors import BaoBackupError, ConfigurationError, InternalError

#: The file's name in the state folder.
DATABASE = "state.db"

_FIRST = """
CREATE TABLE cluster (
  uid TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
  document TEXT NOT NULL, generation INTEGER NOT NULL,
  status TEXT NOT NULL, lock TEXT, version INTEGER NOT NULL,
  succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX locked_cluster ON cluster (uid) WHERE lock IS NOT NULL;
CREATE TABLE run (
  uid TEXT NOT NULL, name TEXT NOT NULL, begun TEXT NOT NULL,
  deadline REAL NOT NULL, started INTEGER NOT NULL, forgotten INTEGER NOT NULL DEFAULT 0, result TEXT,
  PRIMARY KEY (uid, name)
) STRICT;
CREATE INDEX open_run ON run (uid) WHERE forgotten = 0;
CREATE TABLE request (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, asked TEXT NOT NULL,
  cleared INTEGER NOT NULL DEFAULT 0, run TEXT, result TEXT
) STRICT;
CREATE INDEX request_of ON request (uid, id);
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, time TEXT NOT NULL,
  reason TEXT NOT NULL, message TEXT NOT NULL, warning INTEGER NOT NULL
) STRICT;
CREATE INDEX event_of ON event (uid, id);
CREATE TABLE complaint (words TEXT NOT NULL) STRICT;
"""
#: What brings the file from each version of its schema to the next; it begins empty, with 0.
_UPGRADES = (_FIRST,)
SCHEMA_VERSION = len(_UPGRADES)


class Database:
    """The open file. One thread uses it.

    Raises ConfigurationError when it cannot be opened, or a newer version of this program wrote it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=10.0)
        except sqlite3.Error as error:
            raise _not_opened(file, error) from error
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._upgrade()
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error | InternalError):
                raise _not_opened(file, error) from error
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _upgrade(self) -> None:
        if self._schema_version() == SCHEMA_VERSION:
            return
        with self.transaction():
            found = self._schema_version()
            if found > SCHEMA_VERSION:
                raise ConfigurationError(
                    f"open the manager's state {self.file}",
                    f"its schema is version {found}, this bao-backup knows up to {SCHEMA_VERSION}",
                    hint="use the bao-backup that wrote it, or a newer one",
                )
            for upgrade in _UPGRADES[found:]:
                for statement in upgrade.split(";"):
                    self.change(statement)
            self.change(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _schema_version(self) -> int:
        version: int = self.rows("PRAGMA user_version")[0][0]
        return version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside become real together, at the end, or none of them does."""
        try:
            self.change("BEGIN IMMEDIATE")
            yield
            self.change("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def change(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Execute a statement that changes something."""
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise InternalError(
                f"write the manager's state {self.file}", str(error), hint="check its disk for space"
            ) from error

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All that a query finds."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise InternalError(
                f"read the manager's state {self.file}", str(error), hint="check its disk"
            ) from error

    @property
    def data_version(self) -> int:
        """Changes whenever another process has written."""
        version: int = self.rows("PRAGMA data_version")[0][0]
        return version

    # --- what is wrong with files --------------------------------------------------------------

    def put_complaints(self, complaints: tuple[str, ...]) -> None:
        """Remember what is wrong with the configuration's files, in place of what was."""
        if self.complaints() != complaints:
            with self.transaction():
                self.change("DELETE FROM complaint")
                for words in complaints:
                    self.change("INSERT INTO complaint (words) VALUES (?)", (words,))

    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the configuration's files."""
        return tuple(words for (words,) in self.rows("SELECT words FROM complaint ORDER BY rowid"))


def to_json(value: Any) -> str | None:
    """A value as it is stored; None stays None."""
    return None if value is None else msgspec.json.encode(value).decode()


def _not_opened(file: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"open the manager's state {file}",
        error.why if isinstance(error, BaoBackupError) else str(error),
        hint="check the folder's permissions and disk; a damaged file can be moved away (leave the folder "
        "runs): backups stay, and the status is built anew",
    )
