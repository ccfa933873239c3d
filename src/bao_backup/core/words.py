"""Counts, sizes, times and durations as people say them. None of them is meant to be read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LENGTHS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def count_in_words(count: int, one: str) -> str:
    """1 of "backup" is "1 backup", any other count has an s: "0 backups", "2 backups"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def size_in_words(size: float) -> str:
    """1536 is "1.5 KiB"; from 100 of a unit on there is no fraction."""
    amount, index = float(size), 0
    # What would be shown as 1024 of a unit is 1.0 of the next.
    while amount >= 1023.5 and index < len(UNITS) - 1:
        amount /= 1024
        index += 1
    digits = 0 if index == 0 or amount >= 99.95 else 1
    return f"{amount:.{digits}f} {UNITS[index]}"


def duration_in_words(duration: timedelta) -> str:
    """At most the two largest units: "2d 3h", "1m 12s", "4.2s", "54ms"."""
    seconds = abs(duration.total_seconds())
    sign = "-" if duration < timedelta() else ""
    if seconds < 0.9995:
        milliseconds = round(seconds * 1000)
        return f"{sign}{milliseconds}ms" if milliseconds or not seconds else "<1ms"
    if seconds < 9.95:
        return f"{sign}{seconds:.1f}s"
    rest, parts = round(seconds), list[str]()
    for name, length in _LENGTHS:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
        if len(parts) == 2:
            break
    return sign + " ".join(part for part in parts if part)


def age_in_words(moment: datetime | None, now: datetime) -> str:
    """How long ago, or until when: "3h 12m ago", "in 5m 20s", "now"; "-" for none. Both are aware."""
    if moment is None:
        return "-"
    distance = abs(now - moment)
    if distance < timedelta(seconds=1):
        return "now"
    span = duration_in_words(distance)
    return f"in {span}" if moment > now else f"{span} ago"


def time_in_words(moment: datetime | None) -> str:
    """UTC to the second: "2026-11-22 02:00:00Z"; "-" for none. The time is aware."""
    if moment is None:
        return "-"
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # within a day of the calendar's ends, in another zone: told as it is
        return moment.isoformat(" ", "seconds")
    return moment.replace(tzinfo=None).isoformat(" ", "seconds") + "Z"
