"""The port `Runtime` on one machine: runs are child processes that outlive a crash of the manager."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bao_backup.adapters.local.book import Book, Entry
from bao_backup.adapters.local.clusters import ClusterRow, Clusters, ClusterState
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.events import EventRow, Events
from bao_backup.adapters.local.executors import Executors
from bao_backup.adapters.local.holding import hold
from bao_backup.adapters.local.requests import Requests
from bao_backup.adapters.local.restore_lock import is_left
from bao_backup.adapters.local.room import Room
from bao_backup.adapters.local.runs import Runs
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Trigger
from bao_backup.core.naming import is_check_run
from bao_backup.core.observed import (
    ClearTrigger,
    Emit,
    ForgetRun,
    Health,
    Observed,
    StartCheck,
    StartRun,
)
from bao_backup.core.operation_lock import restore_holding
from bao_backup.core.preflight import NO_ROOM
from bao_backup.core.spec import API_VERSION, CLUSTER_KIND, Metadata, OpenBaoCluster
from bao_backup.core.status import LOCK_HOLDER, BackupStatus, OperationLock
from bao_backup.ports import Clock

#: How long a check may take, and how long it waits for a leader, in seconds.
CHECK_SECONDS = 600
CHECK_WAIT = 300

#: What the executor of a run is started with, from its document.
Environment = Callable[[OpenBaoCluster, StartRun], Mapping[str, str]]


class LocalRuntime:
    """Status in SQLite, runs as processes of their own sessions, one manager at a time.

    Args:
        folder: the state folder; made if it is not there.
        clock: the time.
        check: raises ConfigurationError for a document that no run can work with.
        environment: what a run's process gets, besides this process's own environment.
        health: asks the server; blocking, called in a thread.
        tell: told of each event, with the cluster's name.
        most_runs: how many may be under way at once.

    Raises AnotherManagerError when another process holds the folder, ConfigurationError when it
    cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        check: Callable[[OpenBaoCluster], object],
        environment: Environment,
        health: Callable[[OpenBaoCluster], Health],
        tell: Callable[[str, Emit], None],
        most_runs: int = 4,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._environment = environment
        self._health = health
        self._tell = tell
        #: No run starts any more; those that are under way are looked after.
        self.stopping = False
        self._held = hold(folder)
        try:
            self.database = Database(folder / DATABASE)
        except BaseException:
            os.close(self._held)
            raise
        self.clusters = Clusters(self.database)
        self.runs = Runs(self.database)
        self.requests = Requests(self.database)
        self.events = Events(self.database)
        self.book = Book(check, self._remembered())
        self.executors = Executors(folder / "runs", self.runs, clock)
        self._room = Room(most_runs)
        self._ended_told: set[tuple[str, str]] = set()
        #: Into which a restore by command was under way at the last poll.
        self._restored: set[str] = set()
        self._data_version = self.database.data_version

    def close(self) -> None:
        """Give the folder back. Runs that are under way go on."""
        self.executors.close()
        self.database.close()
        os.close(self._held)

    # --- documents -----------------------------------------------------------------------------

    def take_documents(self, contents: list[dict[str, Any]], complaints: list[str]) -> set[str]:
        """Work with these documents from now on; answers with the clusters that changed."""
        changed = self.book.replace(contents, complaints)
        for uid, entry in self.book.entries.items():
            if uid in changed:
                content = json.dumps(entry.content or {}, sort_keys=True)
                self.clusters.put_document(uid, entry.namespace, entry.name, content)
        self.clusters.set_configured(self.book.entries)
        self.database.put_complaints(self.book.complaints)
        for uid in changed - self.book.entries.keys():
            self._room.leave(uid)
        return changed

    def managed(self) -> set[str]:
        """The clusters to look at: those with a document, and those that leave."""
        return self.book.entries.keys() | self.clusters.leaving()

    def _remembered(self) -> dict[str, tuple[str, str, Mapping[str, Any] | None]]:
        rows = (row for row in self.clusters.present() if row.state is ClusterState.CONFIGURED)
        return {row.uid: (row.namespace, row.name, json.loads(row.document) or None) for row in rows}

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[Observed, str]:
        row = self._row(uid)
        entry = self._entry(row)
        self._keep_place(uid, row.status)
        runs = self.executors.of(uid)
        observed = Observed(
            namespace=entry.namespace,
            name=entry.name,
            uid=uid,
            generation=row.generation,
            document=entry.document,
            problems=entry.problems,
            status=row.status,
            lock=_lock_of_another(entry) or self._lock_in_force(row),
            runs=tuple(run for run in runs if not is_check_run(run.name)),
            check_runs=tuple(run for run in runs if is_check_run(run.name)),
            trigger=self.requests.oldest(uid),
            can_ask_health=True,
            room=self._room.is_for(uid, len(self._taken() - {uid})),
            stopping=self.stopping,
        )
        return observed, str(row.version)

    async def ask_health(self, uid: str) -> Health:
        document = self._entry(self._row(uid)).document
        if document is None:
            raise InternalError(f"ask the health of {uid}", "it has no valid document")
        return await asyncio.to_thread(self._health, document)

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        if lock is not None and lock.holder != LOCK_HOLDER:
            # The document's, which is not ours to remember, or a restore's. Our own stays while its
            # attempt does.
            row = self._row(uid)
            lock, attempt = self._lock_in_force(row), status.attempt
            if lock is not None and lock.holder == LOCK_HOLDER and not (attempt and attempt.under_way):
                lock = None
        saved = self.clusters.save(uid, int(version), status, lock)
        if saved:
            self._keep_place(uid, status)
        return saved

    async def start(self, uid: str, run: StartRun) -> None:
        document = self._entry(self._row(uid)).document
        if document is None or document.spec.backup is None:
            raise InternalError(f"start {run.name}", "its cluster has no valid document")
        limit = document.spec.backup.active_deadline_seconds
        self.executors.begin(uid, run.name, limit, self._environment(document, run))

    async def start_check(self, uid: str, run: StartCheck) -> None:
        document = self._entry(self._row(uid)).document
        if document is None or document.spec.backup is None:
            raise InternalError(f"start {run.name}", "its cluster has no valid document")
        as_run = StartRun(name=run.name, key="", slot=self._clock.now(), trigger=Trigger.MANUAL, number=1)
        environment = self._environment(document, as_run)
        self.executors.begin(uid, run.name, CHECK_SECONDS, environment, ("check", "--wait", str(CHECK_WAIT)))

    async def forget(self, uid: str, run: ForgetRun) -> None:
        row = next((row for row in self.runs.open(uid) if row.name == run.name), None)
        ended = self.executors.run(row) if row is not None else None
        if ended is None or ended.result is None:
            return
        document = self._entry(self._row(uid)).document
        backup = document.spec.backup if document else None
        keep = backup.history_limit if backup else 0
        counts = not is_check_run(run.name)
        for gone in self.runs.forget(uid, run.name, ended.result, keep, counts=counts):
            self.executors.folder_of(uid, gone).remove()
        self.executors.forget(uid, run.name)
        self._ended_told.discard((uid, run.name))

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        self.requests.clear(uid, request.value)

    async def emit(self, uid: str, event: Emit) -> None:
        row = self._row(uid)
        time = self._clock.now().isoformat(timespec="seconds")
        self.events.add(uid, EventRow(time, event.reason, event.message, event.warning))
        self._tell(f"{row.namespace}/{row.name}", event)

    # --- what happens meanwhile ----------------------------------------------------------------

    def poll(self) -> set[str]:
        """The clusters that there is news of since the last poll: an end, a request, a place to run in.

        Also ends runs that are still there long after their deadline, and lets those clusters go
        of which nothing is left to do.
        """
        changed, taken = self._given_back(), self.clusters.locked(LOCK_HOLDER) | self._with_strays()
        for row in self.runs.open():
            run = (row.uid, row.name)
            if self.executors.is_under_way(row):
                taken.add(row.uid)
                self.executors.end_if_late(row)
            elif run not in self._ended_told and self.executors.run(row) is not None:
                self._ended_told.add(run)
                changed.add(row.uid)
        for folder in self.executors.settle_strays():
            changed |= {uid for uid in self.managed() if self.executors.cluster_folder(uid) == folder}
        version = self.database.data_version
        if version != self._data_version:
            self._data_version = version
            changed |= self.requests.waiting()
        self._let_go()
        return changed | self._room.call(len(taken), self._clock.monotonic())

    def _keep_place(self, uid: str, status: BackupStatus) -> None:
        """In the queue for a place exactly while the status says so."""
        if status.waiting is not None and status.waiting.reason == NO_ROOM:
            self._room.enter(uid)
        else:
            self._room.leave(uid)

    def _taken(self) -> set[str]:
        """The clusters that have a place: an attempt that is under way, or a run."""
        running = {row.uid for row in self.runs.open() if self.executors.is_under_way(row)}
        return self.clusters.locked(LOCK_HOLDER) | running | self._with_strays()

    def _with_strays(self) -> set[str]:
        return self.executors.with_strays(self.managed)

    def _lock_in_force(self, row: ClusterRow) -> OperationLock | None:
        """The lock in the memory, unless a restore by command left it when it was killed."""
        return None if is_left(self._folder, row.uid, row.lock) else row.lock

    def _given_back(self) -> set[str]:
        """The clusters whose lock a restore by command held at the last poll, or left, and holds no more.

        What was left is given back here: to who decides it looks as if it never was there.
        """
        rows = [self._row(uid) for uid in self.clusters.locked()]
        before, restored = self._restored, {row.uid for row in rows if restore_holding(row.lock)}
        left = [row for row in rows if is_left(self._folder, row.uid, row.lock)]
        for row in left:
            self.clusters.save(row.uid, row.version, row.status, None)
        self._restored = restored - {row.uid for row in left}
        return (before | restored) - self._restored

    def _let_go(self) -> None:
        for uid in self.clusters.leaving():
            row = self._row(uid)
            if row.lock is None and row.status.schedule is None and not self.runs.open(uid):
                self.clusters.set_gone(uid)

    def _entry(self, row: ClusterRow) -> Entry:
        """The cluster's document; of one that leaves, one without backups, by which its runs end."""
        entry = self.book.entries.get(row.uid)
        if entry is not None:
            return entry
        metadata = Metadata(name=row.name, namespace=row.namespace)
        document = OpenBaoCluster(api_version=API_VERSION, kind=CLUSTER_KIND, metadata=metadata)
        return Entry(row.namespace, row.name, document, None)

    def _row(self, uid: str) -> ClusterRow:
        row = self.clusters.get(uid)
        if row is None:
            raise InternalError(f"find the status of {uid}", "it was never written")
        return row


def _lock_of_another(entry: Entry) -> OperationLock | None:
    """The operation lock in the document that was given to us, where its holder is not ours."""
    lock = entry.document.status.operation_lock if entry.document is not None else None
    return lock if lock is not None and lock.holder != LOCK_HOLDER else None
