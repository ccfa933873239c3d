"""Durations as the documents carry them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.duration import format_duration, parse_go_duration
from bao_backup.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("168h", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("2m1s", timedelta(seconds=121)),
        ("300ms", timedelta(milliseconds=300)),
        ("7us", timedelta(microseconds=7)),
        ("7µs", timedelta(microseconds=7)),
        ("1500ns", timedelta(microseconds=1)),
        ("1m1m", timedelta(minutes=2)),
        ("-1m", timedelta(minutes=-1)),
        ("+1m", timedelta(minutes=1)),
        ("0", timedelta()),
        ("0s", timedelta()),
    ],
)
def test_go_syntax_is_read(text: str, expected: timedelta) -> None:
    """What Go's time.ParseDuration takes means the same here."""
    assert parse_go_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "7d", "2w", "1", "h", "1 h", "1h ", "1h-30m", "1.h.", "1e3s", "٣h", "1H", "9999999h", "1h" * 60],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    """There is no day and no week, and the error shows what there is."""
    with pytest.raises(ConfigurationError, match=r"168h|292 years"):
        parse_go_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=7), "168h"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(seconds=72), "1m12s"),
        (timedelta(hours=1, seconds=1), "1h1s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(), "0s"),
        (timedelta(seconds=-5), "-5s"),
    ],
)
def test_durations_are_written_for_people(duration: timedelta, expected: str) -> None:
    """As short as it can be said."""
    assert format_duration(duration) == expected


@given(st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)))
def test_what_is_written_is_read_as_the_same(duration: timedelta) -> None:
    """To the microsecond."""
    assert parse_go_duration(format_duration(duration)) == duration


@given(st.text(max_size=20))
def test_no_text_surprises_the_reader(text: str) -> None:
    """It is a duration, or a ConfigurationError that says what is expected."""
    try:
        parse_go_duration(text)
        why = "expected, and found"
    except ConfigurationError as error:
        why = error.why
    assert why.startswith("expected")
