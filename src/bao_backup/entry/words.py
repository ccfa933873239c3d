"""Sizes, times and durations as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_in_words(size: float) -> str:
    """1536 is "1.5 KiB"."""
    index = 0
    while size >= 1024 and index < len(UNITS) - 1:
        size /= 1024
        index += 1
    return f"{size:.0f} {UNITS[index]}" if index == 0 or size >= 100 else f"{size:.1f} {UNITS[index]}"


def age_in_words(moment: datetime | None, now: datetime) -> str:
    """How long ago, or until when, in the two largest units: "3h 12m ago", "in 5m 20s"."""
    if moment is None:
        return "-"
    span = duration_in_words(abs(now - moment))
    return f"in {span}" if moment > now else f"{span} ago"


def duration_in_words(duration: timedelta) -> str:
    """The two largest units: "2d 3h", "1m 12s", "0.4s"."""
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}s"
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    rest, parts = int(seconds), list[str]()
    for name, length in units:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0")) or "0s"


def time_in_words(moment: datetime | None) -> str:
    """UTC to the second: "2026-11-22 02:00:00Z"."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else "-"
