"""Retention is carried out: receipt first, body second, whatever fails in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import cast

import pytest
from msgspec.structs import replace
from tests.flows.site import EARLIER, KEY, PREFIX, Site

from bao_backup.adapters.memory_store import Fault, FaultyStore, Method
from bao_backup.core.errors import BaoBackupError, StorageError
from bao_backup.core.model import RetentionOutcome, Stored
from bao_backup.core.naming import receipt_key
from bao_backup.core.receipt import MAXIMUM_RECEIPT_SIZE
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.storage import MIB
from bao_backup.core.storage_errors import StorageDeniedError, StorageUnavailableError
from bao_backup.flows import prune
from bao_backup.ports import Store

NEWEST_ONLY = RetentionPolicy(max_count=1)
KEYS = [f"{PREFIX}/2026-11-22T0{hour}-00-00Z-0000000{hour}.snap" for hour in (3, 4, 5, 6)]


def crowded() -> Site:
    """Six backups; the times of their slots are in the past."""
    site = Site()
    for key in (KEY, *KEYS):
        site.run(key=key)
    site.clock.pass_(timedelta(days=2).total_seconds())
    return site


def pruned(
    site: Site, policy: RetentionPolicy, store: Store | None = None, batch: int = prune.BATCH
) -> RetentionOutcome:
    """Plan and carry out."""
    store = store or site.store
    return prune.carry_out(store, prune.plan(store, PREFIX, policy, site.clock.now()), batch=batch)


def test_what_the_policy_drops_goes_and_the_rest_stays() -> None:
    """Bodies and receipts, oldest first; the outcome names them."""
    site = crowded()
    outcome = pruned(site, RetentionPolicy(max_count=2))
    assert site.proven() == {KEYS[2], KEYS[3]}
    assert outcome.dropped == (EARLIER, KEY, KEYS[0], KEYS[1])
    assert (outcome.kept, outcome.failed) == (2, ())
    assert len(site.visible()) == 4


def test_a_plan_alone_deletes_nothing() -> None:
    """It is one LIST."""
    site = crowded()
    store = FaultyStore(site.store)
    assert len(prune.plan(store, PREFIX, NEWEST_ONLY, site.clock.now()).dropped) == 5
    assert store.calls == [("list", PREFIX)]


def test_the_receipt_goes_before_the_body() -> None:
    """So that no receipt is ever without its body."""
    site = crowded()
    store = FaultyStore(site.store)
    pruned(site, RetentionPolicy(max_count=5), store)
    deleted = [key for method, key in store.calls if method == "delete"]
    assert deleted == [receipt_key(EARLIER), EARLIER]


def test_a_batch_is_two_requests() -> None:
    """All receipts, then all bodies; a thousand backups are no thousand requests."""
    site = crowded()
    asked: list[list[str]] = []

    class Counting(FaultyStore):
        def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
            asked.append(list(keys))
            return super().delete_many(keys)

    dropped = pruned(site, NEWEST_ONLY, Counting(site.store), batch=3).dropped
    assert dropped == (EARLIER, KEY, *KEYS[:3])
    batches = [list(dropped[:3]), list(dropped[3:])]
    assert [each for each in asked if each] == [
        wanted for batch in batches for wanted in ([receipt_key(key) for key in batch], batch)
    ]


@pytest.mark.parametrize("call", range(1, 11))
@pytest.mark.parametrize("lost_answer", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("batch", [1, 2, 50])
def test_a_death_at_any_deletion_is_harmless(call: int, lost_answer: bool, batch: int) -> None:
    """What is left counts or not, but never lies; the next time goes on, and the newest is always there."""
    site = crowded()
    store = FaultyStore(site.store, [Fault("delete", _Killed(), call=call, lost_answer=lost_answer)])
    with pytest.raises(_Killed):
        pruned(site, NEWEST_ONLY, store, batch)
    receipts = [key for key in site.visible() if key.endswith(".json")]
    assert all(key.removesuffix(".json") in site.visible() for key in receipts)
    assert KEYS[3] in site.proven()
    pruned(site, RetentionPolicy(max_count=1, max_age=timedelta(hours=30)))
    assert site.visible() == [KEYS[3], receipt_key(KEYS[3])]


@pytest.mark.parametrize("kind", [StorageDeniedError, StorageUnavailableError])
def test_a_refused_deletion_is_told_and_the_others_go_on(
    kind: type[StorageDeniedError | StorageUnavailableError],
) -> None:
    """An object lock on one backup does not keep the others."""
    site = crowded()
    store = FaultyStore(site.store, [Fault("delete", kind("delete", "it is locked"), key=receipt_key(KEY))])
    outcome = pruned(site, NEWEST_ONLY, store)
    assert outcome.failed == (f"{KEY}: it is locked",)
    assert outcome.dropped == (EARLIER, *KEYS[:3])
    assert outcome.kept == 2
    assert site.proven() == {KEY, KEYS[3]}


def test_a_body_that_may_not_go_gets_its_receipt_back() -> None:
    """It stays a good backup, byte for byte, and the next time drops it by the same rule."""
    site = crowded()
    before = b"".join(site.store.get(receipt_key(EARLIER)))
    denied = StorageDeniedError("delete", "no")
    store = FaultyStore(site.store, [Fault("delete", denied, key=EARLIER)])
    told: list[BaoBackupError] = []
    plan = prune.plan(store, PREFIX, RetentionPolicy(max_count=4), site.clock.now())
    outcome = prune.carry_out(store, plan, on_failure=told.append)
    assert outcome.failed == (f"{EARLIER}: no",)
    assert (outcome.kept, outcome.dropped) == (5, (KEY,))
    assert told == [denied]
    assert b"".join(site.store.get(receipt_key(EARLIER))) == before
    assert pruned(site, RetentionPolicy(max_count=4)).dropped == (EARLIER,)


def test_a_body_is_tried_again_at_once_after_a_passing_failure() -> None:
    """One 503 costs nothing."""
    site = crowded()
    store = FaultyStore(site.store, [Fault("delete", StorageUnavailableError("delete", "503"), key=EARLIER)])
    assert pruned(site, RetentionPolicy(max_count=5), store) == RetentionOutcome(kept=5, dropped=(EARLIER,))
    assert EARLIER not in site.visible()


def test_a_body_whose_deletion_only_lost_its_answers_is_dropped() -> None:
    """No receipt is written back for a body that is gone."""
    site = crowded()
    lost = Fault("delete", StorageUnavailableError("delete", "503"), key=EARLIER, times=2, lost_answer=True)
    outcome = pruned(site, RetentionPolicy(max_count=5), FaultyStore(site.store, [lost]))
    assert outcome == RetentionOutcome(kept=5, dropped=(EARLIER,))
    assert receipt_key(EARLIER) not in site.visible()


def test_a_receipt_that_cannot_be_written_back_is_told() -> None:
    """The backup is unproven then, until verify proves it."""
    site = crowded()
    faults = [
        Fault("delete", StorageDeniedError("delete", "no"), key=EARLIER),
        Fault("create", StorageUnavailableError("create", "503"), key=receipt_key(EARLIER)),
    ]
    told: list[BaoBackupError] = []
    plan = prune.plan(site.store, PREFIX, RetentionPolicy(max_count=5), site.clock.now())
    outcome = prune.carry_out(FaultyStore(site.store, faults), plan, on_failure=told.append)
    assert outcome.failed == (f"{EARLIER}: no; nor could its receipt be written back: 503",)
    assert isinstance(told[0], StorageDeniedError)
    assert "bao-backup verify" in told[0].hint
    assert EARLIER in site.visible()
    assert EARLIER not in site.proven()


def test_what_is_no_receipt_by_its_size_is_not_held_in_memory() -> None:
    """It is read no farther than a receipt may go, and stays with its body."""
    site = crowded()
    read = 0

    class Endless(FaultyStore):
        def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
            nonlocal read
            assert (key, etag) == (receipt_key(EARLIER), None)
            while True:
                read += MIB
                assert read < 100 * MIB
                yield bytes(MIB)

    plan = prune.plan(site.store, PREFIX, RetentionPolicy(max_count=5), site.clock.now())
    outcome = prune.carry_out(Endless(site.store), plan)
    assert outcome.failed == (f"{EARLIER}: not a receipt: larger than {MAXIMUM_RECEIPT_SIZE} bytes",)
    assert EARLIER in site.proven()


def test_another_prune_at_the_same_time_is_no_failure() -> None:
    """It has deleted a receipt between our plan and our deletion."""
    site = crowded()
    plan = prune.plan(site.store, PREFIX, RetentionPolicy(max_count=5), site.clock.now())
    site.store.delete(receipt_key(EARLIER))
    assert prune.carry_out(site.store, plan).dropped == (EARLIER,)
    assert EARLIER not in site.visible()


@pytest.mark.parametrize("method", ["list", "delete"])
def test_a_store_that_fails_altogether_loses_nothing(method: str) -> None:
    """Neither the list nor a single deletion."""
    site = crowded()
    fault = Fault(cast("Method", method), StorageUnavailableError("try", "503"), times=100)
    store = FaultyStore(site.store, [fault])
    if method == "list":
        with pytest.raises(StorageUnavailableError):
            pruned(site, NEWEST_ONLY, store)
    else:
        assert len(pruned(site, NEWEST_ONLY, store).failed) == 5
    assert len(site.proven()) == 6


def test_a_run_that_must_end_leaves_the_rest_for_the_next_time() -> None:
    """It says so for each that it left."""
    site = crowded()

    class Asking(FaultyStore):
        def delete(self, key: str) -> None:
            super().delete(key)
            if key == KEY:
                site.stop.ask("ended by SIGTERM")

    plan = prune.plan(site.store, PREFIX, NEWEST_ONLY, site.clock.now())
    outcome = prune.carry_out(Asking(site.store), plan, site.stop, batch=2)
    assert outcome.dropped == (EARLIER, KEY)
    assert outcome.failed == tuple(f"{key}: ended by SIGTERM" for key in KEYS[:3])
    assert site.proven() == set(KEYS)


def test_a_run_that_must_end_while_receipts_are_read_deletes_nothing_more() -> None:
    """A batch of hundreds, at a store that hangs, is not waited for."""
    site = crowded()

    class Asking(FaultyStore):
        def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
            site.stop.ask("ended by SIGTERM")
            return super().get(key, etag=etag)

    store = Asking(site.store)
    plan = prune.plan(site.store, PREFIX, NEWEST_ONLY, site.clock.now())
    outcome = prune.carry_out(store, plan, site.stop)
    assert outcome.dropped == ()
    assert {failed.partition(": ")[2] for failed in outcome.failed} == {"ended by SIGTERM"}
    assert len(site.proven()) == 6
    assert [method for method, _ in store.calls if method != "get"] == []
    assert len(store.calls) <= prune.AT_ONCE


def test_a_run_that_must_end_waits_for_one_receipt_that_cannot_be_written_back() -> None:
    """Not for hundreds, each of which is tried for minutes at a store that does not answer."""
    site = crowded()
    tried: list[str] = []

    class Away(FaultyStore):
        def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
            site.stop.ask("ended by SIGTERM")
            return {key: StorageUnavailableError("delete", "no answer") for key in keys}

        def head(self, key: str) -> Stored:
            tried.append(key)
            raise StorageUnavailableError("look at", "no answer")

    plan = prune.plan(site.store, PREFIX, NEWEST_ONLY, site.clock.now())
    one = plan.dropped[0]
    keys = [f"{PREFIX}/2026-11-22T01-00-00Z-{number:08x}.snap" for number in range(50)]
    many = tuple(replace(one, backup=replace(one.backup, key=key)) for key in keys)
    outcome = prune.carry_out(Away(site.store), replace(plan, decisions=many), site.stop)
    assert len(outcome.failed) == 50
    assert 1 <= len(tried) <= prune.AT_ONCE
    assert all(
        failed.endswith("nor could its receipt be written back: no answer") for failed in outcome.failed
    )
    assert len(site.proven()) == 6


def test_foreign_objects_are_never_touched() -> None:
    """Whatever is there beside the backups of this cluster."""
    site = crowded()
    foreign = [
        "default/other/2026-11-22T01-00-00Z-00000001.snap",
        f"{PREFIX}/notes.txt",
        f"{PREFIX}/2026-11-22T01-00-00Z.snap",
        f"{PREFIX}/old/2026-11-22T01-00-00Z-00000001.snap",
    ]
    for key in foreign:
        site.store.create(key, b"x")
    pruned(site, RetentionPolicy(max_count=1, max_age=timedelta(seconds=1)))
    assert set(foreign) <= set(site.visible())
    assert site.proven() == {KEYS[3]}


class _Killed(BaseException):
    """The end of the process."""
