"""The backup that is restored: resolved to one immutable object, proven, and read a second time."""

from __future__ import annotations

from collections.abc import Generator

from bao_backup.core.blocks import BLOCK, Blocks
from bao_backup.core.errors import BaoBackupError, ReceiptVersionError, StoredDiffersError, VerificationError
from bao_backup.core.model import Contents, Stored, Value
from bao_backup.core.naming import catalogue
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_checks import check_expected
from bao_backup.core.restore_choice import candidates, check_wanted, is_of, none_so_early, taken_too_late
from bao_backup.core.restore_settings import Place, RestoreSettings
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.flows.read import Readable, compare, read_receipt, read_whole
from bao_backup.flows.stop import Stop
from bao_backup.ports import Reporter


class ProvenBackup(Value, frozen=True, kw_only=True):
    """One immutable object, read whole, that is what its receipt and the person say."""

    stored: Stored
    #: For people: "s3://bucket/key".
    location: str
    contents: Contents
    #: None for a file, and for an object that no run of ours has proven.
    receipt: Receipt | None
    #: It is in the folder of the cluster that is overwritten.
    own: bool
    #: Which receipts were not to be read, and what that means.
    warnings: tuple[str, ...] = ()


class RestoreSource:
    """Finds, proves and streams the backup that the settings want.

    Args:
        settings: which one.
        source: where it is: the store of `settings.source`, or the file `settings.wanted.file`.
        stop: asked at every chunk.
        reporter: told what is read.
        block: in pieces of so many bytes the second reading is compared with the first.
    """

    def __init__(
        self,
        settings: RestoreSettings,
        source: Readable,
        *,
        stop: Stop,
        reporter: Reporter,
        block: int = BLOCK,
    ) -> None:
        self._block = block
        self._settings = settings
        self._source = source
        self._stop = stop
        self._reporter = reporter
        #: The last chunk was given out: whoever took it may have a whole snapshot.
        self.whole = False
        #: Of what was proven, the SHA-256 until the end of each block.
        self._sums: list[bytes] = []
        self._warnings: list[str] = []

    def prove(self) -> ProvenBackup:
        """Read it to its end.

        Raises ConfigurationError, a StorageError, a VerificationError (BackupUnexpectedError for a whole
        one that is not the one that was meant).
        """
        check_wanted(self._settings)
        key, receipt = self._resolve()
        stored = self._source.head(key)
        location = f"{self._source.location}/{key}" if not self._settings.wanted.file else key
        self._reporter.say(f"proving {location}")
        contents = self._read(stored)
        if receipt is not None:
            compare(receipt, contents)
        check_expected(location, self._settings.wanted, contents, receipt)
        place = self._settings.source
        own = place is not None and is_of(key, place.prefix)
        return ProvenBackup(
            stored=stored,
            location=location,
            contents=contents,
            receipt=receipt,
            own=own,
            warnings=tuple(self._warnings),
        )

    def _read(self, stored: Stored) -> Contents:
        """Prove it, and keep by what a second reading is known for the same."""
        blocks = Blocks(self._block)
        self._sums = []
        return read_whole(
            self._source,
            stored,
            self._stop,
            self._reporter,
            lambda chunk: self._sums.extend(block.sum for block in blocks.feed(chunk)),
        )

    def again(self, stored: Stored, proven: Contents) -> Generator[bytes, None, None]:
        """The same object in chunks: each is known for what was proven, before it is given out.

        Their SHA-256 says that: what is inside them was proven with it, and is not unpacked again. The
        last one is given out only when all of them have come. Raises ObjectChangedError,
        StoredDiffersError, or what ends the run.
        """
        doing = f"read {stored.key} again"
        blocks, size, number, last = Blocks(self._block), 0, 0, b""
        for chunk in self._source.get(stored.key, etag=stored.etag):
            self._stop.check()
            size += len(chunk)
            if size > proven.size:
                raise StoredDiffersError(doing, f"it goes on behind the {proven.size} bytes of before")
            self._reporter.moved(size)
            for block in blocks.feed(chunk):
                if block.sum != self._sums[number]:
                    end = (number + 1) * self._block
                    why = f"its SHA-256 until byte {end} is not that of when it was proven"
                    raise StoredDiffersError(doing, why)
                number += 1
                if last:
                    yield last
                last = block.content
        rest = blocks.rest()
        if rest.sum.hex() != proven.sha256:
            raise StoredDiffersError(doing, "its SHA-256 is not that of when it was proven")
        self._stop.check()
        if last and rest.content:
            yield last
        self.whole = True
        yield rest.content or last

    def _resolve(self) -> tuple[str, Receipt | None]:
        """The key that is meant, and its receipt."""
        wanted, place = self._settings.wanted, self._settings.source
        if wanted.file:
            return wanted.file, None
        if wanted.key:
            return wanted.key, self._receipt_of(wanted.key)
        assert place is not None  # noqa: S101 - check_wanted saw to it
        return self._best(place)

    def _receipt_of(self, key: str) -> Receipt | None:
        """That of the very backup that a person named: without it, its own checksums say what it is."""
        try:
            return read_receipt(self._source, key)
        except ObjectNotFoundError:
            return None
        except ReceiptVersionError:
            raise  # it is a good one, which a newer program reads
        except VerificationError as error:
            self._warnings.append(f"its receipt is damaged, and counts for nothing: {error.why}")
            return None

    def _best(self, place: Place) -> tuple[str, Receipt]:
        """The newest one that is wanted; one whose receipt is damaged is passed over, and told."""
        wanted, damaged = self._settings.wanted, list[BaoBackupError]()
        for backup in candidates(
            wanted, place.prefix, catalogue(self._source.list(place.prefix), place.prefix)
        ):
            try:
                receipt = read_receipt(self._source, backup.key)
            except ReceiptVersionError:
                raise
            except (ObjectNotFoundError, VerificationError) as error:
                self._warnings.append(
                    f"{backup.key} is newer and was passed over: {error.why}; --key {backup.key} restores it"
                )
                damaged.append(error)
                continue
            if not taken_too_late(wanted, receipt):
                return backup.key, receipt
            self._reporter.say(f"{backup.key} was taken later than its slot, and later than is wanted")
        if damaged:
            raise damaged[0]
        raise none_so_early(wanted, place.prefix)
