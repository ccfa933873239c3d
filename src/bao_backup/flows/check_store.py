"""The lines of a check that are about the store: probes beside the backups, and what the store tells."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from msgspec.structs import replace

from bao_backup.core.check import (
    DEAD_AFTER,
    Line,
    clock_offset,
    failed,
    is_probe,
    judge_store_clock,
    not_permitted,
    passed,
    probe_keys,
)
from bao_backup.core.check_store import FACTS, WantedOfStore, drops, judge_facts
from bao_backup.core.errors import BaoBackupError, StorageError, StoredDiffersError
from bao_backup.core.model import Stored
from bao_backup.core.naming import catalogue
from bao_backup.core.storage_errors import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageFullError,
    StorageKeyError,
)
from bao_backup.core.words import count_in_words
from bao_backup.flows.check_lines import Lines
from bao_backup.ports import Clock, Store

#: What the probes hold: a text for whoever finds one.
BODY = b"Written by bao-backup check, which removes it again. It may be deleted at any time.\n"
#: The lines that need the probe, and all of them, in their order.
OF_PROBE = ("createOnly", "stream", "describe", "read")
NAMES = ("write", *OF_PROBE, "list", "delete", "storeClock", *FACTS)
#: After one of these the store answers, and has other things to tell.
_ANSWERS = (StorageDeniedError, StorageFullError, StorageKeyError)


def _is_answer(error: BaoBackupError) -> bool:
    """Also a plain StorageError: an answer about this one request, as a 400 or 501 to an option of it."""
    return type(error) is StorageError or isinstance(error, _ANSWERS)


class StoreCheck:
    """Tries one store, and removes its probes again, whatever happens."""

    def __init__(
        self, lines: Lines, open_store: Callable[[], Store], wanted: WantedOfStore, number: int, clock: Clock
    ) -> None:
        self._lines = lines
        self._open = open_store
        self._wanted = wanted
        self._clock = clock
        self._key, self._stream = probe_keys(wanted.prefix, number)
        #: The probes that may be there, and those of which the store says so.
        self._there: list[str] = []
        self._sent: list[str] = []
        self._written: tuple[datetime, datetime] | None = None

    def run(self) -> None:
        """Add all of its lines. Raises InterruptedRunError, after the probes are gone."""
        opened: list[Store] = []

        def write() -> Line:
            opened.append(self._open())
            return self._write(opened[0])

        try:
            error = self._lines.attempt("write", write)
            if error is not None and not (opened and _is_answer(error)):
                self._lines.skip(NAMES[1:], "needs a store that opens and answers")
                return
            self._try_all(opened[0], wrote=error is None)
        finally:
            if opened:
                self._clean_up(opened[0])

    def _try_all(self, store: Store, *, wrote: bool) -> None:
        if wrote:
            self._lines.attempt("createOnly", lambda: self._create_again(store))
            self._lines.attempt("stream", lambda: self._put(store))
            self._lines.attempt("describe", lambda: self._head(store))
            self._lines.attempt("read", lambda: self._get(store))
        else:
            self._lines.skip(OF_PROBE, "needs the probe that could not be written")
        self._lines.attempt("list", lambda: self._list(store, wrote=wrote))
        # Before the probe is gone; told after it.
        modified = self._modified(store) if wrote else None
        if wrote:
            self._lines.attempt("delete", lambda: self._delete(store))
        else:
            self._lines.skip(("delete",), "needs the probe that could not be written")
        if modified is not None and self._written is not None:
            before, after = self._written
            self._lines.add(judge_store_clock(clock_offset(before, modified, after)))
        else:
            self._lines.skip(("storeClock",), "needs a probe that can be written and looked at")
        self._try_facts(store)

    def _try_facts(self, store: Store) -> None:
        lines: list[Line] = []

        def ask() -> Line:
            lines.extend(judge_facts(store.describe(), self._wanted))
            return lines[0]

        if self._lines.attempt(FACTS[0], ask) is not None:
            self._lines.skip(FACTS[1:], "needs a store that tells of itself")
            return
        for line in lines[1:]:
            self._lines.add(line)

    # --- the probes ----------------------------------------------------------------------------

    def _write(self, store: Store) -> Line:
        before = self._clock.now()
        self._there.append(self._key)  # before its answer, which may be lost
        try:
            store.create(self._key, BODY)
        except StorageDeniedError:
            self._there.remove(self._key)
            raise
        self._sent.append(self._key)
        self._written = before, self._clock.now()
        return passed("write", f"a probe in {store.location}/{self._wanted.prefix}")

    def _create_again(self, store: Store) -> Line:
        try:
            store.create(self._key, BODY)
        except ObjectExistsError:
            return passed("createOnly", "a second object of the same key is refused")
        raise StorageError(
            f"create {store.location}/{self._key} twice",
            "the store took it twice: two runs could overwrite each other's receipts",
            hint="use a store, or a version of it, that knows conditional writes (If-None-Match: *)",
        )

    def _put(self, store: Store) -> Line:
        self._there.append(self._stream)
        half = len(BODY) // 2
        store.put(self._stream, iter([BODY[:half], BODY[half:]]))
        self._sent.append(self._stream)
        return passed("stream", "an upload whose length nobody knows before")

    def _head(self, store: Store) -> Line:
        stored = store.head(self._key)
        if stored.size != len(BODY):
            why = f"{stored.size} bytes stored, {len(BODY)} sent"
            raise StoredDiffersError(f"look at {store.location}/{self._key}", why)
        return passed("describe", "it has the size that was sent")

    def _get(self, store: Store) -> Line:
        for key in self._sent:
            if b"".join(store.get(key)) != BODY:
                raise StoredDiffersError(f"read {store.location}/{key}", "it is not what was sent")
        return passed("read", "it is what was sent")

    def _list(self, store: Store, *, wrote: bool) -> Line:
        prefix = self._wanted.prefix
        found = list(store.list(prefix))
        if wrote and self._key not in {stored.key for stored in found}:
            why = "what was just written is not listed"
            raise StorageError(
                f"list {store.location}/{prefix}", why, hint="use a store whose lists are not late"
            )
        backups = catalogue(found, prefix)
        largest = max((backup.size for backup in backups), default=0)
        self._wanted = replace(self._wanted, largest=largest)
        self._see_absence(store)
        swept = self._sweep(store, found)
        left = f"; {count_in_words(swept, 'probe')} of killed checks removed" if swept else ""
        return passed("list", f"{count_in_words(len(backups), 'backup')} there{left}")

    def _see_absence(self, store: Store) -> None:
        """A run begins by looking for its own receipt: what is missing must be told as missing."""
        with suppress(ObjectNotFoundError):
            store.head(f"{self._key}-missing")

    def _sweep(self, store: Store, found: list[Stored]) -> int:
        """Remove the probes of checks that were killed; by the store's own clock."""
        own = [stored.modified for stored in found if stored.key == self._key]
        dead = [
            stored.key
            for stored in found
            if own and is_probe(stored.key, self._wanted.prefix) and own[0] - stored.modified > DEAD_AFTER
        ]
        return len(dead) - len(store.delete_many(dead)) if dead else 0

    def _modified(self, store: Store) -> datetime | None:
        try:
            return store.head(self._key).modified
        except BaoBackupError:
            return None  # told by the line before

    def _delete(self, store: Store) -> Line:
        try:
            for key in tuple(self._there):
                store.delete(key)
                self._see_gone(store, key)
                self._there.remove(key)
        except ObjectLockedError as error:
            words = f"the probe stays while it is locked: {error.why}"
            return not_permitted("delete", words, "nothing is wrong: a later check removes it")
        except StorageDeniedError as error:
            if drops(self._wanted.retention):
                return failed("delete", error)
            words = f"{error.doing}: {error.why}; the probe stays, and nothing else is to be deleted here"
            return not_permitted("delete", words, f"no retention needs it now; for one: {error.hint}")
        return passed("delete", "the probes are gone")

    def _see_gone(self, store: Store, key: str) -> None:
        try:
            store.head(key)
        except (ObjectNotFoundError, StorageDeniedError):
            return
        raise StorageError(
            f"delete {store.location}/{key}",
            "the store says that it is deleted, and still has it",
            hint="look at what keeps it: a lock, a hold, or a cache in between",
        )

    def _clean_up(self, store: Store) -> None:
        """Once more for what may be there; a later check removes what stays."""
        for key in self._there:
            with suppress(StorageError):
                store.delete(key)
