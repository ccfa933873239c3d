"""Runs as processes: started in sessions of their own, so that they outlive a crash of the manager."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bao_backup.adapters.local.run_folder import CLAIM_VARIABLE, RunFolder
from bao_backup.core.errors import InternalError

#: What the manager's own environment must not decide for its runs: which document they are for.
OWN_VARIABLES = ("BACKUP_", "BAO_BACKUP_", "CLUSTER_")
KEPT_VARIABLES = {"BAO_BACKUP_VERBOSE"}

#: Runs that outlive who started them: collecting their objects would be taken for a mistake.
_outliving: list[subprocess.Popen[bytes]] = []


class Processes:
    """The processes of runs: children of this one, and those that an earlier manager started."""

    def __init__(self) -> None:
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def start(
        self, folder: RunFolder, environment: Mapping[str, str], command: Sequence[str] = ("backup",)
    ) -> bool:
        """Start the executor of a run by this command; False when another process has the run already.

        Raises InternalError when the machine does not let it.
        """
        claim = folder.claim()
        if claim is None:
            return False
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(OWN_VARIABLES) or name in KEPT_VARIABLES
        }
        own = {CLAIM_VARIABLE: str(claim), "BACKUP_RESULT_PATH": str(folder.result_file)}
        try:
            with folder.log_file.open("ab") as log:
                self._children[folder.path] = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-P", "-m", "bao_backup", *command],
                    env={**inherited, **environment, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(claim,),
                    start_new_session=True,
                )
        except OSError as error:
            raise InternalError(f"start the run in {folder.path}", error.strerror or "failed") from error
        finally:
            os.close(claim)
        return True

    def is_child(self, folder: RunFolder) -> bool:
        """Whether this process started it."""
        return folder.path in self._children

    def is_under_way(self, folder: RunFolder) -> bool:
        """Whether a process has the run now."""
        child = self._children.get(folder.path)
        return (child is not None and child.poll() is None) or folder.is_claimed()

    def send(self, folder: RunFolder, number: signal.Signals) -> None:
        """Send the run's process a signal, if there is one."""
        child = self._children.get(folder.path)
        pid = child.pid if child is not None and child.poll() is None else folder.claimed_by()
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return  # it ended by itself just now

    def end_in_words(self, folder: RunFolder) -> str:
        """How the process ended."""
        child = self._children.get(folder.path)
        code = child.poll() if child is not None else None
        if code is None:
            return "its process is gone"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process exited with {code}"

    def close(self) -> None:
        """Let the processes go on by themselves."""
        _outliving.extend(child for child in self._children.values() if child.poll() is None)
        self._children.clear()

    def forget(self, folder: RunFolder) -> None:
        """The run has ended: keep nothing of it here."""
        child = self._children.pop(folder.path, None)
        if child is not None:
            child.wait()
