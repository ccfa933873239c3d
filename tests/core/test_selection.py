"""Which backups are meant: times as people write them, and what is left of a catalogue."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup
from bao_backup.core.selection import Selection, parse_class, parse_moment
from bao_backup.core.words import time_in_words

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T02:00:00Z", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("2026-11-22t02:00:00z", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("2026-11-22T02:00:00.5+02:00", datetime(2026, 11, 22, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22 02:00:00Z", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("168h", NOW - timedelta(days=7)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("0", NOW),
    ],
)
def test_a_time(text: str, expected: datetime) -> None:
    """Absolute, a day of UTC, or how long ago."""
    assert parse_moment(text, NOW) == expected


def test_a_day_has_an_end() -> None:
    """Until a day means until it is over."""
    assert parse_moment("2026-11-21", NOW, end_of_day=True) == datetime(
        2026, 11, 21, 23, 59, 59, 999_999, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "7d",
        "-1h",
        "20261122",
        "2026-W47",
        "2026-02-31",
        "2026-11-22T02:00:00",
        "2026-11-22T25:00:00Z",
        "2026-11-22T02:00Z",
        "0001-01-01T00:00:00+14:00",
        "9" * 200 + "h",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """It says all that is expected; a time without a zone is none."""
    with pytest.raises(ConfigurationError, match="how long ago"):
        parse_moment(text, NOW)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_shown_can_be_asked_for(moment: datetime) -> None:
    """The times that `list` prints, and those of its JSON."""
    assert parse_moment(time_in_words(moment), NOW) == moment.replace(microsecond=0)
    assert parse_moment(moment.isoformat(timespec="microseconds").replace("+00:00", "Z"), NOW) == moment


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Never another error, and never a time without a zone."""
    with suppress(ConfigurationError):
        assert parse_moment(text, NOW).tzinfo is not None


@pytest.mark.parametrize(
    ("text", "kind"),
    [("ordinary", ""), ("", ""), ("pre-upgrade", "pre-upgrade"), ("pre-restore-", "pre-restore")],
)
def test_a_class(text: str, kind: str) -> None:
    """The one without a name in keys is called ordinary."""
    assert parse_class(text) == kind


def test_what_is_no_class() -> None:
    """It is no word that a key could have."""
    with pytest.raises(ConfigurationError, match="lower-case words"):
        parse_class("Pre Upgrade")


def backup(hour: int, *, proven: bool = True, kind: str = "") -> Backup:
    """One of that hour."""
    taken = NOW.replace(hour=hour)
    return Backup(key=f"n/c/{hour}", taken=taken, size=1, modified=taken, proven=proven, kind=kind)


BACKUPS = [
    backup(9),
    backup(8, proven=False),
    backup(7, kind="pre-upgrade"),
    backup(6, kind="pre-upgrade", proven=False),
    backup(5),
    backup(4, kind="pre-restore"),
    backup(3),
]


@pytest.mark.parametrize(
    ("selection", "hours"),
    [
        (Selection(), [9, 8, 7, 6, 5, 4, 3]),
        (Selection(since=NOW.replace(hour=7)), [9, 8, 7]),
        (Selection(until=NOW.replace(hour=7)), [7, 6, 5, 4, 3]),
        (Selection(since=NOW.replace(hour=6), until=NOW.replace(hour=8)), [8, 7, 6]),
        (Selection(kind=""), [9, 8, 5, 3]),
        (Selection(kind="pre-upgrade"), [7, 6]),
        (Selection(proven=True), [9, 7, 5, 4, 3]),
        (Selection(proven=False, kind="pre-upgrade"), [6]),
        (Selection(limit=2), [9, 8]),
        (Selection(limit=1, kind="pre-upgrade", proven=True), [7]),
        (Selection(kind="pre-restore"), [4]),
        (Selection(latest=True), [9]),
        (Selection(latest=True, kind="pre-upgrade"), [7]),
        (Selection(latest=True, until=NOW.replace(hour=4)), [3]),
        (Selection(latest=True, until=NOW.replace(hour=4), kind="pre-restore"), [4]),
        (Selection(latest=True, proven=False), []),
    ],
)
def test_a_selection(selection: Selection, hours: list[int]) -> None:
    """Everything that is said holds, and the limit counts what is left."""
    assert [each.taken.hour for each in selection.of(BACKUPS)] == hours
    assert selection.is_all == (selection == Selection())
