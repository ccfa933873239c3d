"""A store that fails at a chosen moment: it fails there, with the effect that it should have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read

from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore, Method
from bao_backup.core.storage_errors import StorageUnavailableError

ERROR = StorageUnavailableError("do it", "the test wants it")
Act = Callable[[FaultyStore], object]
ACTS: dict[Method, Act] = {
    "put": lambda store: store.put(KEY, blocks(4)),
    "create": lambda store: store.create(KEY, b"body"),
    "get": lambda store: list(store.get(KEY)),
    "head": lambda store: store.head(KEY),
    "list": lambda store: list(store.list("")),
    "delete": lambda store: store.delete(KEY),
    "sweep": lambda store: store.sweep(""),
}


def prepared(method: Method) -> MemoryStore:
    """A store in which the method would succeed."""
    store = MemoryStore()
    if method not in ("put", "create"):
        store.put(KEY, blocks(4))
    return store


@pytest.mark.parametrize("method", ACTS)
def test_fails_before(method: Method) -> None:
    """A call fails without effect, and the next succeeds."""
    inner = prepared(method)
    before = [(stored.key, stored.etag) for stored in inner.list("")]
    store = FaultyStore(inner, [Fault(method, ERROR)])
    with pytest.raises(StorageUnavailableError) as raised:
        ACTS[method](store)
    assert raised.value is ERROR
    assert [(stored.key, stored.etag) for stored in inner.list("")] == before
    ACTS[method](store)
    assert [call for call, _ in store.calls] == [method] * 2


@pytest.mark.parametrize("method", ["put", "create", "delete"])
def test_fails_after(method: Method) -> None:
    """A lost answer: the call took effect, and fails."""
    inner = prepared(method)
    with pytest.raises(StorageUnavailableError):
        ACTS[method](FaultyStore(inner, [Fault(method, ERROR, lost_answer=True)]))
    assert keys(inner) == ([] if method == "delete" else [KEY])


@pytest.mark.parametrize("after", [0, 1, 2 * MIB, 4 * MIB, 99 * MIB])
def test_put_part_way(after: int) -> None:
    """An upload fails when so many bytes went in: nothing is visible, and the source is closed."""
    inner = MemoryStore()
    closed: list[bool] = []
    sent: list[int] = []

    def source() -> Iterator[bytes]:
        try:
            for block in blocks(4):
                sent.append(len(block))
                yield block
        finally:
            closed.append(True)

    generator = source()
    with pytest.raises(StorageUnavailableError):
        FaultyStore(inner, [Fault("put", ERROR, after=after)]).put(KEY, generator)
    assert keys(inner) == []
    assert sum(sent) == min(-(-after // MIB), 4) * MIB
    assert closed == ([True] if sent else [])
    assert next(generator, None) is None


def test_get_and_list_part_way() -> None:
    """A read fails when so many bytes came out, a listing when so many objects did."""
    inner = MemoryStore()
    for name in "abc":
        inner.put(name, blocks(3))
    store = FaultyStore(inner, [Fault("get", ERROR, after=2 * MIB), Fault("list", ERROR, after=2)])
    chunks, listed = store.get("a"), store.list("")
    assert [len(next(chunks)), len(next(chunks))] == [MIB, MIB]
    assert [next(listed).key, next(listed).key] == ["a", "b"]
    for broken in (chunks, listed):
        with pytest.raises(StorageUnavailableError):
            next(broken)
    assert read(store, "a") == b"".join(blocks(3))


def test_which_call() -> None:
    """Faults are for the n-th call, of any key or of one, and for as many in a row as they say."""
    faults = [Fault("head", ERROR, call=2, times=2), Fault("create", ERROR, key="b", call=2)]
    store = FaultyStore(MemoryStore(), faults)
    store.create("a", b"")
    outcomes = []
    for _ in range(5):
        try:
            outcomes.append(store.head("a").key)
        except StorageUnavailableError:
            outcomes.append("failed")
    assert outcomes == ["a", "failed", "failed", "a", "a"]
    store.create("b", b"")
    store.delete("b")
    with pytest.raises(StorageUnavailableError):
        store.create("b", b"")
    store.create("b", b"")


def test_one_of_many_deletions() -> None:
    """Each of them may fail by itself, and the others go on; what no store says ends them all."""
    inner = MemoryStore()
    for name in "abc":
        inner.create(name, b"")
    assert FaultyStore(inner, [Fault("delete", ERROR, key="b")]).delete_many("abc") == {"b": ERROR}
    assert keys(inner) == ["b"]
    with pytest.raises(KeyboardInterrupt):
        FaultyStore(inner, [Fault("delete", KeyboardInterrupt())]).delete_many("b")
    assert keys(inner) == ["b"]
