"""Restoring into a real server, beside the server's own command line."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from tests.harness import build
from tests.harness.errors import HarnessError
from tests.harness.logins import enable_approle
from tests.harness.vault import VaultCluster

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.restore_settings import Wanted
from bench.comparison import most_memory, timed
from bench.contenders import Contender, Source, ours, ours_on, ours_restoring, vault_restoring
from bench.plan import Plan
from bench.report import Row, Section, mebibytes, seconds, size_in_words
from bench.stage import KEY, Stage
from bench.told import Told
from bench.usage import ContenderError, Pair, Usage, processor, wall

#: Rounds at most: each restores three times.
ROUNDS = 3
#: Written after the backup, so that it is gone where the backup is restored.
MARKER = "written-after-the-backup"
RULES = 'path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }'
#: How often the observer looks, in seconds, and how long it waits for the old data.
LOOKS, PATIENCE = 0.2, 300.0

MEANING = """\
A real Vault (one node, TLS) is filled, backed up into MinIO, and the same bytes are put into a local
file. Then it is restored again and again, with something new in it each time. Ours is `bao-backup
restore`, by a login of its own (AppRole), without a safety backup: it reads and proves all of the backup
before the server hears of it, sends it while it sums it up a second time, and watches the server until a
leader has settled. The peer, `vault operator raft snapshot restore FILE`, sends the file as it is, with
the root token, and ends with the server's answer, which comes before the server has applied anything.

So what is compared is the sending: of ours from the line that says it begins until the one that says
that the server takes it, connecting included; of the peer all of its command, its start included.
"Old data back" is until somebody who asks the server every 0.2 s no longer finds what was written after
the backup, in both cases from the same beginning on. Ours ends later: it looks at a settled leader three
times, a second apart."""


@dataclass(frozen=True)
class Restored:
    """One restore. Seconds."""

    usage: Usage
    #: Until the sending began: start, proof, login, looks at the server.
    before: float
    sending: float
    #: From the beginning of the sending until the data of the backup was served.
    back: float

    def as_sending(self) -> Usage:
        """The sending alone, as if it were all."""
        return Usage(self.usage.begun, self.sending, 0.0, 0)

    def as_back(self) -> Usage:
        """The same, until the old data was back."""
        return Usage(self.usage.begun, self.back, 0.0, 0)


def restore(stage: Stage, plan: Plan) -> Section:
    """From a file and from MinIO, against Vault's own command."""
    with _desk(stage, plan.restore) as desk:
        desk.round()  # warms caches up, and does not count
        rounds = [desk.round() for _ in range(min(plan.runs, ROUNDS))]
        safety = desk.safety_backup()
    ours_file, peers, ours_bucket = zip(*rounds, strict=True)
    name = size_in_words(plan.restore)
    rows = [
        *_rows(f"{name} from a file", ours_file, peers),
        *_rows(f"{name} from MinIO, beside the peer's file", ours_bucket, peers),
        Row("a safety backup into MinIO before it", seconds(safety), "", safety, None, " s"),
    ]
    order = "ours from the file, the peer, ours from MinIO"
    size = f"The snapshot is {mebibytes(desk.size)}, in entries of 512 KiB"
    notes = (f"{size}. Medians of {len(rounds)} rounds: {order}.",)
    return Section("Restoring", MEANING, rows, notes)


def _rows(what: str, mine: Sequence[Restored], peers: Sequence[Restored]) -> list[Row]:
    def pairs(figure: str) -> list[Pair]:
        of = {"all": lambda each: each.usage, "sending": Restored.as_sending, "back": Restored.as_back}[
            figure
        ]
        return [Pair(of(our), of(peer)) for our, peer in zip(mine, peers, strict=True)]

    before = statistics.median(each.before for each in mine)
    settled = statistics.median(each.usage.wall - each.before for each in mine)
    return [
        Row(f"{what}: start, proof, login, looks", seconds(before), "", before, None, " s"),
        timed(f"{what}: sending until accepted", pairs("sending"), wall, 1.1),
        timed(f"{what}: sending until the old data is back", pairs("back"), wall),
        Row(
            f"{what}: sending until a leader has settled, as ours sees it",
            seconds(settled),
            "",
            settled,
            None,
            " s",
        ),
        timed(f"{what}: the whole command, processor time", pairs("all"), processor),
        most_memory(f"{what}: peak memory", pairs("all")),
    ]


@dataclass
class Desk:
    """A filled Vault, its backup in MinIO and in a file."""

    stage: Stage
    vault: VaultCluster
    source: Source
    file: Path
    size: int

    def round(self) -> tuple[Restored, Restored, Restored]:
        """Ours from the file, the peer, ours from MinIO."""
        from_file = ours_restoring(self.source, Wanted(file=str(self.file)), where=None)
        from_bucket = ours_restoring(self.source, Wanted(key=KEY), where=self.stage.target)
        peer = vault_restoring(self.vault, self.file)
        return self._ours(from_file)[0], self._peer(peer), self._ours(from_bucket)[0]

    def safety_backup(self) -> float:
        """Seconds that a safety backup took before one more restore."""
        target = self.stage.target
        contender = ours_restoring(self.source, Wanted(key=KEY), where=target, safety=target)
        _, told = self._ours(contender)
        return (told.when("the way back is") - told.when("backing up what is there")) / 1e9

    def _ours(self, contender: Contender) -> tuple[Restored, Told]:
        with self._observed() as observer, self._told() as told:
            usage = self.stage.run(contender, told.pipe)
        begun, ended = told.when("sending ", " to "), told.when("the server takes it")
        before = (begun - usage.begun) / 1e9
        return Restored(usage, before, (ended - begun) / 1e9, (observer.gone - begun) / 1e9), told

    def _peer(self, contender: Contender) -> Restored:
        with self._observed() as observer:
            usage = self.stage.run(contender)
        return Restored(usage, 0.0, usage.wall, (observer.gone - usage.begun) / 1e9)

    def _observed(self) -> Observer:
        self.vault.write_secret(MARKER, {"data": "new"})
        return Observer(self.vault)

    def _told(self) -> Told:
        return Told(self.stage.folder / "told", self.stage.log)


class Observer:
    """Asks for what was written after the backup, until it is gone; leaving waits for that.

    Attributes:
        gone: when, in nanoseconds of the monotonic clock.
    """

    def __init__(self, vault: VaultCluster) -> None:
        self._vault = vault
        self._given_up = Event()
        self._thread = Thread(target=self._look)
        self.gone = 0

    def _look(self) -> None:
        while not self._given_up.wait(LOOKS):
            try:
                if self._vault.read_secret(MARKER) is None:
                    self.gone = time.monotonic_ns()
                    return
            except HarnessError:  # the server reloads all
                continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(0 if error else PATIENCE)
        self._given_up.set()
        self._thread.join()
        if not error and not self.gone:
            raise ContenderError("what was written after the backup is still there")


@contextmanager
def _desk(stage: Stage, size: int) -> Iterator[Desk]:
    folder = stage.folder / "restore"
    binary = build.binary("vault", stage.say)
    with VaultCluster(folder / "vault", binary, authority=stage.authority) as vault:
        stage.say(f"writing {size_in_words(size)} into Vault")
        vault.fill(size)
        source = Source(vault.addresses[0], stage.authority.ca_file, Path(), _login(vault, folder))
        stage.run(ours(source, stage.target, KEY))
        file = folder / "vault.snap"
        stage.run(ours_on(stage.target, "download", "--quiet", KEY.rpartition("/")[2], file))
        yield Desk(stage, vault, source, file, file.stat().st_size)
    stage.target.empty()


def _login(vault: VaultCluster, folder: Path) -> BaoAuth:
    vault.policy("restore", RULES)
    role = enable_approle(vault, ["restore"], role="restore")
    login = folder / "login"
    login.mkdir()
    (login / "role_id").write_text(role.role_id, encoding="ascii")
    (login / "secret_id").write_text(role.secret_id, encoding="ascii")
    return BaoAuth(method=AuthMethod.APPROLE, secret_folder=str(login))
