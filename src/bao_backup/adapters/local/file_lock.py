"""A lock on an open file, which is gone with its process whatever ends that."""

from __future__ import annotations

import fcntl


def take_lock(descriptor: int) -> bool:
    """Lock the file, or answer False: another has it. It lasts until no copy of `descriptor` is open."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
