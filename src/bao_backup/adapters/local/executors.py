"""The executors of all runs: started, watched and ended, also those that an earlier manager started.

Never decides when one starts: `LocalRuntime` does as it is told by the port.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from bao_backup.adapters.local.processes import Processes
from bao_backup.adapters.local.run_folder import RunFolder, cluster_folder_name
from bao_backup.adapters.local.runs import RunRow, Runs
from bao_backup.adapters.local.strays import Strays
from bao_backup.core.model import Outcome, Result
from bao_backup.core.observed import Run, RunState
from bao_backup.ports import Clock

#: A run that has not ended so long after its deadline is killed: its own end did not work.
KILL_AFTER = 60.0


class Executors:
    """The processes of runs, by the manager's memory of them and by what they left in their folders.

    Args:
        folder: of all runs; in it one for each cluster, and in that one for each run.
        runs: the memory.
        clock: the time.
    """

    def __init__(self, folder: Path, runs: Runs, clock: Clock) -> None:
        self._folder = folder
        self.runs = runs
        self._clock = clock
        self._processes = Processes()
        #: Also folders of runs that left the history just before a crash.
        known = {self.folder_of(uid, name).path for uid, name in runs.names()}
        self._strays = Strays(folder, known)
        self._first_seen: dict[tuple[str, str], float] = {}

    def close(self) -> None:
        """Let them go on by themselves."""
        self._processes.close()

    def folder_of(self, uid: str, name: str) -> RunFolder:
        """Where a run's files are."""
        return RunFolder(self.cluster_folder(uid) / name)

    def cluster_folder(self, uid: str) -> Path:
        """Where the folders of a cluster's runs are."""
        return self._folder / cluster_folder_name(uid)

    def begin(
        self,
        uid: str,
        name: str,
        limit: float,
        environment: Mapping[str, str],
        command: tuple[str, ...] = ("backup",),
    ) -> None:
        """Start the run by this command, unless one of that name began; `limit` is its deadline in seconds.

        Raises InternalError when the machine does not let it.
        """
        row = self.runs.add(uid, name, self._clock.now(), limit)
        folder = self.folder_of(uid, name)
        if row is None or row.started or self._processes.is_child(folder) or folder.result() is not None:
            return
        if self._processes.start(folder, environment, command):
            self.runs.mark_started(uid, name)

    def forget(self, uid: str, name: str) -> None:
        """The run has ended: keep nothing of it here. Its files stay."""
        self._processes.forget(self.folder_of(uid, name))
        self._first_seen.pop((uid, name), None)

    # --- how they are --------------------------------------------------------------------------

    def of(self, uid: str) -> list[Run]:
        """The cluster's runs, as they are; those that the memory does not know among them."""
        runs = [self.run(row) for row in self.runs.open(uid)]
        strays = [Run(name=stray.path.name, state=RunState.UNFINISHED) for stray in self.strays_of(uid)]
        return [run for run in runs if run is not None] + strays

    def run(self, row: RunRow) -> Run | None:
        """The run as it is; None when its process was never started, so that it is started again."""
        if self.is_under_way(row):
            return Run(name=row.name, state=RunState.UNFINISHED)
        folder = self.folder_of(row.uid, row.name)
        result = folder.result()
        if result is None and not row.started and not self._processes.is_child(folder):
            return None
        return Run(name=row.name, state=RunState.FINISHED, result=result or self._no_result(row, folder))

    def is_under_way(self, row: RunRow) -> bool:
        """Whether a process has the run now."""
        return self._processes.is_under_way(self.folder_of(row.uid, row.name))

    def count_open(self) -> int:
        """How many are under way, or ended and not in the status yet, of all clusters."""
        return len(self.runs.open()) + len(self._strays.living())

    def _no_result(self, row: RunRow, folder: RunFolder) -> Result:
        """What can be said of a run whose process is gone and left no result."""
        said = folder.last_words()
        how = self._processes.end_in_words(folder) + (f"; it said: {said}" if said else "")
        return Result(
            outcome=Outcome.FAILED,
            reason="NoResult",
            message=f"the run {row.name} ended without a result: {how}",
            exit_code=8,
            started=row.begun,
            finished=self._clock.now(),
        )

    # --- those that the memory does not know ---------------------------------------------------

    def strays_of(self, uid: str) -> list[RunFolder]:
        """Runs of the cluster that are under way, which the memory does not know."""
        return self._strays.of(self.cluster_folder(uid))

    def with_strays(self, uids: Callable[[], set[str]]) -> set[str]:
        """Those of the clusters that have such runs; `uids` is asked only where there are any."""
        return {uid for uid in uids() if self.strays_of(uid)} if self._strays.living() else set()

    def settle_strays(self) -> set[Path]:
        """Remove what ended since the last time; the folders of their clusters."""
        return self._strays.settle()

    # --- how they end --------------------------------------------------------------------------

    def end_if_late(self, row: RunRow) -> None:
        """By a clock that nobody sets, from when this manager saw it first: never too early."""
        now = self._clock.monotonic()
        seen = self._first_seen.setdefault((row.uid, row.name), now)
        if now - seen > row.deadline + KILL_AFTER:
            self._processes.send(self.folder_of(row.uid, row.name), signal.SIGKILL)

    def end_all(self) -> None:
        """Ask every run to end: each aborts its upload, and says so in its result."""
        for row in self.runs.open():
            if self.is_under_way(row):
                self._processes.send(self.folder_of(row.uid, row.name), signal.SIGTERM)
        for stray in self._strays.living():
            self._processes.send(stray, signal.SIGTERM)
