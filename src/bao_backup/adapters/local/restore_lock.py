"""The operation lock of a restore by command, in the memory of the manager beside which it runs.

The lock itself is in the cluster's row, where the manager sees it. Whether its holder lives is told by a
claim in the state folder, which ends with the process, whatever ends that: so a lock that a killed
command left is known for what it is, by the manager and by the next command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bao_backup.adapters.local.clusters import ClusterRow, Clusters
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.holding import manager_runs
from bao_backup.adapters.local.run_folder import RunFolder, cluster_folder_name, hold_claim
from bao_backup.core.connection import parse_address
from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.core.from_document import addresses_of
from bao_backup.core.operation_lock import restore_holder, restore_holding
from bao_backup.core.spec import OpenBaoCluster, parse_cluster
from bao_backup.core.status import LOCK_HOLDER, OperationLock

#: A manager may write a cluster's row between our look at it and our own write.
TRIES = 20


class Overwritten(NamedTuple):
    """What a restore overwrites."""

    namespace: str
    name: str
    #: URLs of its servers.
    addresses: tuple[str, ...]
    #: The cluster that a document describes: found by its name, too. Else by its servers alone.
    by_name: bool


def restore_claim(state: Path, uid: str) -> RunFolder:
    """What the process that restores this cluster holds, as a run holds its own."""
    return RunFolder(state / "restores" / cluster_folder_name(uid))


def is_left(state: Path, uid: str, lock: OperationLock | None) -> bool:
    """Whether it is the lock of a restore by command whose process is gone."""
    return bool(restore_holding(lock)) and not restore_claim(state, uid).is_claimed()


class RestoreLocks:
    """The locks of the clusters that a restore overwrites; more than one document may describe them.

    Args:
        state: the manager's folder; without a memory in it there is nothing to lock.
        overwritten: what the restore overwrites.
    """

    def __init__(self, state: Path, overwritten: Overwritten) -> None:
        self._state = state
        self._overwritten = overwritten
        self._doing = f"restore {overwritten.namespace}/{overwritten.name}"

    def check(self) -> int:
        """Look whether the locks could be taken now; answers with how many there are.

        Raises ConfigurationError, which says who hinders it.
        """
        if not self._is_there():
            return 0
        with closing(Database(self._state / DATABASE)) as database:
            rows = self._rows(Clusters(database))
        for row in rows:
            if restore_claim(self._state, row.uid).is_claimed():
                raise self._restored_already(row.uid)
            self._check(row)
        return len(rows)

    def under_way(self) -> str:
        """Who restores into one of them now: "the process 12"; empty where nobody does. Takes nothing.

        Raises ConfigurationError where the manager's memory cannot be read.
        """
        if not self._is_there():
            return ""
        with closing(Database(self._state / DATABASE)) as database:
            rows = self._rows(Clusters(database))
        claims = (restore_claim(self._state, row.uid) for row in rows)
        claim = next((claim for claim in claims if claim.is_claimed()), None)
        if claim is None:
            return ""
        pid = claim.claimed_by()
        return f"the process {pid}" if pid else "another process"

    @contextmanager
    def hold(self, now: datetime) -> Iterator[None]:
        """Hold them while inside; `now` is when. Raises ConfigurationError, which says who hinders it.

        They are given back at the end; where that fails, they are known as left once the claim is closed.
        """
        if not self._is_there():
            yield
            return
        with closing(Database(self._state / DATABASE)) as database:
            clusters = Clusters(database)
            claims: dict[str, int] = {}
            try:
                for row in self._rows(clusters):
                    self._take(clusters, row.uid, claims, now)
                yield
            finally:
                for uid, claim in claims.items():
                    with suppress(BaoBackupError):  # what is left is nobody's without the claim
                        _give_back(clusters, uid)
                    os.close(claim)

    # --- one of them ---------------------------------------------------------------------------

    def _take(self, clusters: Clusters, uid: str, claims: dict[str, int], now: datetime) -> None:
        claim = restore_claim(self._state, uid).claim()
        if claim is None:
            raise self._restored_already(uid)
        claims[uid] = claim
        hold_claim(claim)
        lock = OperationLock(
            operation="Restore",
            holder=_holder(),
            message=f"bao-backup restore, process {os.getpid()}",
            acquired_at=now,
            renewed_at=now,
        )
        for _ in range(TRIES):
            row = clusters.get(uid)
            if row is None:
                return
            self._check(row)
            if clusters.save(uid, row.version, row.status, lock):
                return
        raise self._hindered("the manager writes its memory all the time", "try again")

    def _check(self, row: ClusterRow) -> None:
        """The claim is ours, or nobody's: a restore's lock in the row was left by one that was killed."""
        under_way = self._run_under_way(row.uid)
        if under_way:
            hint = "wait for its end, which bao-backup status shows, and restore again"
            raise self._hindered(f"the run {under_way} of {row.namespace}/{row.name} is under way", hint)
        lock = row.lock
        if lock is not None and lock.holder == LOCK_HOLDER and manager_runs(self._state):
            hint = "wait for its end, which bao-backup status shows, and restore again"
            raise self._hindered(f"the manager is about to begin or to end the run {lock.message}", hint)
        document = _document(row)
        foreign = document.status.operation_lock if document is not None else None
        if foreign is not None and foreign.holder != LOCK_HOLDER:
            why = f"{foreign.holder} holds the operation lock of {row.namespace}/{row.name}"
            raise self._hindered(f"{why} for {foreign.operation}", "wait until it gives it back")

    def _run_under_way(self, uid: str) -> str:
        """The name of a backup that some process is at; empty when none is."""
        runs = (
            RunFolder(path) for path in sorted((self._state / "runs" / cluster_folder_name(uid)).glob("*"))
        )
        return next((run.path.name for run in runs if run.is_claimed()), "")

    def _restored_already(self, uid: str) -> ConfigurationError:
        pid = restore_claim(self._state, uid).claimed_by()
        who = f", by the process {pid}" if pid else ""
        return self._hindered(f"another restore into it is under way{who}", "wait for its end")

    def _hindered(self, why: str, hint: str) -> ConfigurationError:
        return ConfigurationError(self._doing, why, hint=hint)

    # --- which of them -------------------------------------------------------------------------

    def _is_there(self) -> bool:
        file = self._state / DATABASE
        try:
            return file.is_file()
        except OSError as error:
            why = (error.strerror or "failed").lower()
            hint = "run it as the manager's user, or name another folder with --state"
            raise ConfigurationError(f"open the manager's state {file}", why, hint=hint) from error

    def _rows(self, clusters: Clusters) -> list[ClusterRow]:
        """Those of this name, and those with one of the servers."""
        wanted = self._overwritten
        servers = {_server(address) for address in wanted.addresses}
        return [
            row
            for row in clusters.present()
            if (wanted.by_name and (row.namespace, row.name) == (wanted.namespace, wanted.name))
            or servers & _servers(row)
        ]


def _give_back(clusters: Clusters, uid: str) -> None:
    for _ in range(TRIES):
        row = clusters.get(uid)
        if row is None or row.lock is None or row.lock.holder != _holder():
            return
        if clusters.save(uid, row.version, row.status, None):
            return


def _holder() -> str:
    return restore_holder(f"cli-{os.getpid()}")


def _document(row: ClusterRow) -> OpenBaoCluster | None:
    """The last valid one; None where there is none, or only one of another version of this program."""
    try:
        return parse_cluster(json.loads(row.document), strict=False)
    except ConfigurationError:
        return None


def _servers(row: ClusterRow) -> set[tuple[str, int]]:
    document = _document(row)
    connection = document.spec.connection if document is not None else None
    if connection is None:
        return set()
    return {_server(address) for address in addresses_of(connection, row.namespace)}


def _server(address: str) -> tuple[str, int]:
    endpoint = parse_address(address)
    return endpoint.host, endpoint.port
