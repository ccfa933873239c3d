"""One run started twice: after one another, and at once. Neither harms what the other made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest
from tests.flows.site import EARLIER, KEY, Site, snapshot

from bao_backup.adapters.memory_bao import MemoryBao
from bao_backup.adapters.memory_store import FaultyStore
from bao_backup.core.errors import BaoBackupError
from bao_backup.core.model import Stored, VerifyLevel
from bao_backup.core.naming import receipt_key
from bao_backup.core.storage_errors import ObjectChangedError
from bao_backup.flows.backup import Taken


class Gated(FaultyStore):
    """A store that does something before or after a call: `hook(when, method)`."""

    def __init__(self, site: Site, hook: Callable[[str, str], object]) -> None:
        super().__init__(site.store)
        self._hook = hook

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        def gathered() -> Iterator[bytes]:
            yield from chunks
            self._hook("before", "put")  # every byte is there: the object appears next

        stored = super().put(key, gathered())
        self._hook("after", "put")
        return stored

    def head(self, key: str) -> Stored:
        self._hook("before", "head")
        stored = super().head(key)
        self._hook("after", "head")
        return stored

    def create(self, key: str, body: bytes) -> Stored:
        self._hook("before", "create")
        stored = super().create(key, body)
        self._hook("after", "create")
        return stored


def test_a_run_that_finds_its_own_backup_does_nothing_more() -> None:
    """No login, no stream; its answer is that of the first start."""
    site = Site()
    first = site.run()
    site.archive = snapshot(3)
    second = site.run()
    assert (second.receipt, second.found, second.tries) == (first.receipt, True, 0)
    assert isinstance(site.bao, MemoryBao)
    assert site.bao.calls == []
    assert [method for method, _ in site.faulty.calls] == ["get", "head"]


def test_a_body_without_a_receipt_is_taken_anew() -> None:
    """The first start died before it could say what it had proven."""
    site = Site()
    site.run()
    site.store.delete(receipt_key(KEY))
    site.archive = snapshot(3)
    assert not site.run().found
    assert site.body(KEY) == snapshot(3)
    site.check()


@pytest.mark.parametrize("spoil", ["no body", "another body", "junk", "empty", "a receipt of another key"])
def test_a_receipt_that_is_not_true_is_replaced(spoil: str) -> None:
    """It would make the slot fail for ever; the run takes its backup and writes a true one."""
    site = Site()
    site.run()
    where = receipt_key(KEY)
    if spoil == "no body":
        site.store.delete(KEY)
    elif spoil == "another body":
        site.store.put(KEY, iter([snapshot(3) + b"x"]))
    else:
        body = {"junk": b"junk", "empty": b""}.get(spoil, site.body(receipt_key(EARLIER)))
        site.store.delete(where)
        site.store.create(where, body)
    taken = site.run()
    assert (taken.found, taken.tries) == (False, 1)
    site.check()
    assert site.proven() == {EARLIER, KEY}


def test_another_start_that_is_faster_is_left_alone() -> None:
    """When the last byte is proven, the other's receipt is there: nothing is overwritten."""
    site = Site()
    site.archive = snapshot(2)
    other: list[Taken] = []

    def be_faster() -> None:
        site.archive = snapshot(3)
        mine, site.reporter.at_bytes = site.faulty, None
        other.append(site.run())
        site.faulty = mine

    site.reporter.at_bytes = (1000, be_faster)
    taken = site.run()
    assert (taken.found, taken.receipt) == (True, other[0].receipt)
    assert site.body(KEY) == snapshot(3)
    site.check()


def test_warnings_are_told_also_when_another_start_was_faster() -> None:
    """A token that stays is worth a word, whoever made the backup."""
    site = Site()

    def be_faster() -> None:
        site.run()
        site.cluster.elect("https://bao-1:8200")

    flow = site.flow()
    site.reporter.at_words = ("streaming into", lambda: None)
    site.reporter.at_bytes = (len(site.archive), be_faster)
    taken = flow.take()
    assert taken.found
    assert taken.warnings == ("the login token was not revoked: it is not the leader any more",)


POINTS = [("before", "put"), ("after", "put"), ("after", "head"), ("before", "create"), ("after", "create")]


@pytest.mark.parametrize("first", POINTS, ids=" ".join)
@pytest.mark.parametrize("second", [*POINTS, ("at", "its end")], ids=" ".join)
@pytest.mark.parametrize("verify", VerifyLevel)
def test_two_starts_at_once(first: tuple[str, str], second: tuple[str, str], verify: VerifyLevel) -> None:
    """One halts at a point until the other has come to another: at the end there is one whole backup.

    At least one says that it succeeded, what it says is there, and nobody deleted the other's.
    """
    site = Site()
    halted, go_on = threading.Event(), threading.Event()
    ends: dict[str, Taken | BaoBackupError] = {}

    def halt(*point: str) -> None:
        if point == first and not halted.is_set():
            halted.set()
            go_on.wait(10)

    def let_go(*point: str) -> None:
        if point == second:
            go_on.set()

    def start(name: str, hook: Callable[..., None], archive: bytes) -> None:
        own = Site()
        own.store, own.archive = site.store, archive
        try:
            ends[name] = own.flow(store=Gated(own, hook), verify=verify).take()
        except BaoBackupError as error:
            ends[name] = error

    slow = threading.Thread(target=start, args=("slow", halt, snapshot(2)))
    slow.start()
    assert halted.wait(10)
    start("fast", let_go, snapshot(3))
    go_on.set()
    slow.join(10)
    assert not slow.is_alive()

    site.check()
    assert site.proven() == {EARLIER, KEY}
    good = [end for end in ends.values() if isinstance(end, Taken)]
    assert good
    for end in ends.values():
        assert isinstance(end, Taken | ObjectChangedError), end
    assert any(end.receipt.size == len(site.body(KEY)) for end in good)


def test_the_slower_start_leaves_the_receipt_that_replaced_its_own() -> None:
    """One wrote its receipt, the other its body and then a true receipt: that one is not the first one's."""
    site = Site()
    waits, receipt_is_there, other_is_done = threading.Event(), threading.Event(), threading.Event()
    ends: list[Taken] = []

    def other(*point: str) -> None:
        if point == ("before", "put"):
            waits.set()
            receipt_is_there.wait(10)

    def first(*point: str) -> None:
        if point == ("after", "create"):
            receipt_is_there.set()
            other_is_done.wait(10)

    def start_other() -> None:
        own = Site()
        own.store, own.archive = site.store, snapshot(3)
        ends.append(own.run(store=Gated(own, other)))
        other_is_done.set()

    thread = threading.Thread(target=start_other)
    thread.start()
    assert waits.wait(10)
    taken = site.run(store=Gated(site, first))
    thread.join(10)
    assert (taken.found, taken.receipt) == (True, ends[0].receipt)
    assert site.body(KEY) == snapshot(3)
    assert site.proven() == {EARLIER, KEY}
    site.check()


def test_points_are_those_of_a_run() -> None:
    """Each of them is passed, so that the test above halts where it says."""
    site = Site()
    passed: list[tuple[str, str]] = []
    site.run(store=Gated(site, lambda *point: passed.append(point)))
    assert set(POINTS) <= set(passed)
    assert len(list(permutations(POINTS, 2))) == 20
