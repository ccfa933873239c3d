"""The port `Runtime` on one machine: runs are child processes that outlive a crash of the manager."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from bao_backup.adapters.local.book import Book, Entry
from bao_backup.adapters.local.database import ClusterRow, Database, EventRow, RunRow
from bao_backup.adapters.local.holding import hold
from bao_backup.adapters.local.run_folder import CLAIM_VARIABLE, RunFolder
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Outcome, Result
from bao_backup.core.observed import (
    ClearTrigger,
    Emit,
    ForgetRun,
    Health,
    Observed,
    Run,
    RunState,
    StartRun,
)
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.ports import Clock

#: A run that has not ended so long after its deadline is killed: its own end did not work.
KILL_AFTER = 60.0

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

    Raises AnotherManagerError when another process holds the folder.
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
        self._most_runs = most_runs
        self._held = hold(folder)
        self.database = Database(folder / "state.db")
        self.book = Book(check, self._remembered)
        self._children: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._data_version = self.database.data_version

    def close(self) -> None:
        """Give the folder back. Runs that are under way go on."""
        self.database.close()
        os.close(self._held)

    # --- documents -----------------------------------------------------------------------------

    def take_documents(self, contents: list[dict[str, Any]], complaints: list[str]) -> set[str]:
        """Work with these documents from now on; answers with the clusters that changed."""
        changed = self.book.replace(contents, complaints)
        for uid in changed:
            entry = self.book.entries.get(uid)
            if entry is not None:
                content = json.dumps(entry.content or {}, sort_keys=True)
                self.database.put_document(uid, entry.namespace, entry.name, content)
        return changed

    def _remembered(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        for row in self.database.clusters():
            if (row.namespace, row.name) == (namespace, name) and row.document != "{}":
                content: dict[str, Any] = json.loads(row.document)
                return content
        return None

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, uid: str) -> tuple[Observed, str]:
        entry, row = self._entry(uid), self._row(uid)
        observed = Observed(
            namespace=entry.namespace,
            name=entry.name,
            uid=uid,
            generation=row.generation,
            document=entry.document,
            problems=entry.problems,
            status=row.status,
            lock=row.lock,
            runs=tuple(run for run in map(self._run, self.database.open_runs(uid)) if run is not None),
            trigger=self.database.oldest_request(uid),
            can_ask_health=True,
            room=self.count_unfinished() < self._most_runs,
        )
        return observed, str(row.version)

    async def ask_health(self, uid: str) -> Health:
        document = self._entry(uid).document
        if document is None:
            raise InternalError(f"ask the health of {uid}", "it has no valid document")
        return await asyncio.to_thread(self._health, document)

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        return self.database.save(uid, int(version), status, lock)

    async def start(self, uid: str, run: StartRun) -> None:
        document = self._entry(uid).document
        if document is None or document.spec.backup is None:
            raise InternalError(f"start {run.name}", "its cluster has no valid document")
        limit = document.spec.backup.active_deadline_seconds
        self.database.add_run(uid, run.name, self._clock.now(), limit)
        row = next((row for row in self.database.open_runs(uid) if row.name == run.name), None)
        folder = self.run_folder(uid, run.name)
        if row is None or row.started or folder.result() is not None:
            return
        claim = folder.claim()
        if claim is None:
            return
        try:
            environment = {**os.environ, **self._environment(document, run)}
            self._children[uid, run.name] = _spawn(folder, claim, environment)
        finally:
            os.close(claim)
        self.database.mark_started(uid, run.name)

    async def forget(self, uid: str, run: ForgetRun) -> None:
        child = self._children.pop((uid, run.name), None)
        if child is not None:
            child.wait()
        document = self._entry(uid).document
        backup = document.spec.backup if document else None
        keep = backup.history_limit if backup else 0
        result = self.run_folder(uid, run.name).result()
        for gone in self.database.forget_run(uid, run.name, result, keep):
            self.run_folder(uid, gone).remove()

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        self.database.clear_request(uid, request.value)

    async def emit(self, uid: str, event: Emit) -> None:
        entry = self._entry(uid)
        time = self._clock.now().isoformat(timespec="seconds")
        self.database.add_event(uid, EventRow(time, event.reason, event.message, event.warning))
        self._tell(f"{entry.namespace}/{entry.name}", event)

    # --- runs ----------------------------------------------------------------------------------

    def run_folder(self, uid: str, name: str) -> RunFolder:
        """Where a run's files are."""
        return RunFolder(self._folder / "runs" / sha256(uid.encode()).hexdigest()[:16] / name)

    def poll(self) -> set[str]:
        """The clusters of which a run ended or a person asked something since the last poll.

        Also ends runs that are still there long after their deadline.
        """
        changed = set()
        for row in self.database.open_runs():
            if not self._is_under_way(row):
                changed.add(row.uid)
            elif self._clock.now() > row.begun + timedelta(seconds=row.deadline + KILL_AFTER):
                self._signal(row, signal.SIGKILL)
        version = self.database.data_version
        if version != self._data_version:
            self._data_version = version
            changed |= {uid for uid in self.book.entries if self.database.oldest_request(uid)}
        return changed

    def count_unfinished(self) -> int:
        """How many runs are under way, of all clusters."""
        return sum(self._is_under_way(row) for row in self.database.open_runs())

    def end_runs(self) -> None:
        """Ask every run to end: each aborts its upload, and says so in its result."""
        for row in self.database.open_runs():
            if self._is_under_way(row):
                self._signal(row, signal.SIGTERM)

    def _run(self, row: RunRow) -> Run | None:
        """The run as it is; None when its process was never started, so that it is started again."""
        folder = self.run_folder(row.uid, row.name)
        if self._is_under_way(row):
            return Run(name=row.name, state=RunState.UNFINISHED)
        result = folder.result()
        if result is None and not row.started:
            return None
        return Run(name=row.name, state=RunState.FINISHED, result=result or self._no_result(row, folder))

    def _is_under_way(self, row: RunRow) -> bool:
        child = self._children.get((row.uid, row.name))
        if child is not None and child.poll() is None:
            return True
        return self.run_folder(row.uid, row.name).claimed_by() is not None

    def _no_result(self, row: RunRow, folder: RunFolder) -> Result:
        """What can be said of a run whose process is gone and left no result."""
        child = self._children.get((row.uid, row.name))
        code = child.poll() if child else None
        how = "its process is gone"
        if code is not None and code < 0:
            how = f"its process was ended by {signal.Signals(-code).name}"
        elif code is not None:
            how = f"its process exited with {code}"
        said = " ".join(folder.last_words().split())
        words = f"; it said: {said}" if said else ""
        return Result(
            outcome=Outcome.FAILED,
            reason="NoResult",
            message=f"the run {row.name} ended without a result: {how}"
            + (f"; it said: {words}" if words else ""),
            exit_code=8,
            started=row.begun,
            finished=self._clock.now(),
        )

    def _signal(self, row: RunRow, number: signal.Signals) -> None:
        child = self._children.get((row.uid, row.name))
        if child is not None:
            child.send_signal(number)
            return
        pid = self.run_folder(row.uid, row.name).claimed_by()
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return  # it ended by itself just now

    def _entry(self, uid: str) -> Entry:
        entry = self.book.entries.get(uid)
        if entry is None:
            raise InternalError(f"find the cluster {uid}", "its document is gone")
        return entry

    def _row(self, uid: str) -> ClusterRow:
        row = self.database.cluster(uid)
        if row is None:
            raise InternalError(f"find the status of {uid}", "it was never written")
        return row


def _spawn(folder: RunFolder, claim: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the executor of a run, in a session of its own, so that it outlives this process."""
    variables = {
        CLAIM_VARIABLE: str(claim),
        "BACKUP_RESULT_PATH": str(folder.result_file),
    }
    with folder.log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bao_backup", "backup"],
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(claim,),
            start_new_session=True,
        )
