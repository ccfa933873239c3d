"""Durations in Go's syntax ("168h", "1h30m", "1.5s"), as the documents carry them.

The syntax is that of Go's `time.ParseDuration`: numbers with a unit each, units h, m, s, ms, us
(or µs) and ns. Days and weeks are no units of it. Anything finer than a microsecond is cut off.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from bao_backup.core.errors import ConfigurationError

#: What a person is told to write.
EXPECTED_DURATION = (
    'expected a Go duration like "168h" or "1h30m" (h, m, s, ms; there is no d or w: 7 days are "168h")'
)

_MICROSECONDS = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1_000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[-+]?(?:0|(?:{_PART.pattern})+)")
# Go holds a duration in 63 bits of nanoseconds.
_LONGEST = timedelta(microseconds=(2**63 - 1) // 1000)
_LONGEST_TEXT = 100


def parse_go_duration(text: str) -> timedelta:
    """The duration that `text` says; it may be zero or negative.

    Raises:
        ConfigurationError: `why` says what is expected.
    """
    if len(text) > _LONGEST_TEXT or not _WHOLE.fullmatch(text):
        raise ConfigurationError(f"read the duration {text[:_LONGEST_TEXT]!r}", EXPECTED_DURATION)
    total = sum((Decimal(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(text)), Decimal(0))
    if total > _LONGEST // timedelta(microseconds=1):
        raise ConfigurationError(f"read the duration {text!r}", "expected at most 292 years")
    duration = timedelta(microseconds=int(total))
    return -duration if text.startswith("-") else duration


def format_duration(duration: timedelta) -> str:
    """The duration as people write it: "168h", "1h30m", "1m12s", "1.5s", "0s".

    `parse_go_duration` reads it back as the same.
    """
    if duration < timedelta():
        return "-" + format_duration(-duration)
    seconds, microseconds = divmod(duration // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{microseconds:06d}".rstrip("0") if microseconds else ""
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if seconds or fraction or not (hours or minutes):
        parts.append(f"{seconds}{fraction}s")
    return "".join(parts)
