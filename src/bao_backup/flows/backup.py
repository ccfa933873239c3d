"""Backs up one cluster once: find the leader, log in, stream, prove, store, check, receipt, retention.

Nothing becomes visible before every checksum inside the snapshot agreed, and nothing counts before
its receipt is written.
"""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.errors import (
    ArchiveError,
    BaoBackupError,
    LeaderError,
    LeaderLostError,
    LoginError,
    SnapshotDeniedError,
    SnapshotError,
    StorageError,
)
from bao_backup.core.model import Leader, Value
from bao_backup.core.receipt import Receipt
from bao_backup.core.storage_errors import ObjectChangedError, ObjectExistsError
from bao_backup.flows.leader import wait_for_leader
from bao_backup.flows.own_backup import BackupOrder, OwnBackup
from bao_backup.flows.stop import Stop
from bao_backup.flows.transfer import ABORT_GRACE, Limit, Proven, limited, transfer
from bao_backup.ports import Bao, Clock, Reporter, SnapshotStream, Store


class Patience(Value, frozen=True, kw_only=True):
    """How long the flow goes on trying, in seconds; the run's deadline bounds all of it."""

    tries: int = 3
    pause: float = 1.0
    leader_wait: float = 300.0
    #: For the store to abort an upload, when the run must end.
    abort: float = ABORT_GRACE


class Taken(Value, frozen=True, kw_only=True):
    """A backup that is stored and proven, and what a person should know besides."""

    receipt: Receipt
    tries: int
    #: It was there already: an earlier start of this very run made it.
    found: bool = False
    warnings: tuple[str, ...] = ()


class BackupFlow:
    """One run. `take` answers with the receipt that it wrote, or raises a BaoBackupError."""

    def __init__(
        self,
        order: BackupOrder,
        *,
        bao: Bao,
        store: Store,
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
        patience: Patience | None = None,
    ) -> None:
        self._order = order
        self._bao = bao
        self._store = store
        self._clock = clock
        self._stop = stop
        self._reporter = reporter
        self._patience = patience or Patience()
        self._logged_in = False
        self._leader_may_be_another = False
        self._own = OwnBackup(order, store=store, clock=clock, stop=stop, reporter=reporter)
        #: How often the stream was begun.
        self.tries = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know besides, so far."""
        return tuple(self._own.warnings)

    def take(self) -> Taken:
        """Do it. Everything that can be tried again within the run is, up to `patience.tries`."""
        receipt = self._own.find()
        found = receipt is not None
        if receipt is None:
            self._sweep()
            receipt, found = self._try_until_taken()
        if found:
            self._reporter.say(f"{receipt.key} is there already, with its receipt")
        return Taken(receipt=receipt, tries=self.tries, found=found, warnings=self.warnings)

    def _try_until_taken(self) -> tuple[Receipt, bool]:
        """The receipt, and whether it is that of another start of this run."""
        started = self._clock.now()
        leader: Leader | None = None
        try:
            while True:
                try:
                    leader = self._find_leader()
                    return self._try_once(leader, started), False
                except (ObjectExistsError, ObjectChangedError):
                    found = self._own.find()
                    if found is None:
                        raise
                    return found, True
                except (SnapshotError, ArchiveError) as error:
                    self._leader_may_be_another = True
                    self._stop.check()
                    if not error.transient or self.tries >= self._patience.tries:
                        raise
                    self._reporter.say(f"try {self.tries} failed ({error.why}); trying again")
                    self._stop.wait(self._patience.pause)
        finally:
            self._revoke(leader)

    def _sweep(self) -> None:
        """Clean up after runs that were killed; that it is not permitted harms nothing now."""
        try:
            swept = self._store.sweep(self._order.prefix)
        except StorageError as error:
            self._own.warnings.append(f"leftovers of killed runs were not looked for: {error.why}")
        else:
            if swept:
                self._reporter.say(f"removed {swept} leftovers of runs that were killed")

    def _find_leader(self) -> Leader:
        """Ask until there is a leader, the patience ends, or the run must end."""
        leader = wait_for_leader(
            self._bao,
            clock=self._clock,
            stop=self._stop,
            reporter=self._reporter,
            pause=self._patience.pause,
            longest=self._patience.leader_wait,
        )
        self._leader_may_be_another = False
        return leader

    def _try_once(self, leader: Leader, started: datetime) -> Receipt:
        self._stop.check()
        self.tries += 1
        stream = self._begin(leader)
        stream_started = self._clock.now()
        reader = ArchiveReader()
        with closing(stream), self._stop.closing(stream.close):
            self._reporter.say(f"streaming into {self._store.location}/{self._order.key}")
            chunks = self._proven(stream, reader)
            stored, contents = transfer(
                self._store, self._order.key, chunks, self._stop, self._patience.abort, self._limit()
            )
        self._own.check(stored, contents)
        return self._own.write_receipt(
            leader, stored, contents, started=started, stream_started=stream_started
        )

    def _limit(self) -> Limit | None:
        order = self._order
        return limited(order.max_bytes_per_second, order.part_size, self._clock, self._stop.wait)

    def _begin(self, leader: Leader) -> SnapshotStream:
        """Log in where that was not done, and begin the stream."""
        fresh = not self._logged_in
        if fresh:
            self._log_in(leader)
        self._stop.check()
        with self._stop.closing(self._bao.interrupt):
            try:
                return self._bao.snapshot(leader)
            except SnapshotDeniedError:
                if fresh:
                    raise
        self._reporter.say("the login of an earlier try is not accepted any more; logging in again")
        self._log_in(leader)
        with self._stop.closing(self._bao.interrupt):
            return self._bao.snapshot(leader)

    def _log_in(self, leader: Leader) -> None:
        self._logged_in = False
        try:
            self._bao.login(leader)
        except LeaderLostError as error:
            if self.tries < self._patience.tries:
                raise
            hint = "the leader does not serve logins: look at the server's log"
            raise LoginError(error.doing, error.why, hint=hint) from error
        self._logged_in = True

    def _proven(self, stream: SnapshotStream, reader: ArchiveReader) -> Proven:
        """The stream's chunks, each read by the archive reader first; at the end, what it proved."""
        try:
            for chunk in stream:
                self._stop.check()
                reader.feed(chunk)
                self._reporter.moved(reader.size)
                yield chunk
        except SnapshotError:
            self._stop.check()  # the stream was closed because the run must end: say that instead
            raise
        contents = reader.finish()
        self._refuse_to_overwrite()
        yield contents

    def _refuse_to_overwrite(self) -> None:
        """Another start of this run may have finished meanwhile: its backup stays as it is."""
        if self._own.find() is not None:
            raise ObjectExistsError(
                f"complete {self._order.key}", "another start of this run finished first; its backup stays"
            )

    def _revoke(self, leader: Leader | None) -> None:
        """Give back the token; that this fails is worth a warning, not the backup."""
        if leader is None or not self._logged_in:
            return
        if self._leader_may_be_another:
            with suppress(LeaderError):
                leader = self._bao.find_leader()
        try:
            self._bao.revoke(leader)
        except BaoBackupError as error:
            self._own.warnings.append(f"the login token was not revoked: {error.why}")
