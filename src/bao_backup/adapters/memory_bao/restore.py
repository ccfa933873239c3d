"""A snapshot on its way into a cluster in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from bao_backup.adapters.memory_bao.cluster import MemoryCluster
from bao_backup.adapters.memory_bao.fault import BaoFault, happen
from bao_backup.core.archive import ArchiveReader
from bao_backup.core.errors import ArchiveError, RestoreUnknownError
from bao_backup.core.restore_errors import RestoreCutOffError, RestoreRefusedError


class MemoryRestore:
    """One restore call: what was sent so far, and what befalls it on the way."""

    def __init__(
        self,
        cluster: MemoryCluster,
        address: str,
        fault: BaoFault | None,
        stall_seconds: float,
        *,
        force: bool,
    ) -> None:
        self._doing = f"restore a snapshot to {address}"
        self._cluster = cluster
        self._address = address
        self._fault = fault if fault is not None and fault.after is not None else None
        self._stall_seconds = stall_seconds
        self._force = force
        self._sent = bytearray()
        self._interrupted = threading.Event()
        #: Set when no byte goes through any more: the point at which a test goes on.
        self.stalled = threading.Event()

    def interrupt(self) -> None:
        """End it, from any thread."""
        self._interrupted.set()

    def run(self, chunks: Iterator[bytes], size: int) -> None:
        """Take it all; the server has a whole body only once the iterator has ended as it should."""
        for chunk in chunks:
            self._take(chunk, size)
        if len(self._sent) != size:
            raise self._cut_off(f"the snapshot ended early, {size} bytes were announced")
        if self._fault is not None and (self._fault.after or 0) >= size:
            self._befall(self._fault, whole=True)
        self._judge()

    def _take(self, chunk: bytes, size: int) -> None:
        if self._interrupted.is_set():
            raise self._cut_off("this side closed the connection")
        if not self._cluster.leads(self._address):
            raise self._cut_off("the connection ended")
        if len(self._sent) + len(chunk) > size:
            raise self._cut_off(f"the snapshot goes on behind the {size} bytes that were announced")
        due = self._fault.after if self._fault is not None else None
        if self._fault is not None and due is not None and due < min(size, len(self._sent) + len(chunk)):
            self._sent += chunk[: due - len(self._sent)]
            self._befall(self._fault, whole=False)
        self._sent += chunk

    def _befall(self, fault: BaoFault, *, whole: bool) -> None:
        if fault.stall:
            self.stalled.set()
            closed = self._interrupted.wait(self._stall_seconds)
            why = "this side closed the connection" if closed else f"no byte for {self._stall_seconds:g} s"
            raise self._unknown(why) if whole else self._cut_off(why)
        happen(self._cluster, fault)
        raise self._unknown("the connection ended") if whole else self._cut_off("the connection ended")

    def _judge(self) -> None:
        """What the server says of a whole body."""
        if not self._cluster.leads(self._address):
            raise self._unknown("the connection ended")
        if self._cluster.refuses:
            raise RestoreRefusedError(self._doing, f"it answers {self._cluster.refuses}")
        try:
            reader = ArchiveReader()
            reader.feed(bytes(self._sent))
            reader.finish()
        except ArchiveError as error:
            why = f"it answers 500, failed to read snapshot file: {error.why}"
            raise RestoreRefusedError(self._doing, why) from error
        if self._cluster.keys_differ and not self._force:
            words = (
                "could not verify hash file, possibly the snapshot is using a different set of unseal keys"
            )
            raise RestoreRefusedError(self._doing, f"it answers 400, {words}")
        self._cluster.accept(bytes(self._sent))

    def lost(self, fault: BaoFault) -> None:
        """It was taken, and nobody was told."""
        happen(self._cluster, fault)
        raise self._unknown("the connection ended")

    def _cut_off(self, why: str) -> RestoreCutOffError:
        return RestoreCutOffError(self._doing, f"{why} after {len(self._sent)} bytes")

    def _unknown(self, why: str) -> RestoreUnknownError:
        return RestoreUnknownError(self._doing, f"{why} after the last byte, before an answer")
