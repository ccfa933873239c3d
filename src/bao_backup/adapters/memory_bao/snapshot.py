"""A snapshot of a cluster in memory, as it arrives."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from bao_backup.adapters.memory_bao.cluster import MemoryCluster
from bao_backup.adapters.memory_bao.fault import BaoFault, happen
from bao_backup.core.errors import SnapshotCutOffError, SnapshotStalledError

CHUNK = 1 << 20


class MemorySnapshot:
    """The stream of one snapshot call; it is cut off when its node ceases to lead."""

    def __init__(
        self, cluster: MemoryCluster, address: str, fault: BaoFault | None, stall_seconds: float
    ) -> None:
        self._cluster = cluster
        self._address = address
        self._fault = fault if fault is not None and fault.after is not None else None
        self._stall_seconds = stall_seconds
        self._closed = threading.Event()
        self._given = 0
        #: Set when the stream gives no byte any more: the point at which a test goes on.
        self.stalled = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether this side has closed it."""
        return self._closed.is_set()

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of at most 1 MiB, and the fault where it is due."""
        for chunk in self._chunks():
            if self._closed.is_set():
                raise self._cut_off("this side closed the connection")
            if not self._cluster.leads(self._address):
                raise self._cut_off("the connection ended")
            self._given += len(chunk)
            yield chunk
        if self._fault is not None:  # it was due behind the last byte
            self._befall(self._fault)

    def close(self) -> None:
        """End it, from any thread; a read under way ends at once."""
        self._closed.set()

    def _chunks(self) -> Iterator[bytes]:
        for part in self._cluster.archive():
            left = part
            while left:
                room = CHUNK if self._fault is None else min(CHUNK, (self._fault.after or 0) - self._given)
                if room <= 0 and self._fault is not None:
                    self._befall(self._fault)
                    continue
                yield bytes(left[:room])
                left = left[room:]

    def _befall(self, fault: BaoFault) -> None:
        self._fault = None
        if fault.stall:
            self.stalled.set()
            if not self._closed.wait(self._stall_seconds):
                why = f"no byte for {self._stall_seconds:g} s, after {self._given} bytes"
                raise SnapshotStalledError(f"read the snapshot of {self._address}", why)
            raise self._cut_off("this side closed the connection")
        happen(self._cluster, fault)

    def _cut_off(self, why: str) -> SnapshotCutOffError:
        doing = f"read the snapshot of {self._address}"
        return SnapshotCutOffError(doing, f"{why} after {self._given} bytes")
