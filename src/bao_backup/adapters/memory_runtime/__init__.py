"""The ports `Runtime` and `RestoreRuntime` in memory; runs end when they are told to.

They work as the ports say, and serve tests and trials of the manager. Never in here: a process, a
file, a clock of its own, or a decision what a run comes to.
"""

from __future__ import annotations

from bao_backup.adapters.memory_runtime.clusters import MemoryRuntime
from bao_backup.adapters.memory_runtime.restores import MemoryRestores

__all__ = ["MemoryRestores", "MemoryRuntime"]
