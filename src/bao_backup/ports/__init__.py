"""What the flows need of the world: one protocol each, and what every implementation promises.

Only types here: never an implementation, never a vendor's name. Each port has one conformance
suite in `tests/contracts`, which every adapter joins.
"""

from bao_backup.ports.bao import Bao, SnapshotStream
from bao_backup.ports.run import Clock, Reporter
from bao_backup.ports.runtime import RestoreRuntime, Runtime
from bao_backup.ports.store import Store

__all__ = ["Bao", "Clock", "Reporter", "RestoreRuntime", "Runtime", "SnapshotStream", "Store"]
