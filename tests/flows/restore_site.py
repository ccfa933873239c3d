"""A cluster with new data, a bucket with a backup of its old data, and restores between them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from msgspec.structs import replace
from tests.flows.site import EARLIER, NODES, PIECE, PREFIX, Listener, Time

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster
from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore
from bao_backup.core.archive_writer import build_archive
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.naming import PRE_RESTORE_KIND, catalogue
from bao_backup.core.restore_outcome import Restored
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted
from bao_backup.core.storage import StoreSettings
from bao_backup.flows.backup import BackupFlow
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.read import Readable, read_receipt
from bao_backup.flows.restore import RestoreFlow
from bao_backup.flows.restore_server import RestorePatience
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store

FOREIGN = "other/team/2026-11-20T01-00-00Z-00000007.snap"
QUICK = RestorePatience(tries=3, pause=0.001, leader_wait=5, settle_wait=60)
PLACE = Place(store=StoreSettings(provider="s3", bucket="bucket"), prefix=PREFIX)


def snapshot(
    number: int, *, version: str = "2.4.4", shares: int = 1, padding: int = 300, seal: bool = True
) -> bytes:
    """A genuine archive of some kilobytes, another one for each number."""
    chance = random.Random(number)
    config = {"type": "shamir", "secret_shares": shares, "secret_threshold": 1}
    records = [(b"logical/x/%d" % each, chance.randbytes(40)) for each in range(padding)]
    records.append((b"core/versions/" + version.encode(), chance.randbytes(40)))
    if seal:
        records.append((b"core/seal-config", json.dumps(config).encode()))
    return b"".join(build_archive(records, index=number, term=2, level=1))


def sha256(data: bytes) -> str:
    """As the cluster tells what it applied."""
    return hashlib.sha256(data).hexdigest()


def pieces(data: bytes) -> Iterator[bytes]:
    """In chunks of PIECE bytes."""
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


class SmallChunks(MemoryStore):
    """A bucket that gives an object in many chunks."""

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        for chunk in super().get(key, etag=etag):
            yield from pieces(chunk)


class SmallPieces(RestoreFlow):
    """A backup of some kilobytes is many of them."""

    block = PIECE


class RestoreSite:
    """Three nodes with new data; a bucket with the old data at EARLIER, and a foreign backup at FOREIGN."""

    def __init__(self) -> None:
        self.clock = Time()
        self.stop = Stop(self.clock)
        self.reporter = Listener()
        self.store = SmallChunks(now=self.clock.now)
        self.old, self.new = snapshot(1), snapshot(2)
        self.cluster = MemoryCluster(lambda: pieces(self.old), NODES)
        self.backup(EARLIER)
        self.backup(FOREIGN)
        self.cluster.archive = lambda: pieces(self.new)
        self.cluster.forgets_tokens = True
        self.bao = MemoryBao(self.cluster)
        self.faulty: FaultyStore = FaultyStore(self.store)
        self.safety: FaultyStore = FaultyStore(self.store)
        self.last: RestoreFlow | None = None

    def backup(self, key: str, *, after: float = 0) -> None:
        """What the cluster has now becomes a proven backup, taken so many seconds after its slot."""
        prefix = key.rpartition("/")[0]
        namespace, name = prefix.split("/")[-2:]
        clock = Time()
        clock.pass_(after)
        BackupFlow(
            BackupOrder(namespace=namespace, name=name, prefix=prefix, key=key),
            bao=MemoryBao(self.cluster),
            store=self.store,
            clock=clock,
            stop=Stop(clock),
            reporter=Listener(),
        ).take()

    def settings(self, **changes: Any) -> RestoreSettings:
        """A restore of EARLIER, with a safety backup, and a login that every restore obtains anew."""
        auth = BaoAuth(method=AuthMethod.JWT, role="restore")
        settings = RestoreSettings(
            namespace="default",
            name="prod",
            uid="uid",
            bao=BaoSettings(addresses=NODES, auth=auth),
            wanted=Wanted(key=EARLIER),
            source=PLACE,
            safety=PLACE,
        )
        return replace(settings, **changes)

    def flow(
        self,
        store_faults: Iterable[Fault] = (),
        bao_faults: Iterable[BaoFault] = (),
        *,
        safety_faults: Iterable[Fault] = (),
        bao: MemoryBao | None = None,
        store: Readable | None = None,
        patience: RestorePatience = QUICK,
        login: BaoSettings | None = None,
        **changes: Any,
    ) -> RestoreFlow:
        """A restore that has not begun."""
        settings = self.settings(**changes)
        if login is not None:
            settings = replace(settings, bao=login)
        self.bao = bao or MemoryBao(self.cluster, bao_faults, stall_seconds=0.05)
        self.faulty = FaultyStore(cast("Store", store or self.store), store_faults)
        self.safety = FaultyStore(self.store, safety_faults)
        self.last = SmallPieces(
            settings,
            bao=self.bao,
            source=self.faulty,
            safety=self.safety if settings.safety else None,
            clock=self.clock,
            stop=self.stop,
            reporter=self.reporter,
            patience=patience,
        )
        return self.last

    def run(self, *faults: Any, **more: Any) -> Restored:
        """A whole restore, both halves."""
        with self.flow(*faults, **more) as flow:
            return flow.carry_out(flow.prove())

    # --- what is there -------------------------------------------------------------------------

    def body(self, key: str) -> bytes:
        """An object of the bucket."""
        return b"".join(self.store.get(key))

    def data(self) -> str:
        """Whose data the cluster has: "old", "new", or "?"."""
        now = b"".join(self.cluster.archive())
        return {self.old: "old", self.new: "new"}.get(now, "?")

    def way_back(self) -> list[str]:
        """The safety backups that are proven; each has to be the new data."""
        backups = catalogue(self.store.list(PREFIX), PREFIX)
        keys = [backup.key for backup in backups if backup.kind == PRE_RESTORE_KIND and backup.proven]
        for key in keys:
            assert self.body(key) == self.new
            assert read_receipt(self.store, key).sha256 == sha256(self.new)
        return keys

    def check(self, *, data: str, submissions: int, safety: bool) -> None:
        """What the server has, how often something was sent to it, and whether there is a way back."""
        assert submissions <= 1, "never submit twice"
        assert self.last is not None
        assert (self.data(), self.cluster.submissions) == (data, submissions)
        assert self.cluster.applied == ([sha256(self.old)] if data == "old" else [])
        assert self.way_back() == ([self.last.safety_key] if safety else [])
        assert self.body(EARLIER) == self.old
        assert self.cluster.tokens == {}, "no login is left behind"

    def slow(self, *faults: BaoFault, seconds: float = 1) -> MemoryBao:
        """A cluster at which every call takes so long."""
        site = self

        class Slow(MemoryBao):
            def nodes(self) -> Any:
                site.clock.pass_(seconds)
                return super().nodes()

            def find_leader(self) -> Any:
                site.clock.pass_(seconds)
                return super().find_leader()

        return Slow(self.cluster, faults, stall_seconds=0.05)


def hours(count: float) -> datetime:
    """So many hours of the day of the backups."""
    return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=count)
