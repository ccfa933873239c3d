"""Sizes, ages, durations and times, as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.words import (
    UNITS,
    age_in_words,
    count_in_words,
    duration_in_words,
    size_in_words,
    time_in_words,
)

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
KIB, MIB, GIB, PIB = 2**10, 2**20, 2**30, 2**50
moments = st.datetimes(timezones=st.timezones())


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 backups"), (1, "1 backup"), (2, "2 backups"), (10_000, "10000 backups")]
)
def test_one_has_no_s(count: int, words: str) -> None:
    """Everything but one is many."""
    assert count_in_words(count, "backup") == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (KIB, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (12_727, "12.4 KiB"),
        (99 * KIB + 1000, "100 KiB"),
        (123_456, "121 KiB"),
        (1023 * KIB, "1023 KiB"),
        (MIB - 1, "1.0 MiB"),
        (MIB, "1.0 MiB"),
        (5 * GIB // 2, "2.5 GiB"),
        (2000 * PIB, "2000 PiB"),
    ],
)
def test_sizes_have_two_or_three_digits(size: int, words: str) -> None:
    """Never 1024 of a unit that has a next one."""
    assert size_in_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0ms"),
        (0.0001, "<1ms"),
        (0.053923, "54ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (4.24, "4.2s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (72, "1m 12s"),
        (3600, "1h"),
        (3601, "1h"),
        (3 * 3600 + 12 * 60 + 59, "3h 12m"),
        (86_400, "1d"),
        (86_400 + 59, "1d"),
        (2 * 86_400 + 3 * 3600, "2d 3h"),
        (400 * 86_400, "400d"),
        (-72, "-1m 12s"),
    ],
)
def test_durations_have_the_two_largest_units(seconds: float, words: str) -> None:
    """A unit of which there are none is left out."""
    assert duration_in_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (None, "-"),
        (NOW, "now"),
        (NOW - timedelta(seconds=0.7), "now"),
        (NOW - timedelta(hours=3, minutes=12), "3h 12m ago"),
        (NOW + timedelta(minutes=5, seconds=20), "in 5m 20s"),
        (datetime(2026, 11, 22, 4, tzinfo=timezone(timedelta(hours=3))), "1h ago"),
    ],
)
def test_ages_look_both_ways(moment: datetime | None, words: str) -> None:
    """The past has its "ago", the future its "in", whatever zone a time was written in."""
    assert age_in_words(moment, NOW) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (None, "-"),
        (NOW, "2026-11-22 02:00:00Z"),
        (NOW + timedelta(microseconds=999_999), "2026-11-22 02:00:00Z"),
        (datetime(2026, 11, 22, 2, tzinfo=timezone(timedelta(hours=2))), "2026-11-22 00:00:00Z"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "0001-01-01 00:00:00+02:00"),
    ],
)
def test_times_are_utc(moment: datetime | None, words: str) -> None:
    """Also those that were written down in another zone."""
    assert time_in_words(moment) == words


@given(st.integers(min_value=0, max_value=2**80))
def test_any_size_has_words_that_are_near_it(size: int) -> None:
    """A number and a unit, not further from the size than the digits that are left out."""
    amount, unit = size_in_words(size).split()
    assert float(amount) * 1024 ** UNITS.index(unit) == pytest.approx(size, rel=0.06)


@given(st.timedeltas())
def test_any_duration_has_words(duration: timedelta) -> None:
    """At most two units, and never nothing."""
    words = duration_in_words(duration)
    assert 1 <= len(words.split()) <= 2
    assert words[-1] in "dhms"


@given(moments, moments)
def test_any_time_has_words(moment: datetime, now: datetime) -> None:
    """An age and a time, both on one line."""
    assert age_in_words(moment, now).split()[0]
    assert len(time_in_words(moment).splitlines()) == 1
