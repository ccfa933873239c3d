"""Ctrl-C that is answered also while a library is busy.

Python runs signal handlers between its own instructions. While the main thread is inside a call of
the storage library, which may try for minutes to reach a store that does not answer, none runs. But
each signal's number is written into a file descriptor at once, and another thread reads it there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NoReturn

#: How long the main thread has to hear it, in seconds.
PATIENCE = 1.0
LINE = "bao-backup: Interrupted: run: ended by SIGINT; run it again\n"


class _Hearing:
    """Whether the main thread knows of SIGINT.

    An Event's lock could be held by the very thread that is interrupted; of all ways to wake a thread
    only this queue's `put` may be used in a signal handler.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nothing was heard yet."""
        self._heard = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def hear(self) -> None:
        """Wake who waits."""
        self._heard = True
        self._bell.put(None)

    def wait(self, seconds: float) -> bool:
        """Whether it was heard, or is within so many seconds."""
        if not self._heard:
            with suppress(Empty):
                self._bell.get(timeout=seconds)
        return self._heard


_hearing = _Hearing()


def hear() -> None:
    """Called by every handler of SIGINT: the main thread knows, and ends by itself."""
    _hearing.hear()


@contextmanager
def answering_interrupts() -> Iterator[None]:
    """Inside, SIGINT raises KeyboardInterrupt, and ends the process where nobody hears it.

    Nothing is lost by that: whatever a command leaves when it is killed, it leaves whole.
    """
    _hearing.begin()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handler = signal.signal(signal.SIGINT, _interrupt)
    descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reading,), name="interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        hear()
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGINT, handler)
        os.close(writing)
        watcher.join()
        os.close(reading)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    hear()
    raise KeyboardInterrupt


def _watch(reading: int) -> None:
    """Until the other end is closed."""
    while numbers := os.read(reading, 64):
        if signal.SIGINT in numbers and not _hearing.wait(PATIENCE):
            os.write(2, LINE.encode())
            os._exit(7)
