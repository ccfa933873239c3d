"""One manager at a time for each state folder: a file lock, gone with its process whatever ends it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bao_backup.adapters.local.file_lock import take_lock
from bao_backup.core.errors import AnotherManagerError, ConfigurationError

#: `manager_runs` takes the lock for a moment to see whether it is free: so often it is tried again.
TRIES = 10
PAUSE = 0.02


def hold(folder: Path) -> int:
    """Be the one manager of this state folder, as long as this process lives or keeps what it is given.

    Raises AnotherManagerError, and ConfigurationError when the folder cannot be used.
    """
    doing = f"hold the state folder {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "manager.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = "make it a folder that this user may write to, or choose another with --state"
        raise ConfigurationError(doing, why, hint=hint) from error
    for _ in range(TRIES):
        if take_lock(descriptor):
            return descriptor
        time.sleep(PAUSE)
    os.close(descriptor)
    raise AnotherManagerError(doing, "another manager runs with it")


def manager_runs(folder: Path) -> bool:
    """Whether a manager holds the state folder now."""
    try:
        descriptor = os.open(folder / "manager.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = "run it as the manager's user"
        raise ConfigurationError(f"look at the state folder {folder}", why, hint=hint) from error
    try:
        return not take_lock(descriptor)
    finally:
        os.close(descriptor)
