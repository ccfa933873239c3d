"""Slots held to properties: against brute force, over any zone, jitter and downtime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.schedule import Schedule

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Santiago",
    "Antarctica/Troll",
]
minutes = st.sampled_from(["*", "*/7", "*/30", "0", "17", "0,30", "10-20/5", "59"])
hours = st.sampled_from(["*", "*/6", "2", "1,2,3", "0-4", "23"])
days = st.sampled_from(["*", "*", "*", "1", "*/2", "25-31"])
months = st.sampled_from(["*", "*", "*", "3,10", "4"])
weekdays = st.sampled_from(["*", "*", "0", "1-5"])
crons = st.tuples(minutes, hours, days, months, weekdays).map(" ".join)
moments = st.integers(0, 20 * 365 * 86400 * 1000).map(lambda each: EPOCH + timedelta(milliseconds=each))
# Where clocks are about to change: days around the ends of March and October, and the start of April.
edges = st.builds(
    lambda year, day, minute: datetime(year, day[0], day[1], tzinfo=UTC) + minute * MINUTE,
    st.integers(2020, 2036),
    st.sampled_from([(3, 7), (3, 25), (4, 1), (10, 1), (10, 24), (11, 1)]),
    st.integers(0, 8 * 1440),
)
schedules = st.builds(
    Schedule.parse,
    crons,
    st.sampled_from(ZONES),
    st.sampled_from([0, 0, 30, 900, 86_400]),
    st.text(max_size=5),
)


@given(schedules, moments | edges)
def test_the_next_slot_is_strictly_later_and_none_is_skipped(schedule: Schedule, moment: datetime) -> None:
    """Asked from any moment before the slot, the answer is the same slot."""
    slot = schedule.next_after(moment)
    assert slot > moment
    assert schedule.find_next(slot - timedelta(microseconds=1)) == slot
    assert schedule.find_next(moment + (slot - moment) / 2) == slot


@given(schedules, st.lists(moments | edges, min_size=1, max_size=3), st.data())
def test_what_was_asked_before_changes_no_answer(
    schedule: Schedule, asked: list[datetime], data: st.DataObject
) -> None:
    """Around moments that were asked about, in any order, each answer is that of a fresh search."""
    for _ in range(8):
        near = data.draw(st.sampled_from(asked)) + timedelta(minutes=data.draw(st.integers(-3000, 3000)))
        slot = schedule.next_after(near)
        assert slot == schedule.find_next(near)
        assert schedule.next_after(slot) == schedule.find_next(slot)


def slots(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """All slots in (after, until]."""
    found = []
    while (after := schedule.next_after(after)) <= until:
        found.append(after)
    return found


def in_zone(moment: datetime, zone: str) -> datetime:
    """What the clock on the wall shows, to the minute."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


@cache
def values(field: str, least: int, most: int) -> frozenset[int]:
    """What a field of cron stands for: an independent reading of it."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{least}-{most}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


def fires(cron: str, moment: datetime) -> bool:
    """Whether the minute matches, read field by field."""
    minute, hour, day, month, weekday = cron.split()
    day_matches = moment.day in values(day, 1, 31), moment.isoweekday() % 7 in values(weekday, 0, 6)
    either = not day.startswith("*") and not weekday.startswith("*")
    return (
        moment.minute in values(minute, 0, 59)
        and moment.hour in values(hour, 0, 23)
        and moment.month in values(month, 1, 12)
        and (any(day_matches) if either else all(day_matches))
    )


@given(crons, moments)
@settings(max_examples=50)
def test_slots_in_utc_are_those_that_stepping_through_the_minutes_finds(cron: str, moment: datetime) -> None:
    """Against brute force over a day: in order, no gap, nothing added."""
    start = moment.replace(second=0, microsecond=0)
    stepped = [start + number * MINUTE for number in range(1, 1441)]
    wanted = [minute for minute in stepped if fires(cron, minute)]
    assert slots(Schedule.parse(cron), start, stepped[-1]) == wanted


@given(schedules, edges)
@settings(max_examples=50)
def test_repeating_slots_are_the_matching_minutes_of_the_wall_clock(
    schedule: Schedule, moment: datetime
) -> None:
    """Against brute force in the zone: every matching minute that the clock really shows, each round."""
    minute, hour, *_ = schedule.cron.split()
    assume(minute.startswith("*") or hour.startswith("*"))
    start = moment.replace(second=0)
    shown = [start + number * MINUTE for number in range(1, 481)]
    wanted = [each for each in shown if fires(schedule.cron, in_zone(each, schedule.time_zone))]
    assert slots(schedule, start, shown[-1]) == wanted


@given(schedules, edges)
@settings(max_examples=50)
def test_set_times_come_when_the_wall_clock_first_reaches_or_passes_them(
    schedule: Schedule, moment: datetime
) -> None:
    """Against brute force in the zone: the minutes that a step of the clock shows anew, or skips."""
    minute, hour, *_ = schedule.cron.split()
    assume(not minute.startswith("*") and not hour.startswith("*"))
    # Begin some hours before, to know what the clock has shown already.
    start = moment - 4 * HOUR
    seen = in_zone(start, schedule.time_zone)
    wanted = []
    for number in range(1, 960):
        step = start + number * MINUTE
        shown = in_zone(step, schedule.time_zone)
        anew = [seen + each * MINUTE for each in range(1, (shown - seen) // MINUTE + 1)]
        if step > moment and any(fires(schedule.cron, each) for each in anew):
            wanted.append(step)
        seen = max(seen, shown)
    assert slots(schedule, moment, start + 959 * MINUTE) == wanted


@given(schedules, moments | edges, st.integers(0, 400 * 86400))
def test_the_latest_slot_is_the_last_of_all(schedule: Schedule, until: datetime, seconds: int) -> None:
    """It lies in the span, nothing of the span follows it, and None means that there is none."""
    after = until - timedelta(seconds=seconds)
    latest = schedule.latest_between(after, until)
    if latest is None:
        assert schedule.next_after(after) > until
    else:
        assert after < latest <= until < schedule.next_after(latest)


@given(schedules, moments | edges)
def test_jitter_is_bounded_the_same_each_time_and_ends_before_the_next_slot(
    schedule: Schedule, moment: datetime
) -> None:
    """Slots never change places, whatever the jitter is."""
    slot = schedule.next_after(moment)
    start = schedule.starts_at(slot)
    assert slot <= start <= slot + timedelta(seconds=schedule.jitter_seconds)
    assert start < schedule.next_after(slot)
    assert start == schedule.starts_at(slot)


@given(schedules, moments | edges, st.integers(1, 10 * 86400))
def test_the_newest_started_slot_is_the_only_one_to_start(
    schedule: Schedule, now: datetime, seconds: int
) -> None:
    """It has started and the next one has not; the one that is dealt with never comes again."""
    since = now - timedelta(seconds=seconds)
    slot = schedule.newest_started(since, now)
    if slot is None:
        assert schedule.starts_at(schedule.next_after(since)) > now
        return
    assert since < slot
    assert schedule.starts_at(slot) <= now
    assert schedule.starts_at(schedule.next_after(slot)) > now
    assert schedule.newest_started(slot, now) is None


@given(schedules, moments | edges)
def test_the_next_start_is_when_the_newest_started_slot_changes(schedule: Schedule, now: datetime) -> None:
    """Nothing starts between now and then, and something does at that very moment."""
    wake = schedule.next_start(now)
    before = now - 2 * DAY
    assert wake > now
    started = schedule.newest_started(before, wake)
    assert started is not None
    assert schedule.starts_at(started) == wake
    just_before = wake - timedelta(microseconds=1)
    assert schedule.newest_started(before, just_before) == schedule.newest_started(before, now)


@given(schedules, moments, st.none() | st.integers(1, 86400))
def test_a_slot_is_open_until_its_deadline_or_the_next_start(
    schedule: Schedule, moment: datetime, seconds: int | None
) -> None:
    """By default there is always one slot open; a longer deadline never keeps two open."""
    slot = schedule.next_after(moment)
    next_start = schedule.starts_at(schedule.next_after(slot))
    given_up = schedule.deadline_of(slot, None if seconds is None else timedelta(seconds=seconds))
    assert schedule.starts_at(slot) < given_up <= next_start
    if seconds is None:
        assert given_up == next_start
    elif given_up < next_start:
        assert given_up == schedule.starts_at(slot) + timedelta(seconds=seconds)


@given(st.text(max_size=30) | crons.map(lambda text: text + "L"), st.text(max_size=10))
def test_no_expression_and_no_zone_surprises_the_reader(expression: str, zone: str) -> None:
    """It is a schedule or a ConfigurationError, never anything else."""
    try:
        schedule = Schedule.parse(expression, zone)
    except ConfigurationError:
        return
    assert schedule.next_after(EPOCH) > EPOCH
