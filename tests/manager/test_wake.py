"""When to look at which cluster again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bao_backup.core.wake import WakeTimes

START = datetime(2026, 11, 22, tzinfo=UTC)
MOMENTS = st.integers(0, 20).map(lambda seconds: START + timedelta(seconds=seconds))
NAMES = st.sampled_from("abc")
CALLS = st.one_of(
    st.tuples(st.just("set"), NAMES, st.none() | MOMENTS),
    st.tuples(st.just("bring_forward"), NAMES, MOMENTS),
    st.tuples(st.just("pop_due"), st.just(""), MOMENTS),
)


@settings(deadline=None)
@given(st.lists(CALLS, max_size=40))
def test_like_a_table(calls: list[tuple[str, str, datetime]]) -> None:
    """Whatever is called, it behaves as a table of one moment for each name."""
    times, table = WakeTimes(), dict[str, datetime]()
    for call, name, moment in calls:
        if call == "set":
            times.set(name, moment)
            table.pop(name, None)
            if moment is not None:
                table[name] = moment
        elif call == "bring_forward":
            times.bring_forward(name, moment)
            table[name] = min(moment, table.get(name, moment))
        else:
            due = sorted((at, each) for each, at in table.items() if at <= moment)
            assert times.pop_due(moment) == [each for _, each in due]
            for _, each in due:
                del table[each]
        assert times.next() == min(table.values(), default=None)
