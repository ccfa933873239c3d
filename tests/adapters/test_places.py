"""The limit on runs at once: who has a place, who waits, and who is told when one is free."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bao_backup.adapters.kubernetes.places import Places
from bao_backup.core.model import Trigger
from bao_backup.core.preflight import NO_ROOM
from bao_backup.core.status import Attempt, BackupStatus, Waiting

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
ATTEMPT = Attempt(name="a", key="k", slot=NOW, trigger=Trigger.SCHEDULED, accepted=NOW)
NOTHING = BackupStatus()
RUNS = BackupStatus(attempt=ATTEMPT)
OVER = BackupStatus(attempt=replace(ATTEMPT, settled=True))
TO_RETRY = BackupStatus(attempt=replace(ATTEMPT, retry_at=NOW))
WAITS = BackupStatus(waiting=Waiting(slot=NOW, reason=NO_ROOM, message="full"))
WAITS_ELSE = BackupStatus(waiting=Waiting(slot=NOW, reason="OperationLocked", message="a restore"))


class Told:
    """Places, and who was told that one is free."""

    def __init__(self, most: int) -> None:
        self.uids: list[str] = []
        self.places = Places(most, self.uids.append)


def test_without_a_limit_there_is_always_a_place() -> None:
    """0 is no limit."""
    told = Told(0)
    for number in range(1000):
        assert told.places.are_left_for("new")
        assert told.places.settle(str(number), RUNS)


def test_a_place_is_had_once() -> None:
    """Whoever has one goes on; another one is refused until it is given back."""
    told = Told(1)
    assert told.places.settle("a", RUNS)
    assert told.places.are_left_for("a")
    assert told.places.settle("a", RUNS)
    assert not told.places.are_left_for("b")
    assert not told.places.settle("b", RUNS)
    assert told.places.settle("a", OVER)
    assert told.places.settle("b", RUNS)


def test_a_lower_limit_stops_no_run_that_has_its_place() -> None:
    """Both go on, and what is to be written of them can be."""
    told = Told(1)
    told.places.see("a", RUNS)
    told.places.see("b", RUNS)
    assert told.places.settle("a", RUNS)
    assert told.places.settle("b", RUNS)
    assert not told.places.settle("c", RUNS)


@pytest.mark.parametrize("end", [NOTHING, OVER, TO_RETRY, WAITS_ELSE])
def test_the_end_of_a_run_is_told_to_those_who_wait(end: BackupStatus) -> None:
    """To all of them, since the first may not want it any more; and once."""
    told = Told(1)
    told.places.settle("a", RUNS)
    for uid, status in (("b", WAITS), ("c", WAITS), ("d", WAITS_ELSE), ("e", NOTHING)):
        assert told.places.settle(uid, status)
    assert told.uids == []
    told.places.settle("a", end)
    assert sorted(told.uids) == ["b", "c"]
    told.places.settle("a", end)
    assert len(told.uids) == 2


def test_who_got_a_place_waits_no_more() -> None:
    """It is not told of the next one."""
    told = Told(1)
    told.places.settle("a", RUNS)
    told.places.settle("b", WAITS)
    told.places.settle("a", OVER)
    assert told.places.settle("b", RUNS)
    told.places.settle("c", WAITS)
    told.uids.clear()
    told.places.settle("b", OVER)
    assert told.uids == ["c"]


def test_a_cluster_that_is_gone_needs_no_place() -> None:
    """Neither the one that it has nor the one that it waits for."""
    told = Told(1)
    told.places.settle("a", RUNS)
    told.places.settle("b", WAITS)
    told.places.settle("c", WAITS)
    told.places.let_go("c")
    assert not told.places.are_left_for("d")
    told.places.let_go("a")
    assert told.uids == ["b"]
    assert told.places.are_left_for("d")
    told.places.let_go("a")
    assert told.uids == ["b"]


def test_runs_from_before_have_their_places() -> None:
    """Also more than there are: nobody is ended for it, and nobody starts."""
    told = Told(1)
    for uid in ("a", "b"):
        told.places.see(uid, RUNS)
    for status in (NOTHING, OVER, TO_RETRY, WAITS):
        told.places.see("c", status)
    assert not told.places.are_left_for("c")
    told.places.settle("a", OVER)
    assert not told.places.are_left_for("c")
    told.places.settle("b", OVER)
    assert told.places.are_left_for("c")


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([RUNS, OVER, TO_RETRY, WAITS, None]))),
)
def test_never_more_than_the_limit(most: int, steps: list[tuple[str, BackupStatus | None]]) -> None:
    """Whatever is saved in whatever order, and whoever goes."""
    told = Told(most)
    running: set[str] = set()
    for uid, status in steps:
        if status is None:
            told.places.let_go(uid)
            running.discard(uid)
            continue
        may = told.places.are_left_for(uid)
        assert may is (uid in running or len(running) < most)
        saved = told.places.settle(uid, status)
        assert saved is (status is not RUNS or may)
        if status is RUNS and saved:
            running.add(uid)
        elif status is not RUNS:
            running.discard(uid)
        assert len(running) <= most
