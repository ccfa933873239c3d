"""A cluster, a bucket with an earlier backup in it, and runs of the flow between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from tests.core.archives import prove

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster
from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore
from bao_backup.core.archive_writer import build_archive
from bao_backup.core.model import VerifyLevel
from bao_backup.core.naming import catalogue, parse_key, receipt_key
from bao_backup.core.receipt import decode_receipt
from bao_backup.flows.backup import BackupFlow, Patience, Taken
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Store

PREFIX = "default/prod"
EARLIER = f"{PREFIX}/2026-11-22T01-00-00Z-00000001.snap"
KEY = f"{PREFIX}/2026-11-22T02-00-00Z-00000002.snap"
SLOT = datetime(2026, 11, 22, 2, tzinfo=UTC)
NODES = ("https://bao-0:8200", "https://bao-1:8200", "https://bao-2:8200")
QUICK = Patience(tries=3, pause=0.001, leader_wait=5)
#: Bytes of each chunk of a stream.
PIECE = 512


def snapshot(number: int) -> bytes:
    """A genuine archive of some kilobytes, another one for each number."""
    chance = random.Random(number)
    records = [(b"logical/x/%d" % each, chance.randbytes(40)) for each in range(300)]
    return b"".join(build_archive(records, index=number, term=2, level=1))


class Time:
    """A clock that stands still, until a test lets time pass."""

    def __init__(self) -> None:
        self._passed = timedelta()

    def pass_(self, seconds: float) -> None:
        """So many seconds later."""
        self._passed += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return SLOT + timedelta(seconds=7) + self._passed

    def monotonic(self) -> float:
        return 1000 + self._passed.total_seconds()


class Listener:
    """Keeps what was said, and does something at a named point: so many bytes, or certain words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.at_bytes: tuple[int, Callable[[], object]] | None = None
        self.at_words: tuple[str, Callable[[], object]] | None = None

    def say(self, words: str) -> None:
        self.words.append(words)
        if self.at_words is not None and words.startswith(self.at_words[0]):
            self.at_words[1]()

    def moved(self, size: int) -> None:
        if self.at_bytes is not None and size >= self.at_bytes[0]:
            act, self.at_bytes = self.at_bytes[1], None
            act()


class Site:
    """Three nodes, one bucket in which the backup of an hour ago is whole and proven."""

    def __init__(self) -> None:
        self.clock = Time()
        self.archive = snapshot(1)
        self.cluster = MemoryCluster(lambda: _pieces(self.archive), NODES)
        self.store = MemoryStore(now=self.clock.now)
        self.reporter = Listener()
        self.stop = Stop(self.clock)
        self.bao: Bao = MemoryBao(self.cluster)
        self.run(key=EARLIER)
        self.earlier = self.body(EARLIER)
        self.archive = snapshot(2)
        self.reporter.words.clear()

    def flow(
        self,
        store_faults: Iterable[Fault] = (),
        bao_faults: Iterable[BaoFault] = (),
        *,
        key: str = KEY,
        verify: VerifyLevel = VerifyLevel.HEAD,
        store: Store | None = None,
        bao: Bao | None = None,
        patience: Patience = QUICK,
    ) -> BackupFlow:
        """A run that has not begun."""
        self.faulty = FaultyStore(store or self.store, store_faults)
        self.bao = bao or MemoryBao(self.cluster, bao_faults, stall_seconds=0.05)
        order = BackupOrder(
            namespace="default", name="prod", prefix=PREFIX, key=key, slot=SLOT, verify=verify
        )
        return BackupFlow(
            order,
            bao=self.bao,
            store=self.faulty,
            clock=self.clock,
            stop=self.stop,
            reporter=self.reporter,
            patience=patience,
        )

    def run(self, **more: object) -> Taken:
        """A run without any fault."""
        return self.flow(**more).take()  # type: ignore[arg-type] # the same as flow takes

    # --- what is there -------------------------------------------------------------------------

    def visible(self) -> list[str]:
        """All that is visible."""
        return [stored.key for stored in self.store.list("")]

    def body(self, key: str) -> bytes:
        """An object."""
        return b"".join(self.store.get(key))

    def lose(self, key: str) -> None:
        """An object and its receipt go."""
        self.store.delete(receipt_key(key))
        self.store.delete(key)

    def check(self) -> None:
        """What must hold at any time: all that is visible is whole, and each receipt is true.

        The earlier backup is as it was, and nothing is there that is not one of ours.
        """
        assert self.body(EARLIER) == self.earlier
        bodies = {}
        for key in self.visible():
            if parse_key(key, PREFIX) is not None:
                bodies[key] = prove(self.body(key))
        receipts = [key for key in self.visible() if key.endswith(".json")]
        assert len(bodies) + len(receipts) == len(self.visible())
        for key in receipts:
            body = bodies.get(key.removesuffix(".json"))
            assert body is not None, "a receipt without its body"
            receipt = decode_receipt(self.body(key), key.removesuffix(".json"))
            assert (receipt.size, receipt.sha256, receipt.members) == (body.size, body.sha256, body.members)

    def proven(self) -> set[str]:
        """The backups that count."""
        return {backup.key for backup in catalogue(self.store.list(PREFIX), PREFIX) if backup.proven}


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))
