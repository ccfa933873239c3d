"""A clock by which a process is ended at a moment that nothing else tells."""

from __future__ import annotations

import os
import signal
from datetime import datetime

from bao_backup.adapters.system import SystemClock


class SignallingClock(SystemClock):
    """The system's; when it is asked for the second time, the process gets the signal."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._asked = 0

    def now(self) -> datetime:
        """Aware, in UTC."""
        self._asked += 1
        if self._asked == 2:
            os.kill(os.getpid(), self._number)
        return super().now()
