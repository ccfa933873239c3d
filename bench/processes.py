"""What running processes have used so far, as Linux counts it (proc(5))."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.usage import busy_seconds


@dataclass(frozen=True)
class Memory:
    """Bytes that are resident: now, and at the most since the process started."""

    now: int
    peak: int


def memory_of(pid: int) -> Memory:
    """Of a process that runs."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines())
    sizes = {words[0]: int(words[1]) << 10 for words in lines if words and words[0] in ("VmRSS:", "VmHWM:")}
    return Memory(sizes["VmRSS:"], sizes["VmHWM:"])


def processor_seconds(pid: int) -> float:
    """User and system time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Span:
    """What named processes use from now on, and what all other programs of the machine do meanwhile."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """Process 0 is one that is to start: all that it uses counts."""
        self._pids = dict(pids)
        self._begun = time.monotonic()
        self._busy = busy_seconds()
        self._before = {name: processor_seconds(pid) if pid else 0.0 for name, pid in pids.items()}
        self._ours = time.process_time()

    def end(self, pids: Mapping[str, int] | None = None) -> Spent:
        """The figures until now; `pids` tells those that were not known at its beginning."""
        self._pids |= pids or {}
        seconds = time.monotonic() - self._begun
        used = {name: processor_seconds(pid) - self._before[name] for name, pid in self._pids.items()}
        others = busy_seconds() - self._busy - sum(used.values()) - (time.process_time() - self._ours)
        return Spent(used, max(others / seconds, 0.0))


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time by name, and how many processors others kept busy."""

    processor: Mapping[str, float]
    others: float

    def of(self, names: Iterable[str]) -> float:
        """The sum over some of them."""
        return sum(self.processor[name] for name in names)
