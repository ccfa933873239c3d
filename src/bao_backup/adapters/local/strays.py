"""Runs that the manager's memory does not know: it was lost while they were under way."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from bao_backup.adapters.local.run_folder import RunFolder


class Strays:
    """The run folders that no memory names. Dead ones are removed at once, living ones at their end.

    Args:
        runs: the folder of all runs; in it one for each cluster, and in that one for each run.
        known: the folders that the memory names.
    """

    def __init__(self, runs: Path, known: Container[Path]) -> None:
        found = [RunFolder(path) for path in runs.glob("*/*") if path not in known]
        self._folders = [folder for folder in found if not _remove_if_dead(folder)]

    def living(self) -> list[RunFolder]:
        """Those that are under way."""
        return [folder for folder in self._folders if folder.is_claimed()]

    def of(self, cluster: Path) -> list[RunFolder]:
        """Those that are under way, of the cluster with that folder."""
        return [folder for folder in self.living() if folder.path.parent == cluster]

    def settle(self) -> set[Path]:
        """Remove those that ended since the last time; the folders of their clusters."""
        if not self._folders:
            return set()
        ended = [folder for folder in self._folders if _remove_if_dead(folder)]
        self._folders = [folder for folder in self._folders if folder not in ended]
        return {folder.path.parent for folder in ended}


def _remove_if_dead(folder: RunFolder) -> bool:
    if folder.is_claimed():
        return False
    folder.remove()
    return True
