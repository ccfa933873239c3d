"""The backup that a run makes, once it is in the store: found, checked, and given its receipt.

A run may be started twice (Kubernetes starts a pod again, a manager is killed): whichever start was
first stays, and a receipt is always for the body beside it.
"""

from __future__ import annotations

from datetime import datetime

from bao_backup import __version__
from bao_backup.core.errors import ReceiptVersionError, StorageError, StoredDiffersError, VerificationError
from bao_backup.core.model import Contents, Leader, Stored, Trigger, Value, VerifyLevel
from bao_backup.core.naming import receipt_key
from bao_backup.core.receipt import Receipt, Verification, encode_receipt, identity_of
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.storage import MIB
from bao_backup.core.storage_errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from bao_backup.flows.read import read_receipt, read_whole
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Reporter, Store


class BackupOrder(Value, frozen=True, kw_only=True):
    """What is to be backed up, and to where."""

    namespace: str
    name: str
    #: The folder of this cluster's backups in the store.
    prefix: str
    key: str
    slot: datetime | None = None
    trigger: Trigger = Trigger.SCHEDULED
    verify: VerifyLevel = VerifyLevel.HEAD
    #: None: keep everything.
    retention: RetentionPolicy | None = None
    #: Of the upload, on the average; 0: as fast as it goes. And the bytes of its parts.
    max_bytes_per_second: int = 0
    part_size: int = 10 * MIB


class OwnBackup:
    """The backup at the order's key, as the store has it."""

    def __init__(
        self, order: BackupOrder, *, store: Store, clock: Clock, stop: Stop, reporter: Reporter
    ) -> None:
        self._order = order
        self._store = store
        self._clock = clock
        self._stop = stop
        self._reporter = reporter
        #: What a person should know besides.
        self.warnings: list[str] = []

    def find(self) -> Receipt | None:
        """The receipt that another start of this run wrote, if its body is there, too.

        A receipt that is none, or does not fit what is there, is replaced by this run.
        """
        try:
            receipt = read_receipt(self._store, self._order.key)
            body = self._store.head(self._order.key)
        except ObjectNotFoundError:
            return None
        except ReceiptVersionError:
            raise
        except VerificationError as error:
            self._reporter.say(f"{error}: it is replaced")
            return None
        if body.size != receipt.size:
            self._reporter.say(
                f"{body.key} has {body.size} bytes, its receipt says {receipt.size}: both are replaced"
            )
            return None
        return receipt

    def check(self, stored: Stored, contents: Contents) -> None:
        """Ask the store what it has; read it all back when the order says so."""
        doing = f"check {self._store.location}/{self._order.key}"
        head = self._store.head(self._order.key)
        if not _same(stored, head):
            raise ObjectChangedError(doing, "another object took its place")
        try:
            if head.size != contents.size:
                raise StoredDiffersError(doing, f"{head.size} bytes stored, {contents.size} sent")
            if self._order.verify is VerifyLevel.FULL:
                self._reporter.say("reading it back")
                again = read_whole(self._store, head, self._stop, self._reporter)
                if again.sha256 != contents.sha256:
                    raise StoredDiffersError(doing, "its SHA-256 is not that of what was sent")
        except VerificationError as error:
            self._take_back(stored)
            raise StoredDiffersError(doing, error.why) from error

    def _take_back(self, stored: Stored) -> None:
        """What is stored is not what was sent: it must not stay visible."""
        try:
            if _same(stored, self._store.head(stored.key)):
                self._store.delete(stored.key)
        except ObjectNotFoundError:
            return
        except StorageError as error:
            self.warnings.append(f"{stored.key} is not whole and could not be deleted: {error.why}")

    def write_receipt(
        self,
        leader: Leader,
        stored: Stored,
        contents: Contents,
        *,
        started: datetime,
        stream_started: datetime,
    ) -> Receipt:
        """Write it, create-only; both times are the run's, and those of its stream."""
        finished = self._clock.now()
        receipt = Receipt(
            key=self._order.key,
            size=contents.size,
            sha256=contents.sha256,
            started=started,
            stream_started=stream_started,
            finished=finished,
            slot=self._order.slot,
            trigger=self._order.trigger,
            cluster=identity_of(self._order.namespace, self._order.name, leader),
            snapshot=contents.meta,
            members=contents.members,
            inventory=contents.inventory,
            verification=Verification(level=self._order.verify, time=finished),
            locked_until=stored.locked_until,
            tool=f"bao-backup {__version__}",
        )
        self._create_receipt(receipt, stored)
        if not _same(stored, self._store.head(receipt.key)):
            # Another start of this run put its body there while the receipt was written.
            if self._is_ours(receipt):
                self._store.delete(receipt_key(receipt.key))
            raise ObjectChangedError(f"complete {receipt.key}", "another object took its place")
        return receipt

    def _create_receipt(self, receipt: Receipt, stored: Stored) -> None:
        where, body = receipt_key(receipt.key), encode_receipt(receipt)
        try:
            self._store.create(where, body)
        except ObjectExistsError:
            if self._is_ours(receipt):
                return  # it was written, and the answer was lost
            if not _same(stored, self._store.head(receipt.key)):
                raise  # it is for a body that replaced ours
            self._store.delete(where)  # it is for a body that ours replaced
            self._store.create(where, body)

    def _is_ours(self, receipt: Receipt) -> bool:
        try:
            return read_receipt(self._store, receipt.key) == receipt
        except (ObjectNotFoundError, VerificationError):
            return False


def _same(stored: Stored, head: Stored) -> bool:
    """Whether it is the object that was put, as far as the store can tell."""
    return stored.etag is None or head.etag is None or stored.etag == head.etag
