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

#: Credentials that say not who comes.
_OF_NOBODY = frozenset({"region", "caCert"})

T = TypeVar("T")


class Fresh(Generic[T]):
    """Who comes, as the credentials say it now.

    What cannot be read, is half-written or gone, or is of another kind than before changes nothing: the
    next look may find it whole. Where it is gone the environment's own would be taken, another's perhaps.
    """

    def __init__(
        self,
        first: T,
        choose: Callable[[Mapping[str, str]], T],
        again: Again | None,
        given: Mapping[str, str],
    ) -> None:
        """`choose` makes of credentials who comes, or raises ConfigurationError; `first` came of `given`."""
        self._now = first
        self._somebody = _names_somebody(given)
        self._choose = choose
        self._again = again

    def __call__(self) -> T:
        """Who comes now."""
        if self._again is None:
            return self._now
        try:
            found = self._again()
            given = find_credentials(found)
            whole = _names_somebody(given) or not self._somebody
            # Two files of one Secret may be exchanged between one read and the other.
            if whole and found == self._again():
                chosen = self._choose(given)
                self._now = chosen if type(chosen) is type(self._now) else self._now
        except ConfigurationError:
            pass
        return self._now

    def until(self) -> datetime | None:
        """How long that counts; None: for ever, since nobody can read it again."""
        return None if self._again is None else datetime.now(UTC) + LIFE


def _names_somebody(given: Mapping[str, str]) -> bool:
    """Whether there are keys or the like among the credentials."""
    return bool(given.keys() - _OF_NOBODY)
