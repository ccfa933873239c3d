"""What every store promises: the port `Store`, held against each of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from tests.contracts.asking import KEY, MIB, StopError, beside, blocks, keys, read
from tests.contracts.stores import Place

from bao_backup.core.storage_errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from bao_backup.ports import Store

# --- put ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "size"),
    [(0, 0), (1, 0), (1, 1), (3, 0), (1, 5 * MIB), (13, MIB), (40, 300_001), (1, 12 * MIB)],
)
def test_put_and_get(store: Store, count: int, size: int) -> None:
    """What is put is read back byte for byte."""
    body = b"".join(blocks(count, size))
    sent = store.put(KEY, blocks(count, size))
    assert (sent.key, sent.size) == (KEY, len(body))
    assert store.head(KEY).size == len(body)
    assert read(store) == body


def test_empty_chunk(store: Store) -> None:
    """An empty chunk among others ends nothing."""
    store.put(KEY, iter([b"one", b"", b"two"]))
    assert read(store) == b"onetwo"


def test_put_again(store: Store) -> None:
    """The last put wins."""
    store.put(KEY, blocks(2, seed=1))
    store.put(KEY, iter([b"short"]))
    assert read(store) == b"short"
    assert keys(store) == [KEY]


def test_etag(store: Store) -> None:
    """`put` tells the etag that head and list tell."""
    sent = store.put(KEY, blocks(6))
    assert sent.etag
    assert [sent.etag] * 2 == [store.head(KEY).etag, next(store.list("")).etag]


@pytest.mark.parametrize(
    "error", [StopError("here"), KeyboardInterrupt(), SystemExit(3), OSError(28, "full")]
)
@pytest.mark.parametrize("count", [0, 1, 8, 19])
def test_source_raises(place: Place, count: int, error: BaseException) -> None:
    """An exception of the source surfaces unchanged; nothing is visible, and nothing left to remove."""

    def source() -> Iterator[bytes]:
        yield from blocks(count)
        raise error

    with pytest.raises(type(error)) as raised:
        place.store.put(KEY, source())
    assert raised.value is error
    assert keys(place.store) == []
    if place.traits.aborts:
        assert list(place.hidden()) == []


def test_aborted_put_again(store: Store) -> None:
    """An aborted put leaves the object of before."""
    store.put(KEY, iter([b"before"]))

    def source() -> Iterator[bytes]:
        yield from blocks(7)
        raise StopError

    with pytest.raises(StopError):
        store.put(KEY, source())
    assert read(store) == b"before"


def test_put_under_way(place: Place) -> None:
    """Nothing is visible before the end."""
    seen: list[object] = []

    def look() -> list[str]:
        with pytest.raises(ObjectNotFoundError):
            place.store.head(KEY)
        return keys(place.store)

    def source() -> Iterator[bytes]:
        for block in blocks(16):
            seen.append(beside(look))
            yield block

    place.store.put(KEY, source())
    assert seen == [[]] * 16
    assert keys(place.store) == [KEY]


def test_sweep_meanwhile(place: Place) -> None:
    """A sweep leaves an upload alone that is under way."""
    swept: list[int] = []

    def source() -> Iterator[bytes]:
        for block in blocks(12):
            yield block
            swept.append(beside(lambda: place.store.sweep("") + place.store.sweep(KEY.rpartition("/")[0])))

    place.store.put(KEY, source())
    assert sum(swept) == 0
    assert len(read(place.store)) == 12 * MIB


def test_puts_at_once(store: Store) -> None:
    """Uploads run beside one another."""

    def put(number: int) -> None:
        store.put(f"many/{number}", blocks(7, seed=number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    for number in range(4):
        assert read(store, f"many/{number}") == b"".join(blocks(7, seed=number))


# --- create ------------------------------------------------------------------------------------


def test_create_twice(place: Place) -> None:
    """`create` writes only where nothing is, and leaves nothing behind when it may not."""
    place.store.create(KEY, b"first")
    with pytest.raises(ObjectExistsError):
        place.store.create(KEY, b"second")
    assert read(place.store) == b"first"
    assert list(place.hidden()) == []


def test_creates_at_once(place: Place) -> None:
    """Of simultaneous creates exactly one succeeds."""
    assert place.traits.exclusive_create
    start = threading.Barrier(8)

    def create(number: int) -> int | None:
        start.wait()
        try:
            place.store.create(KEY, b"%d" % number)
        except ObjectExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(8)) if number is not None]
    assert [b"%d" % number for number in winners] == [read(place.store)]


def test_create_empty(store: Store) -> None:
    """An empty object can be created."""
    store.create(KEY, b"")
    assert (store.head(KEY).size, read(store)) == (0, b"")


# --- get and head ------------------------------------------------------------------------------


def test_chunks(store: Store) -> None:
    """`get` gives chunks that are not large and stay as they are."""
    store.put(KEY, blocks(20))
    chunks = list(store.get(KEY))
    assert max(map(len, chunks)) <= 2 * MIB
    assert all(type(chunk) is bytes and chunk for chunk in chunks)
    assert b"".join(chunks) == b"".join(blocks(20))


def test_get_given_up(store: Store) -> None:
    """A get that is given up does no harm."""
    store.put(KEY, blocks(20))
    chunks = store.get(KEY)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # all of them are generators
    assert len(read(store)) == 20 * MIB


def test_get_by_etag(store: Store) -> None:
    """`get` of a named etag gives that object, or says that it is another one."""
    etag = store.put(KEY, iter([b"first"])).etag
    assert b"".join(store.get(KEY, etag=etag)) == b"first"
    store.put(KEY, iter([b"other"]))
    with pytest.raises(ObjectChangedError):
        next(store.get(KEY, etag=etag))


@pytest.mark.parametrize("key", [KEY, "backups", "backups/production/bao", f"{KEY}/below"])
def test_missing(store: Store, key: str) -> None:
    """What is not there is not found: deleted ones, folders, and what would be below a file."""
    store.put(KEY, iter([b"x"]))
    store.delete(KEY)
    with pytest.raises(ObjectNotFoundError):
        store.head(key)
    with pytest.raises(ObjectNotFoundError):
        next(store.get(key))


def test_head(store: Store) -> None:
    """`head` describes the object, its time in UTC."""
    store.put(KEY, iter([b"x" * 1000]))
    stored = store.head(KEY)
    assert (stored.key, stored.size) == (KEY, 1000)
    assert stored.modified.tzinfo is UTC
    assert abs(datetime.now(UTC) - stored.modified) < timedelta(minutes=1)


# --- list, delete, sweep -----------------------------------------------------------------------


def test_prefix(store: Store) -> None:
    """`list` takes a prefix as a folder, and gives keys in their order."""
    for key in ("a/b/1", "a/b/2/3", "a/bc/1", "a/b-1", "a/b.snap", "ab"):
        store.create(key, b"x")
    assert keys(store, "a/b") == keys(store, "a/b/") == ["a/b/1", "a/b/2/3"]
    assert keys(store, "a") == ["a/b-1", "a/b.snap", "a/b/1", "a/b/2/3", "a/bc/1"]
    assert keys(store) == [*keys(store, "a"), "ab"]


@pytest.mark.parametrize("prefix", ["missing", "missing/deeper", "a/b/1", "a/b/1/x"])
def test_list_nothing(store: Store, prefix: str) -> None:
    """Listing and sweeping where nothing is gives nothing."""
    store.create("a/b/1", b"x")
    assert keys(store, prefix) == []
    assert store.sweep(prefix) == 0


def test_list_pages(place: Place) -> None:
    """More objects than fit on a page are listed, each once and in order."""
    names = [f"many/{number % 3}/{number:05}" for number in range(place.many)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(place.make or (lambda name: place.store.create(name, b"")), names))
    assert keys(place.store, "many") == sorted(names)


def test_delete(store: Store) -> None:
    """`delete` removes one object; that there is none is no error."""
    store.create("a/b", b"x")
    store.create("a/c", b"x")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("never/was/there")
    assert keys(store) == ["a/c"]


@pytest.mark.parametrize("count", [0, 1, 2, 1_003])
def test_delete_many(place: Place, count: int) -> None:
    """Many are removed at once, whatever they are called; those that are not there are no error."""
    names = [f"a b/{number % 2}/{number:04} ü&<+%.snap" for number in range(count)]
    make = place.make or (lambda name: place.store.create(name, b"x"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, [*names[::3], "a b/0/kept", "a b/kept"]))
    assert place.store.delete_many([*names, "never/was/there"]) == {}
    assert keys(place.store) == ["a b/0/kept", "a b/kept"]
