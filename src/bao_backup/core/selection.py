"""Which of a catalogue's backups are meant: by time, class and state, and how many of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import islice

from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup, Value
from bao_backup.core.naming import PRE_RESTORE_KIND, checked_kind

#: What the class is called that has no name in keys.
ORDINARY = "ordinary"
EXPECTED_TIME = (
    'expected a time as "2026-11-22T02:00:00Z", a date as "2026-11-22" (in UTC), or how long ago as "36h"'
)

# RFC 3339, and its space for the T, which `list` prints.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LONGEST_TEXT = 100


def parse_moment(text: str, now: datetime, *, end_of_day: bool = False) -> datetime:
    """The time that a person means: RFC 3339, a date in UTC, or a Go duration before `now`.

    A date is its first moment, or with `end_of_day` its last.

    Raises:
        ConfigurationError: `why` says what is expected.
    """
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).date()
            return datetime.combine(day, time.max if end_of_day else time.min, UTC)
        ago = parse_go_duration(text)
        if ago >= timedelta():
            return now - ago
    except (ValueError, OverflowError, ConfigurationError):
        pass
    raise ConfigurationError(f"read the time {text[:_LONGEST_TEXT]!r}", EXPECTED_TIME)


def parse_class(text: str) -> str:
    """The class as keys have it: "" for "ordinary" ones.

    Raises:
        ConfigurationError: it is not lower-case words joined by single dashes.
    """
    return "" if text == ORDINARY else checked_kind(text)


class Selection(Value, frozen=True, kw_only=True):
    """What is wanted of a cluster's backups; the default is all of them."""

    #: Not taken before this, and not after that.
    since: datetime | None = None
    until: datetime | None = None
    #: Of this class only; "" are the ordinary ones.
    kind: str | None = None
    #: With a receipt only, or without one only.
    proven: bool | None = None
    #: At most so many of each cluster, the newest.
    limit: int | None = None
    #: Of each cluster only the newest good one, as `newest_good` says, or the newest proven one of `kind`.
    latest: bool = False

    @property
    def is_all(self) -> bool:
        """Whether everything is wanted."""
        return self == Selection()

    def wants(self, backup: Backup) -> bool:
        """Whether time, class and state are as wanted."""
        return (
            (self.since is None or backup.taken >= self.since)
            and (self.until is None or backup.taken <= self.until)
            and (self.kind is None or backup.kind == self.kind)
            and (self.proven is None or backup.proven == self.proven)
        )

    def of(self, backups: Iterable[Backup]) -> tuple[Backup, ...]:
        """Those of one cluster's backups, newest first, that are wanted."""
        wanted = tuple(backup for backup in backups if self.wants(backup))
        if self.latest:
            return newest_good(wanted, any_class=self.kind is not None)
        return wanted[: self.limit]


def newest_good(backups: Iterable[Backup], *, any_class: bool = False) -> tuple[Backup, ...]:
    """The first proven one, if there is any, of a cluster's backups, newest first.

    A `pre-restore` one is not meant without being named: it is what a restore was to be rid of.
    """
    good = (b for b in backups if b.proven and (any_class or b.kind != PRE_RESTORE_KIND))
    return tuple(islice(good, 1))
