"""The folder of one run: who runs it, what it said, how it ended.

`claim` is locked as long as its executor lives, whatever ends it; `result.json` is written by it at
the end; `log` is what it printed. So a manager that was killed finds out, when it is back, which
runs are still under way and how the others ended.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from bao_backup.adapters.local.file_lock import take_lock
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Result
from bao_backup.core.result import decode_result

#: The variable that hands a run's claim to its executor.
CLAIM_VARIABLE = "BAO_BACKUP_RUN_CLAIM"


class RunFolder:
    """One run's files. Nothing is created before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def result_file(self) -> Path:
        """Where the executor writes its result, whole or not at all."""
        return self.path / "result.json"

    @property
    def log_file(self) -> Path:
        """What the executor printed."""
        return self.path / "log"

    @property
    def _claim_file(self) -> Path:
        return self.path / "claim"

    def claim(self) -> int | None:
        """Claim the run: a file descriptor that its executor inherits, or None when it is claimed.

        The claim lasts as long as any process has the descriptor open, so there is no moment
        between the manager's claim and its executor's.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._claim_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InternalError(f"make the run folder {self.path}", error.strerror or "failed") from error
        if take_lock(descriptor):
            os.ftruncate(descriptor, 0)  # who had it before is gone
            return descriptor
        os.close(descriptor)
        return None

    def is_claimed(self) -> bool:
        """Whether a process has the run now."""
        try:
            descriptor = os.open(self._claim_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not take_lock(descriptor)
        finally:
            os.close(descriptor)

    def claimed_by(self) -> int | None:
        """The process that has the run now; None when none has, or it has not said so yet."""
        try:
            said = self._claim_file.read_bytes()
        except FileNotFoundError:
            return None
        return int(said) if said.isdigit() and self.is_claimed() else None

    def result(self) -> Result | None:
        """What the executor said at its end; None when it said nothing (yet)."""
        try:
            return decode_result(self.result_file.read_bytes())
        except FileNotFoundError:
            return None

    def last_words(self, size: int = 500) -> str:
        """The end of what the executor printed, on one line, for runs that ended without a result."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - size))
                return " ".join(log.read().decode(errors="replace").split())
        except FileNotFoundError:
            return ""

    def remove(self) -> None:
        """Remove the run's files."""
        shutil.rmtree(self.path, ignore_errors=True)


def cluster_folder_name(uid: str) -> str:
    """The name of a cluster's folder, in which its runs' are: any uid makes one."""
    return sha256(uid.encode()).hexdigest()[:16]


def hold_claim(descriptor: int) -> None:
    """In the executor: keep the inherited claim until this process ends, and say who has it."""
    os.set_inheritable(descriptor, False)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
