"""Which slots there are: cron, zones and changes of the clocks, jitter, catching up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.schedule import Schedule, check_time_zone

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """An instant, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants(text: str) -> list[datetime]:
    """Instants of 2026, in UTC; one without a date is on the day of the one before."""
    found: list[datetime] = []
    for word in text.split():
        found.append(at(f"2026-{word}" if "T" in word else f"{found[-1]:%Y-%m-%d}T{word}"))
    return found


def slots(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """All slots in (after, until]."""
    found = []
    while (after := schedule.next_after(after)) <= until:
        found.append(after)
    return found


# Each case: schedule | zone | from > until | the slots between; all of 2026 and in UTC. A time without
# a date is on the day of the time before it.
CHANGES_OF_THE_CLOCKS = """
# Berlin, spring 2026: at 01:00Z on 29 March, 02:00 becomes 03:00.
30 2 * * *     | Europe/Berlin       | 03-27T12:00 > 03-30T12:00 | 03-28T01:30 03-29T01:00 03-30T00:30
0 2 * * *      | Europe/Berlin       | 03-28T12:00 > 03-30T12:00 | 03-29T01:00 03-30T00:00
0 3 * * *      | Europe/Berlin       | 03-28T12:00 > 03-30T12:00 | 03-29T01:00 03-30T01:00
15,45 2 * * *  | Europe/Berlin       | 03-28T12:00 > 03-30T12:00 | 03-29T01:00 03-30T00:15 00:45
30 2,3 * * *   | Europe/Berlin       | 03-28T12:00 > 03-29T12:00 | 03-29T01:00 01:30
0 * * * *      | Europe/Berlin       | 03-28T23:30 > 03-29T03:00 | 03-29T00:00 01:00 02:00 03:00
*/30 * * * *   | Europe/Berlin       | 03-29T00:00 > 02:00 | 03-29T00:30 01:00 01:30 02:00
*/30 2 * * *   | Europe/Berlin       | 03-28T12:00 > 03-30T12:00 | 03-30T00:00 00:30
# Berlin, autumn 2026: at 01:00Z on 25 October, 03:00 becomes 02:00.
30 2 * * *     | Europe/Berlin       | 10-24T12:00 > 10-26T12:00 | 10-25T00:30 10-26T01:30
0 3 * * *      | Europe/Berlin       | 10-24T12:00 > 10-26T12:00 | 10-25T02:00 10-26T02:00
15,45 2 * * *  | Europe/Berlin       | 10-24T12:00 > 10-25T12:00 | 10-25T00:15 00:45
0 * * * *      | Europe/Berlin       | 10-24T23:30 > 10-25T02:00 | 10-25T00:00 01:00 02:00
*/30 * * * *   | Europe/Berlin       | 10-25T00:00 > 02:00 | 10-25T00:30 01:00 01:30 02:00
*/30 2 * * *   | Europe/Berlin       | 10-24T12:00 > 10-25T12:00 | 10-25T00:00 00:30 01:00 01:30
*/30 2 25 10 * | Europe/Berlin       | 10-25T00:45 > 10-26T12:00 | 10-25T01:00 01:30
0 0 * * *      | Europe/Berlin       | 10-24T12:00 > 10-26T12:00 | 10-24T22:00 10-25T23:00
# New York 2026: 8 March 02:00 becomes 03:00 (07:00Z), 1 November 02:00 becomes 01:00 (06:00Z).
30 2 * * *     | America/New_York    | 03-07T12:00 > 03-09T12:00 | 03-08T07:00 03-09T06:30
30 1 * * *     | America/New_York    | 10-31T12:00 > 11-02T12:00 | 11-01T05:30 11-02T06:30
0 * * * *      | America/New_York    | 11-01T04:30 > 07:00 | 11-01T05:00 06:00 07:00
# Lord Howe changes by half an hour: at 15:00Z on 4 April 2026, 02:00 becomes 01:30,
# and at 15:30Z on 3 October 2026, 02:00 becomes 02:30.
15 2 * * *     | Australia/Lord_Howe | 10-03T00:00 > 10-05T00:00 | 10-03T15:30 10-04T15:15
45 1 * * *     | Australia/Lord_Howe | 04-04T00:00 > 04-06T00:00 | 04-04T14:45 04-05T15:15
0 * * * *      | Australia/Lord_Howe | 04-04T13:30 > 16:30 | 04-04T14:00 15:30 16:30
*/15 1 * * *   | Australia/Lord_Howe | 04-04T00:00 > 04-05T00:00 | 04-04T14:00 14:15 14:30 14:45 15:00 15:15
*/15 2 * * *   | Australia/Lord_Howe | 04-04T00:00 > 04-05T00:00 | 04-04T15:30 15:45 16:00 16:15
*/15 2 * * *   | Australia/Lord_Howe | 10-03T00:00 > 10-04T00:00 | 10-03T15:30 15:45
# Beirut changes at midnight: 29 March 2026 has no 00:00 (28 March 22:00Z).
0 0 * * *      | Asia/Beirut         | 03-28T00:00 > 03-30T00:00 | 03-28T22:00 03-29T21:00
# Nothing changes the clocks of UTC, nor those of a zone without summer time.
0 2 * * *      | UTC                 | 03-28T12:00 > 03-30T12:00 | 03-29T02:00 03-30T02:00
30 5 * * *     | Asia/Kolkata        | 03-28T12:00 > 03-30T12:00 | 03-29T00:00 03-30T00:00
"""


def cases(table: str) -> list[tuple[str, ...]]:
    """The rows of a table of text; # begins a remark."""
    rows = (line for line in table.splitlines() if line and not line.startswith("#"))
    return [tuple(cell.strip() for cell in row.split("|")) for row in rows]


@pytest.mark.parametrize(("expression", "zone", "span", "expected"), cases(CHANGES_OF_THE_CLOCKS))
def test_slots_over_a_change_of_the_clocks(expression: str, zone: str, span: str, expected: str) -> None:
    """None is lost and none comes twice, in zones that change their clocks."""
    after, until = instants(span.replace(">", ""))
    schedule = Schedule.parse(expression, zone)
    wanted = instants(expected)
    assert slots(schedule, after, until) == wanted
    # Whatever moment one looks from, the next slot is the first of those that follow.
    moment = after
    while moment < wanted[-1]:
        assert schedule.next_after(moment) == next(slot for slot in wanted if slot > moment)
        assert schedule.latest_between(after, moment) == max((s for s in wanted if s <= moment), default=None)
        moment += timedelta(minutes=15)


EXPRESSIONS = """
@hourly       | 2026-01-01T00:30 | 2026-01-01T01:00
@daily        | 2026-01-01T00:30 | 2026-01-02T00:00
@midnight     | 2026-01-01T00:30 | 2026-01-02T00:00
@weekly       | 2026-01-01T00:30 | 2026-01-04T00:00
@monthly      | 2026-01-01T00:30 | 2026-02-01T00:00
@yearly       | 2026-01-01T00:30 | 2027-01-01T00:00
@annually     | 2026-01-01T00:30 | 2027-01-01T00:00
@every 5s     | 2026-01-01T00:00 | 2026-01-01T00:00:05
@every 90m    | 2026-01-01T00:00 | 2026-01-01T01:30
@every 36h    | 1970-01-01T00:00 | 1970-01-02T12:00
0 2 ? * *     | 2026-01-01T00:30 | 2026-01-01T02:00
0 2 * * ?     | 2026-01-01T00:30 | 2026-01-01T02:00
0 2 * * mon   | 2026-01-01T00:30 | 2026-01-05T02:00
0 2 * * 7     | 2026-01-01T00:30 | 2026-01-04T02:00
0 2 15 * 1    | 2026-01-01T00:30 | 2026-01-05T02:00
0 0 29 2 *    | 2026-01-01T00:30 | 2028-02-29T00:00
0 0 L * *     | 2026-01-01T00:30 | 2026-01-31T00:00
CRON_TZ=Asia/Tokyo 0 9 * * * | 2026-01-01T00:00 | 2026-01-02T00:00
TZ=UTC 0 9 * * *             | 2026-01-01T00:00 | 2026-01-01T09:00
"""


@pytest.mark.parametrize(("expression", "moment", "expected"), cases(EXPRESSIONS))
def test_expressions_mean_what_cron_means(expression: str, moment: str, expected: str) -> None:
    """Names, Go's own forms, and Debian's rule for the two day fields."""
    assert Schedule.parse(expression).next_after(at(moment)) == at(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "0 0 2 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a b c d e",
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 30 2 */2",
        "@reboot",
        "@every",
        "@every 1d",
        "@every 0s",
        "@every 500ms",
        "@every 1.5s",
        "@every -5s",
        "0 2 * * *" + " " * 300,
        "CRON_TZ=Nowhere 0 2 * * *",
    ],
)
def test_a_wrong_expression_is_refused_at_once(expression: str) -> None:
    """Six fields and dates that never come, too; the error says what is expected."""
    with pytest.raises(ConfigurationError, match="expected"):
        Schedule.parse(expression)


@pytest.mark.parametrize(
    "zone",
    ["", "Mars/Phobos", "localtime", "Local", "../UTC", "/etc/localtime", "Europe", "UTC\0", "x" * 5000],
)
def test_an_unknown_zone_is_refused_at_once(zone: str) -> None:
    """Only names of the IANA database, which mean the same on every machine."""
    with pytest.raises(ConfigurationError, match="IANA"):
        check_time_zone(zone)


def test_two_zones_are_refused() -> None:
    """One would silently win."""
    with pytest.raises(ConfigurationError, match="one time zone"):
        Schedule.parse("CRON_TZ=Asia/Tokyo 0 9 * * *", "Europe/Berlin")


def test_a_negative_jitter_is_refused() -> None:
    """A slot never starts before its time."""
    with pytest.raises(ConfigurationError):
        Schedule.parse("@daily", jitter_seconds=-1)


def test_a_moment_without_zone_is_a_defect() -> None:
    """It would mean another instant on another machine."""
    with pytest.raises(InternalError):
        Schedule.parse("@daily").next_after(EPOCH.replace(tzinfo=None))


def test_a_year_of_downtime_has_one_slot_to_catch_up() -> None:
    """Of half a million minutes, the newest; once it is dealt with, none until the next."""
    schedule = Schedule.parse("* * * * *")
    now = EPOCH + timedelta(days=365, seconds=30)
    slot = schedule.newest_started(EPOCH, now)
    assert slot == now - timedelta(seconds=30)
    assert schedule.newest_started(slot, now) is None
    assert schedule.newest_started(slot, now + MINUTE) == slot + MINUTE


def test_jitter_spreads_clusters() -> None:
    """A thousand clusters with one schedule do not start together: no ten seconds get a tenth of them."""
    slot = EPOCH
    starts = [
        (Schedule.parse("@daily", "UTC", 600, f"ns/c{number}").starts_at(slot) - slot).total_seconds()
        for number in range(1000)
    ]
    assert max(sum(1 for start in starts if start // 10 == bucket) for bucket in range(61)) < 100
    assert (min(starts), max(starts)) < (60, 540)


def test_slots_of_a_busy_schedule_stay_even_over_a_year() -> None:
    """Every half hour in Berlin is every half hour of real time, both changes included."""
    found = slots(
        Schedule.parse("*/30 * * * *", "Europe/Berlin"), at("2026-01-01T00:00"), at("2026-12-31T00:00")
    )
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}
