"""A limit of bandwidth: never more than its rate and one burst, and no longer waits than needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.pace import Pace

#: Seconds that pass by themselves, and bytes that want to go then.
asked = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 5000)), max_size=40)


@given(asked, st.integers(1, 3000), st.integers(1, 3000))
def test_never_more_than_the_rate_and_one_burst(
    asked: list[tuple[float, int]], rate: int, burst: int
) -> None:
    """In any stretch of time; what goes is counted when its wait is over."""
    pace, now, gone = Pace(rate, burst), 0.0, [(0.0, 0)]
    for passed, size in asked:
        now += passed
        now += pace.wait_for(size, now)
        gone.append((now, size))
    for first in range(1, len(gone)):
        begun = gone[first][0]
        for last in range(first, len(gone)):
            sent = sum(size for _, size in gone[first : last + 1])
            largest = gone[first][1]
            allowed = max(burst, largest) + rate * (gone[last][0] - begun)
            assert sent <= allowed + 1e-6 * (1 + allowed)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40), st.integers(1, 3000))
def test_a_stream_that_is_always_ready_goes_at_the_rate(sizes: list[int], rate: int) -> None:
    """The time that it takes is its size by the rate, but for what goes at once."""
    pace, now = Pace(rate, rate), 0.0
    for size in sizes:
        now += pace.wait_for(size, now)
    assert now == pytest.approx(max(0.0, (sum(sizes) - rate) / rate))


def test_what_was_not_used_is_no_more_than_a_burst() -> None:
    """After an hour of rest a second's worth goes at once, and no more."""
    pace = Pace(100, 100)
    assert pace.wait_for(100, 0.0) == 0
    assert pace.wait_for(100, 3600.0) == 0
    assert pace.wait_for(100, 3600.0) == 1


def test_what_is_larger_than_a_burst_goes_at_last() -> None:
    """A chunk that is more than may go in a second waits for its share, and not for ever."""
    pace = Pace(10, 10)
    assert pace.wait_for(1000, 0.0) == 99
