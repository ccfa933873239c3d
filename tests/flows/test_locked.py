"""Backups that their target locks: the receipt says so, and retention leaves them until then."""

from __future__ import annotations

from datetime import timedelta

from tests.flows.site import EARLIER, KEY, PREFIX, Site

from bao_backup.adapters.memory_store import MemoryStore
from bao_backup.core.receipt import decode_receipt
from bao_backup.core.retention import RetentionPolicy
from bao_backup.flows import prune

LOCKED_FOR = timedelta(days=3)
LATER = f"{PREFIX}/2026-11-22T03-00-00Z-00000003.snap"


class LockingSite(Site):
    """Two backups in a bucket that locks what is put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(now=self.clock.now, locked_for=LOCKED_FOR)
        self.run(key=KEY)
        self.clock.pass_(timedelta(hours=1).total_seconds())
        self.run(key=LATER)

        self.locked: list[str] = []

    def pruned(self, policy: RetentionPolicy) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was dropped, and what was refused."""
        plan = prune.plan(self.store, PREFIX, policy, self.clock.now())
        outcome = prune.carry_out(
            self.store, plan, self.stop, on_locked=lambda error: self.locked.append(error.message)
        )
        assert outcome.kept == 2 - len(outcome.dropped)
        return outcome.dropped, outcome.failed


def test_the_receipt_says_until_when() -> None:
    """As the store answered the upload; a target without locks has none."""
    site = LockingSite()
    receipt = decode_receipt(site.body(f"{KEY}.json"), KEY)
    assert receipt.locked_until == site.store.head(KEY).modified + LOCKED_FOR
    plain = Site()
    assert decode_receipt(plain.body(f"{EARLIER}.json"), EARLIER).locked_until is None


def test_the_plan_keeps_what_is_locked() -> None:
    """Nothing is tried, nothing fails; when the lock has ended, it goes."""
    site = LockingSite()
    policy = RetentionPolicy(max_count=1, locked_for=LOCKED_FOR)
    plan = prune.plan(site.store, PREFIX, policy, site.clock.now())
    assert [decision.why.partition(" until")[0] for decision in plan.decisions][1:] == ["locked"]
    assert site.pruned(policy) == ((), ())
    site.clock.pass_(LOCKED_FOR.total_seconds())
    assert site.pruned(policy) == ((KEY,), ())


def test_a_lock_that_the_document_does_not_know_any_more() -> None:
    """The receipt tells: it is not tried, both objects stay, and it is told with its time; no failure."""
    site = LockingSite()
    assert site.pruned(RetentionPolicy(max_count=1)) == ((), ())
    (told,) = site.locked
    assert f"{KEY}: it is locked until 2026-11-25 02:00:07 UTC" in told
    assert site.proven() == {KEY, LATER}


def test_a_store_that_refuses() -> None:
    """A lock that nobody here set: the refusal is told, and the receipt is back beside its body."""
    site = LockingSite()
    body = site.store.get(f"{KEY}.json")
    unlocked = b"".join(body).replace(b'"lockedUntil"', b'"unlockedUntil"')
    site.store = MemoryStore(now=site.clock.now, locked_for=LOCKED_FOR)
    for key in (KEY, LATER):
        site.store.put(key, iter([b"body"]))
        site.store.create(f"{key}.json", unlocked)
    dropped, (failed,) = site.pruned(RetentionPolicy(max_count=1))
    assert dropped == ()
    assert failed.startswith(f"{KEY}: it is locked until")
    assert len(list(site.store.list(PREFIX))) == 4
