"""Requests of our own that are made again when the store cannot serve them at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings

T = TypeVar("T")
#: Seconds before the second try, and at most before any: the library's own.
FIRST = 0.1
LONGEST = 15.0


def patiently(act: Callable[[], T], settings: StoreSettings, wait: Callable[[float], None] = time.sleep) -> T:
    """Do it again while it fails for a time, as often and as long as `settings` say.

    The waits double, each between half and the whole of that, so that many do not come at once.
    """
    until = time.monotonic() + settings.retry_timeout
    for attempt in range(settings.max_retries):
        try:
            return act()
        except StorageError as error:
            if not error.transient or time.monotonic() >= until:
                raise
        wait(min(LONGEST, FIRST * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
    return act()
