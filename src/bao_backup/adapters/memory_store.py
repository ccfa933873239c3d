"""A store in memory, and a wrapper that lets any store fail at a chosen moment.

Both work as the port says. They serve tests and trials; nothing is kept when the program ends.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from msgspec.structs import replace

from bao_backup.core.errors import StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage import MIB, check_key, check_prefix
from bao_backup.core.storage_errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
)
from bao_backup.core.store_facts import StoreFacts
from bao_backup.ports import Store

CHUNK = MIB
Method = Literal["put", "create", "get", "head", "list", "delete", "sweep", "describe"]
T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """A bucket in memory. Safe for use by several threads."""

    def __init__(
        self, name: str = "bucket", now: Callable[[], datetime] = _now, locked_for: timedelta | None = None
    ) -> None:
        """`locked_for`: how long each object cannot be deleted."""
        self._name = name
        self._now = now
        self._locked_for = locked_for
        self._locked: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[Stored, bytes]] = {}
        #: What it tells of itself.
        self.facts = StoreFacts(versioning=False, lock=locked_for is not None, lifecycle=())

    @property
    def location(self) -> str:
        """Such as "memory://bucket"."""
        return f"memory://{self._name}"

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Gather the chunks, and let the object appear at the end."""
        check_key(key)
        body = b"".join(chunks)
        with self._lock:
            return self._keep(key, body)

    def create(self, key: str, body: bytes) -> Stored:
        """Look and write under one lock."""
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise ObjectExistsError(f"create {self.location}/{key}", "there is one already")
            return self._keep(key, body)

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Chunks of 1 MiB of the object as it is at the first one."""
        check_key(key)
        return self._read(key, etag)

    def head(self, key: str) -> Stored:
        """What `list` says of the one key."""
        return self._find("look at", check_key(key))[0]

    def list(self, prefix: str) -> Iterator[Stored]:
        """All as they are at the first one."""
        folder = check_prefix(prefix)
        with self._lock:
            found = [self._objects[key][0] for key in sorted(self._objects)]
        yield from (stored for stored in found if not folder or stored.key.startswith(f"{folder}/"))

    def delete(self, key: str) -> None:
        """Forget it."""
        check_key(key)
        with self._lock:
            until = self._locked.get(key)
            if until is not None and until > self._now():
                raise ObjectLockedError(f"delete {self.location}/{key}", f"it is locked until {until}")
            self._objects.pop(key, None)

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """Forget them, one after the other."""
        kept: dict[str, StorageError] = {}
        for key in keys:
            try:
                self.delete(key)
            except StorageError as error:
                kept[key] = error
        return kept

    def sweep(self, prefix: str) -> int:
        """There is nothing to sweep: what was being written ended with its program."""
        check_prefix(prefix)
        return 0

    def describe(self) -> StoreFacts:
        """As a test or a trial has set it."""
        return self.facts

    def _read(self, key: str, etag: str | None) -> Iterator[bytes]:
        stored, body = self._find("read", key)
        if etag not in (None, stored.etag):
            raise ObjectChangedError(f"read {self.location}/{key}", "it was replaced meanwhile")
        for start in range(0, len(body), CHUNK):
            yield body[start : start + CHUNK]

    def _find(self, verb: str, key: str) -> tuple[Stored, bytes]:
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectNotFoundError(f"{verb} {self.location}/{key}", "there is no such object")
        return found

    def _keep(self, key: str, body: bytes) -> Stored:
        etag = hashlib.sha256(body).hexdigest()
        stored = Stored(key=key, size=len(body), modified=self._now(), etag=etag)
        self._objects[key] = (stored, body)
        if self._locked_for is None:
            return stored
        self._locked[key] = stored.modified + self._locked_for
        return replace(stored, locked_until=self._locked[key])


@dataclass(frozen=True)
class Fault:
    """A failure at one call of one method.

    With neither `after` nor `lost_answer` the call fails before it has any effect.
    """

    method: Method
    error: BaseException
    #: Which call of this method fails, from 1; its `key` (or prefix) counts when it is given.
    call: int = 1
    key: str | None = None
    #: How many calls in a row fail.
    times: int = 1
    #: put and get: fail when so many bytes went through. list: so many objects.
    after: int | None = None
    #: The call takes effect, and only then fails: its answer was lost.
    lost_answer: bool = False


class FaultyStore:
    """Any store, with faults. `calls` tells what was asked of it, in order: (method, key)."""

    def __init__(self, store: Store, faults: Iterable[Fault] = ()) -> None:
        self._store = store
        self._faults = tuple(faults)
        self._lock = threading.Lock()
        self.calls: list[tuple[Method, str]] = []

    @property
    def location(self) -> str:
        """The inner store's."""
        return self._store.location

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """As the inner store; `after` bytes of the chunks its upload is aborted."""
        fault = self._due("put", key)
        try:
            if fault is not None and fault.after is not None:
                chunks = _cut(chunks, fault.after, fault.error, len)
            return self._run(fault, lambda: self._store.put(key, chunks))
        finally:
            _close(chunks)

    def create(self, key: str, body: bytes) -> Stored:
        """As the inner store."""
        return self._run(self._due("create", key), lambda: self._store.create(key, body))

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """As the inner store; the fault comes when it is read."""
        fault = self._due("get", key)
        chunks = self._store.get(key, etag=etag)
        return chunks if fault is None else _cut(chunks, fault.after or 0, fault.error, len)

    def head(self, key: str) -> Stored:
        """As the inner store."""
        return self._run(self._due("head", key), lambda: self._store.head(key))

    def list(self, prefix: str) -> Iterator[Stored]:
        """As the inner store; the fault comes when it is read."""
        fault = self._due("list", prefix)
        found = self._store.list(prefix)
        return found if fault is None else _cut(found, fault.after or 0, fault.error, lambda _stored: 1)

    def delete(self, key: str) -> None:
        """As the inner store."""
        self._run(self._due("delete", key), lambda: self._store.delete(key))

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """One after the other, so that each may have a fault of its own, which is one of `delete`."""
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                self.delete(key)
            except StorageError as error:
                failed[key] = error
        return failed

    def sweep(self, prefix: str) -> int:
        """As the inner store."""
        return self._run(self._due("sweep", prefix), lambda: self._store.sweep(prefix))

    def describe(self) -> StoreFacts:
        """As the inner store."""
        return self._run(self._due("describe", ""), self._store.describe)

    def _due(self, method: Method, key: str) -> Fault | None:
        """Count the call, and give the fault that is due at it."""
        with self._lock:
            self.calls.append((method, key))
            calls = list(self.calls)
        for fault in self._faults:
            if fault.method != method or fault.key not in (None, key):
                continue
            count = sum(each == method and fault.key in (None, at) for each, at in calls)
            if fault.call <= count < fault.call + fault.times:
                return fault
        return None

    def _run(self, fault: Fault | None, act: Callable[[], T]) -> T:
        if fault is None or fault.after is not None:
            return act()
        if fault.lost_answer:
            act()
        raise fault.error


def _cut(items: Iterator[T], after: int, error: BaseException, measure: Callable[[T], int]) -> Iterator[T]:
    """Pass on items until they measure `after`, then raise; an item may be passed on that crosses it."""
    passed = 0
    try:
        while passed < after:
            item = next(items, None)
            if item is None:
                break
            passed += measure(item)
            yield item
        raise error
    finally:
        _close(items)


def _close(items: Iterator[T]) -> None:
    ending = getattr(items, "close", None)
    if ending is not None:
        ending()
