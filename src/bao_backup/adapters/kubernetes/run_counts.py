"""What became of the runs of each cluster, for its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from bao_backup.core.model import Result


@dataclass(slots=True)
class RunCounts:
    """Ends of a cluster's runs that this manager saw since it started."""

    succeeded: int = 0
    failed: int = 0
    #: Backups that their retention dropped.
    dropped: int = 0

    def see(self, result: Result) -> None:
        """A run ended like this: count it."""
        self.succeeded += result.succeeded
        self.failed += not result.succeeded
        self.dropped += result.retention.dropped_count if result.retention else 0
