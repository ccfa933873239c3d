"""What a Secret gives may be replaced while a run lasts: it is read again now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import find_credentials

#: Reads the same credentials again, as whoever mounts them has them now. Raises ConfigurationError.
Again = Callable[[], Mapping[str, str]]
#: How long what was read counts. Short, since whoever takes old keys away seldom waits; and it is three
#: small files.
LIFE = timedelta(seconds=10)

T = TypeVar("T")


class Fresh(Generic[T]):
    """Who comes, as the credentials say it now.

    What cannot be read, is half-written, or is of another kind than before changes nothing: the next
    look may find it whole.
    """

    def __init__(self, first: T, choose: Callable[[Mapping[str, str]], T], again: Again | None) -> None:
        """`choose` makes of credentials who comes, or raises ConfigurationError; `first` came of them."""
        self._now = first
        self._choose = choose
        self._again = again

    def __call__(self) -> T:
        """Who comes now."""
        if self._again is None:
            return self._now
        try:
            found = self._again()
            # Two files of one Secret may be exchanged between one read and the other.
            if found == self._again():
                chosen = self._choose(find_credentials(found))
                self._now = chosen if type(chosen) is type(self._now) else self._now
        except ConfigurationError:
            pass
        return self._now

    def until(self) -> datetime | None:
        """How long that counts; None: for ever, since nobody can read it again."""
        return None if self._again is None else datetime.now(UTC) + LIFE
