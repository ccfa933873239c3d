"""When a backup is due: cron expression, time zone and jitter -> slots, and the slot that is due.

A slot is the nominal instant of the schedule, and what names are made of. Jitter only shifts when
the slot starts. Each slot is open from its start until the next slot's start, or until its starting
deadline if that is earlier: so at any moment at most one slot is open, and however long nobody
looked, there is at most one to catch up.

Cron: minute, hour, day of month, month, day of week, as Debian's cron reads them (names, ranges,
lists, steps, L, #; when both day fields are restricted, either may match, but one that begins with
a star only narrows the other). `?` in a day field is a star, and a leading `CRON_TZ=<zone>` or
`TZ=<zone>` names the zone, as in Go's cron library, whose `@every <Go duration>` there is as well,
counted from the epoch in UTC. Over a change of the clocks:

- A slot at set times (neither minute nor hour begins with a star) happens once a day: in a skipped
  hour at the first instant after it, in a doubled hour at the first of the two.
- A slot that repeats (`*/30 * * * *`, `0 * * * *`) follows the clock on the wall: never in a skipped
  hour, and in both rounds of a doubled one, so that real time between slots stays even.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.model import Value

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_EXPECTED_CRON = (
    'expected five fields (minute hour day-of-month month day-of-week, as in "0 2 * * *"), '
    '@hourly, @daily, @weekly, @monthly, @yearly, or "@every 5m"'
)
_EXPECTED_ZONE = 'expected a name of the IANA time zone database, as "UTC" or "Europe/Berlin"'
# The same name on two machines must not mean two zones.
_ZONES_OF_THE_MACHINE = {"local", "localtime", "posixrules"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Any day will do to find out whether a schedule ever fires; a leap year's first is a fixed one.
_FIRST_DAY = datetime(2000, 1, 1)  # noqa: DTZ001  (wall-clock time of no zone)
# No zone sets its clocks by more than this nowadays (Antarctica/Troll: two hours).
_LARGEST_SHIFT = timedelta(hours=3)
_SECOND = timedelta(seconds=1)
_LONGEST_EXPRESSION = 256
#: Of how many schedules, and how many gaps between slots of each, are remembered.
_SCHEDULES = 16_384
_GAPS = 3


class Schedule(Value, frozen=True, kw_only=True):
    """A checked schedule; `parse` makes it."""

    #: five fields of cron; empty with `every_seconds`
    cron: str
    every_seconds: int = 0
    time_zone: str = "UTC"
    #: The most that a slot's start is shifted.
    jitter_seconds: int = 0
    #: What the jitter is drawn from, beside the slot: the cluster.
    identity: str = ""

    @classmethod
    def parse(
        cls, expression: str, time_zone: str = "UTC", jitter_seconds: int = 0, identity: str = ""
    ) -> Schedule:
        """Check an expression and its zone.

        Raises:
            ConfigurationError: `why` says what is expected. Six fields, a date that never comes
                and an unknown zone are errors here, not when the slot fails to come.
        """
        doing = f"read the schedule {expression[:_LONGEST_EXPRESSION]!r}"
        if len(expression) > _LONGEST_EXPRESSION:
            raise ConfigurationError(doing, f"expected at most {_LONGEST_EXPRESSION} characters")
        if jitter_seconds < 0:
            raise ConfigurationError(doing, "expected a jitter of 0 seconds or more")
        text, zone = _split_zone(expression.strip(), time_zone, doing)
        check_time_zone(zone)
        cron, every = ("", _every(text, doing)) if text.startswith(_EVERY) else (_cron(text, doing), 0)
        return cls(
            cron=cron, every_seconds=every, time_zone=zone, jitter_seconds=jitter_seconds, identity=identity
        )

    def next_after(self, moment: datetime) -> datetime:
        """The next slot strictly after the moment, in UTC."""
        moment = _in_utc(moment)
        if self.every_seconds:
            step = timedelta(seconds=self.every_seconds)
            return _EPOCH + ((moment - _EPOCH) // step + 1) * step
        gaps = _known_gaps(self.cron, self.time_zone)
        for after, slot in tuple(gaps):
            if after <= moment < slot:
                return slot
        found = self.find_next(moment)
        gaps.appendleft((moment, found))
        return found

    def find_next(self, moment: datetime) -> datetime:
        """The next slot of a cron expression strictly after the moment (UTC), whatever was asked before."""
        minute, hour, *_ = self.cron.split()
        at_set_times = not minute.startswith("*") and not hour.startswith("*")
        search = _next_at_set_times if at_set_times else _next_repeated
        found = search(self.cron, _zone(self.time_zone), moment)
        if found is None:
            raise ConfigurationError(f"find the next slot of {self.cron!r}", "none comes within 50 years")
        return found

    def latest_between(self, after: datetime, until: datetime) -> datetime | None:
        """The newest slot in (after, until], in UTC; None when there is none.

        It takes some dozens of steps, however many slots lie between.
        """
        after, until = _in_utc(after), _in_utc(until)
        if self.next_after(after) > until:
            return None
        # Look back further and further, then halve the way to the last one.
        window = timedelta(minutes=1)
        low = max(after, until - window)
        while self.next_after(low) > until:
            window *= 4
            low = max(after, until - window)
        latest, high = self.next_after(low), until
        while self.next_after(latest) <= until:
            middle = latest + (high - latest) / 2
            found = self.next_after(middle)
            latest, high = (found, high) if found <= until else (latest, middle)
        return latest

    def starts_at(self, slot: datetime) -> datetime:
        """When the slot starts: its instant and a jitter, the same for the same identity and slot.

        The jitter is at most `jitter_seconds`, and always ends before the next slot: a jitter
        longer than the interval is drawn from the interval, so that slots never change places.
        """
        slot = _in_utc(slot)
        if not self.jitter_seconds:
            return slot
        room = int((self.next_after(slot) - slot - _SECOND).total_seconds())
        digest = sha256(f"{self.identity}\n{slot.isoformat()}".encode()).digest()
        seconds = int.from_bytes(digest[:8]) % (min(self.jitter_seconds, room) + 1)
        return slot + timedelta(seconds=seconds)

    def newest_started(self, since: datetime, now: datetime) -> datetime | None:
        """The newest slot after `since` whose start has come; None when there is none.

        It is the one slot that a run may be for, as long as `deadline_of` it has not come. `since`
        is the newest slot that is dealt with, or the time when the schedule came to be.
        """
        slot = self.latest_between(since, now)
        if slot is not None and self.starts_at(slot) > now:
            # Jitter ends before the next slot, so the one before has started.
            return self.latest_between(since, slot - _SECOND)
        return slot

    def deadline_of(self, slot: datetime, starting_deadline: timedelta | None = None) -> datetime:
        """When the slot is given up: at the next one's start, or `starting_deadline` after its own."""
        latest = self.starts_at(self.next_after(slot))
        return latest if starting_deadline is None else min(latest, self.starts_at(slot) + starting_deadline)

    def next_start(self, now: datetime) -> datetime:
        """When the next slot starts, strictly after now: the time to wake."""
        now = _in_utc(now)
        # At most one slot has passed and not started, since jitter ends before the next slot.
        passed = self.latest_between(now - timedelta(seconds=self.jitter_seconds), now)
        if passed is not None and (start := self.starts_at(passed)) > now:
            return start
        return self.starts_at(self.next_after(now))


def check_time_zone(name: str) -> None:
    """See that the zone is one of the IANA database.

    Raises:
        ConfigurationError: `why` says what is expected.
    """
    _zone(name)


def _zone(name: str) -> tzinfo:
    doing = f"read the time zone {name[:100]!r}"
    if name == "UTC":
        return UTC
    if name.lower() in _ZONES_OF_THE_MACHINE:
        raise ConfigurationError(doing, _EXPECTED_ZONE)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(doing, _EXPECTED_ZONE) from error


def _split_zone(text: str, time_zone: str, doing: str) -> tuple[str, str]:
    if not text.startswith(("TZ=", "CRON_TZ=")):
        return text, time_zone
    prefix, _, rest = text.partition(" ")
    zone = prefix.partition("=")[2]
    if time_zone not in {"UTC", zone}:
        raise ConfigurationError(doing, f"expected one time zone, and there is {time_zone!r} beside it")
    return rest.strip(), zone


def _every(text: str, doing: str) -> int:
    interval = parse_go_duration(text.removeprefix(_EVERY).strip())
    if interval < _SECOND or interval % _SECOND:
        raise ConfigurationError(doing, "expected whole seconds, 1 s or more, after @every")
    return interval // _SECOND


@lru_cache(maxsize=1024)
def _cron(text: str, doing: str) -> str:
    """The five fields; the same few are asked for again and again."""
    fields = _NAMED.get(text.lower(), text).split()
    if len(fields) != 5:
        raise ConfigurationError(doing, _EXPECTED_CRON)
    for day in (2, 4):
        fields[day] = "*" if fields[day] == "?" else fields[day]
    cron = " ".join(fields)
    try:
        comes = next(CronSim(cron, _FIRST_DAY), None)
    except CronSimError as error:
        raise ConfigurationError(doing, f"{error}: {_EXPECTED_CRON}") from error
    if comes is None:
        raise ConfigurationError(doing, "expected a date that comes; this one never does")
    return cron


@lru_cache(maxsize=_SCHEDULES)
def _known_gaps(cron: str, time_zone: str) -> deque[tuple[datetime, datetime]]:  # noqa: ARG001 - what it is of
    """Moments and the next slot after each, found before, the newest first: between the two is no other.

    A decision asks a dozen times around now, and a search takes far longer than all the rest of it.
    """
    return deque(maxlen=_GAPS)


def _next_at_set_times(cron: str, zone: tzinfo, moment: datetime) -> datetime | None:
    for wall in CronSim(cron, _wall(moment, zone)):
        shown, instants = wall, _instants(wall, zone)
        while not instants:  # in a skipped hour: the first instant after it
            shown += timedelta(minutes=1)
            instants = _instants(shown, zone)
        if instants[0] > moment:
            return instants[0]
    return None


def _next_repeated(cron: str, zone: tzinfo, moment: datetime) -> datetime | None:
    best: datetime | None = None
    # Where clocks are about to be set back, wall-clock times that have passed come again.
    near = (moment - _LARGEST_SHIFT, moment, moment + _LARGEST_SHIFT)
    steady = len({near_by.astimezone(zone).utcoffset() for near_by in near}) == 1
    start = _wall(moment, zone) - (timedelta() if steady else _LARGEST_SHIFT)
    for wall in CronSim(cron, start):
        instants = _instants(wall, zone)
        later = [instant for instant in instants if instant > moment]
        best = min(later if best is None else [best, *later], default=None)
        # First rounds come in order: nothing after this one is earlier.
        if best is not None and instants and instants[0] >= best:
            return best
    return best


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(wall: datetime, zone: tzinfo) -> list[datetime]:
    """When the clock on the wall shows this: once, twice (set back), or never (set forward)."""
    both = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return sorted({instant for instant in both if _wall(instant, zone) == wall})


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InternalError("reckon with a schedule", "the time has no zone")
    return moment.astimezone(UTC)
