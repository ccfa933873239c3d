"""The ports `Runtime` and `RestoreRuntime` in memory; runs end when they are told to."""

from __future__ import annotations

from bao_backup.adapters.memory_runtime.clusters import MemoryRuntime
from bao_backup.adapters.memory_runtime.restores import MemoryRestores

__all__ = ["MemoryRestores", "MemoryRuntime"]
