"""The keys that requests to S3 are signed with: fetched when first needed, and again before they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.s3_identity import Issued, Keys
from bao_backup.core.errors import StorageError

if TYPE_CHECKING:
    # A type that the library has for the checker alone.
    from obstore.store import S3Credential

#: Keys are fetched anew so long before they end, or when a quarter of their life is left. The library
#: itself asks for them again at each request of their last five minutes.
EARLY = timedelta(minutes=5)
#: How often a service that cannot answer is asked, and seconds before the second time.
TRIES = 3
WAIT = 0.5
#: After it failed so often, and while the keys still last, it is left alone for so long.
PAUSE = timedelta(seconds=15)


class Login:
    """One identity's keys. The library calls it for each signature or now and then; any thread may."""

    def __init__(
        self,
        fetch: Callable[[], Issued],
        translator: Translator,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`fetch` raises one of our errors where it gets no keys; `translator` is told of it."""
        self._fetch = fetch
        self._translator = translator
        self._now = now
        self._wait = wait
        self._lock = Lock()
        self._issued: Issued | None = None
        self._renew_at: datetime | None = None

    def __call__(self) -> S3Credential:
        """The keys as the library takes them. Raises as `keys`."""
        issued = self._current()
        return {
            "access_key_id": issued.keys.key,
            "secret_access_key": issued.keys.secret,
            "token": issued.keys.token,
            "expires_at": issued.expires,
        }

    def keys(self) -> Keys:
        """The keys that are good now. Raises StorageError where there are none."""
        return self._current().keys

    def _current(self) -> Issued:
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
            self._translator.hide(*issued.keys)
            self._issued, self._renew_at = issued, _renewal(issued, self._now())
            return issued

    def _patiently(self) -> Issued:
        for attempt in range(1, TRIES):
            try:
                return self._fetch()
            except StorageError as error:
                if not error.transient:
                    raise
                self._wait(WAIT * 2 ** (attempt - 1))
        return self._fetch()


def _renewal(issued: Issued, now: datetime) -> datetime | None:
    if issued.expires is None:
        return None
    return issued.expires - min(EARLY, max((issued.expires - now) / 4, timedelta()))
