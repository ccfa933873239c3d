"""What became of the restores of each cluster, for its metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bao_backup.adapters.kubernetes.known_restores import KnownRestore, Place
from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.restore_errors import RestoreSealedError
from bao_backup.core.restore_spec import FINAL_PHASES, RestorePhase, RestoreStatus


@dataclass(slots=True)
class RestoreCounts:
    """Ends of a cluster's restores that this manager wrote since it started."""

    succeeded: int = 0
    #: In whatever way; those of which nobody knows what the server took, and after which it is sealed,
    #: are among them.
    failed: int = 0
    unknown: int = 0
    sealed: int = 0

    def see(self, before: RestorePhase, status: RestoreStatus) -> None:
        """A status was written, where there was this phase before: count it if it is an end."""
        if status.phase not in FINAL_PHASES or before in FINAL_PHASES:
            return
        condition = status.condition("RestoreComplete")
        self.succeeded += status.phase is RestorePhase.COMPLETED
        self.failed += status.phase is RestorePhase.FAILED
        self.unknown += condition is not None and condition.reason == RestoreUnknownError.reason
        self.sealed += condition is not None and condition.reason == RestoreSealedError.reason


def last_durations(restores: Iterable[KnownRestore]) -> dict[Place, timedelta]:
    """Of each cluster, how long the last one took of the restores that succeeded and are still there."""
    last: dict[Place, tuple[datetime, timedelta]] = {}
    for restore in restores:
        status, place = restore.read_status(), (restore.namespace, restore.cluster)
        ended = status.completion_time
        if status.phase is not RestorePhase.COMPLETED or ended is None or status.start_time is None:
            continue
        if place not in last or last[place][0] < ended:
            last[place] = ended, ended - status.start_time
    return {place: took for place, (_, took) in last.items()}
