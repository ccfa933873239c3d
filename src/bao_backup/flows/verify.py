"""Re-reads backups from the store and proves them; adopts those that have no receipt yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from bao_backup import __version__
from bao_backup.core.errors import BaoBackupError, InterruptedRunError, StorageError, VerificationError
from bao_backup.core.model import Backup, Contents, Value, VerifyLevel
from bao_backup.core.naming import receipt_key
from bao_backup.core.receipt import (
    Receipt,
    Verification,
    adopted_receipt,
    encode_receipt,
    identity_of,
)
from bao_backup.core.storage_errors import ObjectExistsError, ObjectNotFoundError
from bao_backup.flows.read import compare, read_receipt, read_whole
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Reporter, Store


class Verdict(StrEnum):
    """What reading a backup again showed."""

    PROVEN = "Proven"
    ADOPTED = "Adopted"
    FAILED = "Failed"


class Verified(Value, frozen=True, kw_only=True, omit_defaults=False):
    """One backup, read again."""

    key: str
    verdict: Verdict
    size: int = 0
    sha256: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int = 0


class VerifyFlow:
    """Reads whole objects, one after the other; each is proven against itself and its receipt."""

    def __init__(
        self, namespace: str, name: str, *, store: Store, clock: Clock, stop: Stop, reporter: Reporter
    ) -> None:
        self._namespace = namespace
        self._name = name
        self._store = store
        self._clock = clock
        self._stop = stop
        self._reporter = reporter

    def verify_all(self, backups: Iterable[Backup]) -> Iterator[Verified]:
        """A verdict for each backup; one that fails does not end the others. A signal does."""
        for backup in backups:
            try:
                yield self.verify(backup.key)
            except InterruptedRunError:
                raise
            except BaoBackupError as error:
                yield Verified(
                    key=backup.key,
                    verdict=Verdict.FAILED,
                    reason=error.reason,
                    message=error.message,
                    exit_code=error.exit_code,
                )

    def verify(self, key: str) -> Verified:
        """Prove the stored bytes of `key`, and its receipt; write a receipt where there is none.

        Raises ArchiveError or StoredDiffersError when the backup is not what it must be; its
        receipt is withdrawn then, so that it does not count as good, least of all for retention.
        """
        self._reporter.say(f"reading {self._store.location}/{key}")
        head = self._store.head(key)
        receipt = self._receipt(key)
        try:
            contents = read_whole(self._store, head, self._stop, self._reporter)
            if receipt is not None:
                compare(receipt, contents)
        except VerificationError:
            if receipt is not None:
                self._withdraw(key)
            raise
        if receipt is not None:
            return self._verified(key, Verdict.PROVEN, contents)
        self._adopt(key, contents)
        return self._verified(key, Verdict.ADOPTED, contents)

    def _receipt(self, key: str) -> Receipt | None:
        try:
            return read_receipt(self._store, key)
        except ObjectNotFoundError:
            return None

    def _withdraw(self, key: str) -> None:
        try:
            self._store.delete(receipt_key(key))
        except StorageError as error:
            self._reporter.say(f"{key} still counts as good: its receipt was not withdrawn: {error.why}")
        else:
            self._reporter.say(f"{key}: its receipt is withdrawn; it is unproven until it proves whole again")

    def _adopt(self, key: str, contents: Contents) -> None:
        proven = Verification(level=VerifyLevel.FULL, time=self._clock.now())
        cluster = identity_of(self._namespace, self._name, None)
        tool = f"bao-backup {__version__}"
        receipt = adopted_receipt(key, contents, cluster, proven, tool)
        try:
            self._store.create(receipt_key(key), encode_receipt(receipt))
        except ObjectExistsError:
            compare(read_receipt(self._store, key), contents)

    @staticmethod
    def _verified(key: str, verdict: Verdict, contents: Contents) -> Verified:
        return Verified(key=key, verdict=verdict, size=contents.size, sha256=contents.sha256)
