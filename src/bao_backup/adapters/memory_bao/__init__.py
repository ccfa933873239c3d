"""A cluster in memory behind the Bao port: several nodes, elections, restores, and faults given as data.

It works as the port says. It serves tests and trials of the flows, where every call and every chunk
may fail. Never in here: a socket, a file, or an answer that was only recorded.
"""

from bao_backup.adapters.memory_bao.bao import MemoryBao
from bao_backup.adapters.memory_bao.cluster import MemoryCluster
from bao_backup.adapters.memory_bao.fault import BaoFault, Method
from bao_backup.adapters.memory_bao.snapshot import MemorySnapshot
from bao_backup.core.model import NodeState

__all__ = ["BaoFault", "MemoryBao", "MemoryCluster", "MemorySnapshot", "Method", "NodeState"]
