"""One manager at a time for each state folder: a file lock, gone with its process whatever ends it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bao_backup.core.errors import AnotherManagerError, ConfigurationError


def hold(folder: Path) -> int:
    """Be the one manager of this state folder, as long as this process lives."""
    doing = f"hold the state folder {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "manager.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            doing, error.strerror or "failed", hint="choose another with --state"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AnotherManagerError(doing, "another manager runs with it") from error
    return descriptor


def manager_runs(folder: Path) -> bool:
    """Whether a manager holds the state folder now."""
    try:
        descriptor = os.open(folder / "manager.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
