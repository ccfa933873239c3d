"""What an answer of a store tells beside its code: the region that a bucket is in, and the store's clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Where Amazon names a bucket's region; MinIO says "expecting" as it does.
_REGIONS = (
    re.compile(r"<Region>([a-z0-9-]{2,40})</Region>"),
    re.compile(r"expecting \\?'([a-z0-9-]{2,40})\\?'"),
    # An endpoint's location constraint that the bucket does not have is the bucket's own.
    re.compile(r"The ([a-z0-9-]{2,40}) location constraint is incompatible"),
    re.compile(r"<Endpoint>([A-Za-z0-9.:-]{4,255})</Endpoint>"),
)
_REGION = re.compile(r"[a-z0-9-]{2,40}")
#: Clocks that are further apart are the reason of a refused login: the stores allow 15 minutes at most,
#: and an answer may have been under way.
APART = timedelta(minutes=10)
#: Of Amazon's RequestTimeTooSkewed: when we say it was, and when it was.
_OURS = re.compile(r"<RequestTime>([^<]{1,40})</RequestTime>")
_THEIRS = re.compile(r"<ServerTime>([^<]{1,40})</ServerTime>")
#: In the message of Azure's errors.
_AZURES = re.compile(r"\bTime:([0-9T:.-]{10,40}Z)")


def region_of(text: str, headers: Mapping[str, str]) -> str:
    """The bucket's region, or its endpoint, as the answer names it; empty: it does not."""
    header = headers.get("x-amz-bucket-region", "")
    if _REGION.fullmatch(header):
        return header
    return next((match[1] for pattern in _REGIONS if (match := pattern.search(text))), "")


def clock_difference(text: str, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """By how much our clock is ahead of the store's (negative: behind); None: the answer does not tell.

    Args:
        text: the answer's body.
        headers: the answer's, by their names in lower case.
        now: by our clock, when the answer came.
    """
    theirs = _moment(_THEIRS, text)
    if theirs is not None:
        return (_moment(_OURS, text) or now) - theirs
    theirs = _moment(_AZURES, text) or _date(headers.get("date", ""))
    return None if theirs is None else now - theirs


def clock_words(text: str, headers: Mapping[str, str], now: datetime) -> str:
    """What is wrong with this machine's clock, if that is why a login is refused; else nothing.

    As "this machine's clock is 20 min ahead of the store's"; for the arguments see `clock_difference`.
    """
    apart = clock_difference(text, headers, now)
    if apart is None or abs(apart) <= APART:
        return ""
    minutes = abs(apart.total_seconds()) / 60
    amount = f"{minutes:.0f} min"
    if minutes >= 120:
        amount = f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"
    return f"this machine's clock is {amount} {'ahead of' if apart > timedelta() else 'behind'} the store's"


def _moment(pattern: re.Pattern[str], text: str) -> datetime | None:
    match = pattern.search(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
