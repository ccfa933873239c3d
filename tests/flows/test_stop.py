"""How a run is told to end: at once, wherever it waits, and from a signal handler, too."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from tests.flows.site import Time

from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import DeadlineError, InterruptedRunError
from bao_backup.flows.stop import Stop


def test_nothing_ends_a_run_that_nobody_asks_to_end() -> None:
    """Neither an error nor a remaining time."""
    stop = Stop(Time())
    assert (stop.error(), stop.remaining) == (None, None)
    stop.check()
    stop.wait(0.001)


def test_the_first_reason_stays() -> None:
    """A second signal is not why it ended."""
    stop = Stop(Time(), seconds=10)
    stop.ask("ended by SIGTERM")
    stop.ask("ended by SIGINT")
    with pytest.raises(InterruptedRunError) as caught:
        stop.check()
    assert caught.value.why == "ended by SIGTERM"


def test_the_deadline_is_reckoned_from_the_beginning() -> None:
    """At its very second the run must end."""
    clock = Time()
    stop = Stop(clock, seconds=10)
    clock.pass_(9.5)
    assert stop.remaining == 0.5
    stop.check()
    clock.pass_(0.5)
    with pytest.raises(DeadlineError) as caught:
        stop.check()
    assert caught.value.why == "its deadline of 10 s passed"
    clock.pass_(100)
    assert stop.remaining == 0


def test_the_time_that_a_person_takes_does_not_count() -> None:
    """However long it is; what was left before is left afterwards, and a signal ends it all the same."""
    clock = Time()
    stop = Stop(clock, seconds=10)
    clock.pass_(4)
    with stop.standing_still():
        clock.pass_(3600)
        stop.check()
        during = stop.remaining
    assert (during, stop.remaining) == (None, 6)
    clock.pass_(6)
    assert stop.remaining == 0
    with stop.standing_still():
        stop.ask("ended by SIGTERM")
        assert isinstance(stop.error(), InterruptedRunError)


def test_what_has_no_deadline_has_none_after_a_person_was_asked() -> None:
    """And goes on."""
    clock = Time()
    stop = Stop(clock)
    with stop.standing_still():
        clock.pass_(5)
    assert (stop.remaining, stop.error()) == (None, None)


def test_a_wait_ends_with_the_deadline() -> None:
    """And says so."""
    stop = Stop(SystemClock(), seconds=0.05)
    with pytest.raises(DeadlineError):
        stop.wait(60)


def test_a_wait_ends_when_another_thread_asks() -> None:
    """Long before its time."""
    stop = Stop(SystemClock())
    threading.Timer(0.05, stop.ask, ["ended by SIGTERM"]).start()
    with pytest.raises(InterruptedRunError):
        stop.wait(60)


def test_no_wait_begins_when_the_run_must_end() -> None:
    """Each of them raises at once, however many come."""
    stop = Stop(SystemClock())
    stop.ask("ended by SIGTERM")
    for _ in range(3):
        with pytest.raises(InterruptedRunError):
            stop.wait(60)


def test_signals_that_come_while_it_waits_never_hang_it() -> None:
    """Many waits, each ended by a signal that arrives at another point of it, all at once."""
    begun = time.monotonic()
    for number in range(50):
        stop = Stop(SystemClock())
        before = signal.signal(signal.SIGALRM, lambda *_, stop=stop: stop.ask("ended by SIGALRM"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + number * 3e-7)
            with pytest.raises(InterruptedRunError):
                stop.wait(600)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - begun < 60


def test_what_blocks_is_closed_by_a_request_and_only_while_it_blocks() -> None:
    """The closer of a stream that is over is not called any more."""
    stop = Stop(Time())
    closed: list[str] = []
    with stop.closing(lambda: closed.append("first")):
        with stop.closing(lambda: closed.append("second")):
            stop.ask("ended by SIGTERM")
        assert closed == ["first", "second"]
        stop.wake()
    stop.wake()
    assert closed == ["first", "second", "first"]


def test_what_blocks_is_closed_at_the_deadline() -> None:
    """Nobody need ask."""
    stop, closed = Stop(SystemClock(), seconds=0.05), threading.Event()
    with stop.closing(closed.set):
        assert closed.wait(10)
    assert isinstance(stop.error(), DeadlineError)


def test_no_alarm_is_left_behind() -> None:
    """A thread that waits for the deadline of what is over would keep the program from ending."""
    before = threading.active_count()
    stop = Stop(SystemClock(), seconds=3600)
    with stop.closing(lambda: None):
        pass
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before
