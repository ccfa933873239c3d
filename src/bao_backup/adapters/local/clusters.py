"""The clusters in the manager's memory: document, status, counters."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from bao_backup.adapters.local.database import Database, to_json
from bao_backup.core.model import Trigger
from bao_backup.core.status import BackupStatus, OperationLock

_COLUMNS = (
    "uid, namespace, name, state, document, generation, status, lock, version, succeeded, failed, dropped"
)


class ClusterState(StrEnum):
    """Whether a cluster has a document."""

    CONFIGURED = "configured"
    #: Its document was removed; a run of it may be under way still.
    LEAVING = "leaving"
    #: Nothing of it is under way any more. Its row stays, for when it comes back.
    GONE = "gone"


class ClusterRow(NamedTuple):
    """A cluster as the manager remembers it."""

    uid: str
    namespace: str
    name: str
    state: ClusterState
    #: The last valid document, as JSON; "{}" when there never was one.
    document: str
    generation: int
    status: BackupStatus
    lock: OperationLock | None
    version: int
    #: Runs that succeeded and failed, and backups that retention dropped: counted once each.
    succeeded: int
    failed: int
    dropped: int


class Clusters:
    """The table of clusters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_document(self, uid: str, namespace: str, name: str, document: str) -> None:
        """Remember the last valid document; its generation goes up when it changed."""
        with self._database.transaction():
            self._database.change(
                "INSERT INTO cluster (uid, namespace, name, state, document, generation, status, version)"
                " VALUES (?, ?, ?, 'configured', ?, 1, '{}', 1) ON CONFLICT (uid) DO UPDATE SET"
                " document = excluded.document, generation = generation + 1"
                " WHERE document != excluded.document",
                (uid, namespace, name, document),
            )

    def set_configured(self, configured: Iterable[str]) -> None:
        """These have documents now. Those that had one are leaving, and nobody's request waits for them."""
        wanted = set(configured)
        rows = self._database.rows("SELECT uid, state FROM cluster")
        come = [uid for uid, state in rows if uid in wanted and state != ClusterState.CONFIGURED]
        left = [uid for uid, state in rows if uid not in wanted and state == ClusterState.CONFIGURED]
        if not come and not left:
            return
        with self._database.transaction():
            for uid in come:
                self._set_state(uid, ClusterState.CONFIGURED)
            for uid in left:
                self._set_state(uid, ClusterState.LEAVING)
                self._database.change("DELETE FROM request WHERE uid = ? AND cleared = 0", (uid,))

    def set_gone(self, uid: str) -> None:
        """Nothing of this cluster is under way any more."""
        with self._database.transaction():
            self._set_state(uid, ClusterState.GONE)

    def _set_state(self, uid: str, state: ClusterState) -> None:
        self._database.change("UPDATE cluster SET state = ? WHERE uid = ?", (state.value, uid))

    def get(self, uid: str) -> ClusterRow | None:
        """The cluster, or None when it was never seen."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM cluster WHERE uid = ?", (uid,))  # noqa: S608 - no value is in it
        return _cluster(rows[0]) if rows else None

    def present(self) -> list[ClusterRow]:
        """All that are configured or leaving, by name."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM cluster WHERE state != 'gone' ORDER BY namespace, name"  # noqa: S608 - no value is in it
        )
        return [_cluster(row) for row in rows]

    def leaving(self) -> set[str]:
        """The uids of those whose document was removed and that are not gone yet."""
        return {uid for (uid,) in self._database.rows("SELECT uid FROM cluster WHERE state = 'leaving'")}

    def locked(self, holder: str | None = None) -> set[str]:
        """The uids of those whose operation lock somebody holds, or this holder."""
        rows = self._database.rows(
            "SELECT uid FROM cluster WHERE lock IS NOT NULL"
            " AND (?1 IS NULL OR json_extract(lock, '$.holder') = ?1)",
            (holder,),
        )
        return {uid for (uid,) in rows}

    def save(self, uid: str, version: int, status: BackupStatus, lock: OperationLock | None) -> bool:
        """Write status and lock over that version; False when it is not the newest any more.

        A request that this status accepts is tied to its run, for who waits for it.
        """
        with self._database.transaction():
            changed = self._database.change(
                "UPDATE cluster SET status = ?, lock = ?, version = version + 1"
                " WHERE uid = ? AND version = ?",
                (to_json(status), to_json(lock), uid, version),
            ).rowcount
            attempt = status.attempt
            if changed and status.accepted_trigger and attempt and attempt.trigger is Trigger.MANUAL:
                number = status.accepted_trigger.removeprefix("request-")
                self._database.change(
                    "UPDATE request SET run = ? WHERE uid = ? AND id = ? AND run IS NULL",
                    (attempt.name, uid, number),
                )
        return changed == 1


def _cluster(row: tuple[Any, ...]) -> ClusterRow:
    fields = dict(zip(ClusterRow._fields, row, strict=True))
    fields["state"] = ClusterState(fields["state"])
    fields["status"] = msgspec.json.decode(fields["status"], type=BackupStatus)
    if fields["lock"] is not None:
        fields["lock"] = msgspec.json.decode(fields["lock"], type=OperationLock)
    return ClusterRow(**fields)
