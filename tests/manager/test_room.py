"""Places for runs are given in the order of asking."""

from __future__ import annotations

from bao_backup.adapters.local.room import TURN, Room


def test_places() -> None:
    """There is room as long as a place is free."""
    room = Room(2)
    assert room.is_for("a", taken=0)
    assert room.is_for("a", taken=1)
    assert not room.is_for("a", taken=2)
    assert not room.is_for("a", taken=3)


def test_first_come() -> None:
    """Who asked first is called first, and a newcomer does not overtake."""
    room = Room(1)
    for name in ("z", "m", "a"):
        room.enter(name)
    assert not room.is_for("newcomer", taken=0)
    assert room.call(taken=0, now=0.0) == {"z"}
    assert room.is_for("z", taken=0)
    assert not room.is_for("m", taken=0)
    room.leave("z")
    assert room.call(taken=1, now=1.0) == set()
    assert room.call(taken=0, now=2.0) == {"m"}


def test_called_once() -> None:
    """Nobody is called twice for the same turn, and entering again changes no place in the queue."""
    room = Room(2)
    for name in ("a", "b", "c", "a"):
        room.enter(name)
    assert room.call(taken=0, now=0.0) == {"a", "b"}
    assert room.call(taken=0, now=1.0) == set()


def test_who_does_not_come() -> None:
    """Who is called and does not come goes to the end, so that the others get the place."""
    room = Room(1)
    room.enter("broken")
    room.enter("well")
    assert room.call(taken=0, now=0.0) == {"broken"}
    assert room.call(taken=0, now=TURN - 1) == set()
    assert room.call(taken=0, now=TURN + 1) == {"well"}
    assert room.is_for("well", taken=0)
    assert not room.is_for("broken", taken=0)


def test_leaving_twice() -> None:
    """Who is not in the queue may leave it."""
    room = Room(1)
    room.leave("a")
    assert room.is_for("a", taken=0)
