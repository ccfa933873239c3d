"""What requests are signed with: fetched when first needed, and again before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Generic, Protocol, TypeVar

from bao_backup.adapters.stores.failures import Translator
from bao_backup.core.errors import StorageError

#: It is fetched anew so long before it ends, or when a quarter of its life is left. The library
#: itself asks for it again at each request of its last five minutes.
EARLY = timedelta(minutes=5)
#: How often a service that cannot answer is asked, and seconds before the second time.
TRIES = 3
WAIT = 0.5
#: After it failed so often, and while what there is still lasts, it is left alone for so long.
PAUSE = timedelta(seconds=15)


class Ending(Protocol):
    """Something to sign with."""

    @property
    def expires(self) -> datetime | None:
        """When it ends; None: never."""
        ...

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What of it must be seen nowhere."""
        ...


T = TypeVar("T", bound=Ending)


class Renewed(Generic[T]):
    """One identity's. Any thread may ask for it."""

    def __init__(
        self,
        fetch: Callable[[], T],
        translator: Translator,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`fetch` raises one of our errors where it gets nothing; `translator` is told of it."""
        self._fetch = fetch
        self._translator = translator
        self._now = now
        self._wait = wait
        self._lock = Lock()
        self._issued: T | None = None
        self._renew_at: datetime | None = None

    def current(self) -> T:
        """What is good now. Raises StorageError where there is none."""
        with self._lock:
            issued = self._issued
            if issued is not None and (self._renew_at is None or self._now() < self._renew_at):
                return issued
            try:
                issued = self._patiently()
            except StorageError as error:
                if issued is None or issued.expires is None or issued.expires <= self._now():
                    # Of what is raised here the library keeps the text alone.
                    self._translator.no_keys = error
                    raise
                self._renew_at = min(self._now() + PAUSE, issued.expires)
                return issued
            self._translator.no_keys = None
            self._translator.hide(*issued.secrets)
            self._issued, self._renew_at = issued, _renewal(issued, self._now())
            return issued

    def _patiently(self) -> T:
        for attempt in range(1, TRIES):
            try:
                return self._fetch()
            except StorageError as error:
                if not error.transient:
                    raise
                self._wait(WAIT * 2 ** (attempt - 1))
        return self._fetch()


def _renewal(issued: Ending, now: datetime) -> datetime | None:
    if issued.expires is None:
        return None
    return issued.expires - min(EARLY, max((issued.expires - now) / 4, timedelta()))
