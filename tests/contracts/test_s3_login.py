"""When keys are fetched: once, again before they end, and what happens when that fails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from obstore import exceptions

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.login import EARLY, PAUSE, TRIES, WAIT
from bao_backup.adapters.stores.s3_identity import Issued, Keys
from bao_backup.adapters.stores.s3_login import Login
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageLoginError, StorageUnavailableError

BEGIN = datetime(2026, 11, 22, 2, tzinfo=UTC)
REFUSED = StorageLoginError("log in", "the role was not given")
BUSY = StorageUnavailableError("log in", "not now")


class Source:
    """Gives keys or raises what it is told, in order; the last for ever. The time stands in it."""

    def __init__(self, *answers: float | StorageError | None) -> None:
        """Seconds that keys last, None for ever, or an error."""
        self.answers = list(answers)
        self.asked = 0
        self.now = BEGIN
        self.translator = Translator("s3://bucket")
        self.waited: list[float] = []
        self.login = Login(self.fetch, self.translator, lambda: self.now, self.waited.append)

    def fetch(self) -> Issued:
        """The next answer."""
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, StorageError):
            raise answer
        expires = None if answer is None else self.now + timedelta(seconds=answer)
        return Issued(Keys(f"key-{self.asked}", f"hush-{self.asked}", "token"), expires)

    def after(self, seconds: float) -> str:
        """Which key is used so long after the beginning."""
        self.now = BEGIN + timedelta(seconds=seconds)
        return self.login()["access_key_id"]


def keys_at(source: Source, moments: Sequence[float]) -> list[str]:
    """Which keys are used at these moments."""
    return [source.after(moment) for moment in moments]


def test_nothing_is_asked_before_it_is_needed() -> None:
    """Making a login sends nothing."""
    assert Source(3600).asked == 0


def test_keys_that_do_not_end() -> None:
    """They are fetched once."""
    source = Source(None)
    assert keys_at(source, [0, 1e6]) == ["key-1", "key-1"]
    assert source.login()["expires_at"] is None


@pytest.mark.parametrize("lasting", [3600, 1200, 900, 60, 1])
def test_renewal(lasting: float) -> None:
    """Five minutes before they end, or when a quarter of their life is left, there are new ones."""
    source = Source(lasting)
    early = min(EARLY.total_seconds(), lasting / 4)
    moments = [0, lasting - early - 0.01, lasting - early, 2 * lasting]
    assert keys_at(source, moments) == ["key-1", "key-1", "key-2", "key-3"]


def test_what_the_library_gets() -> None:
    """Key, secret, session token and end, and the sweep signs with the same."""
    source = Source(900)
    assert source.login() == {
        "access_key_id": "key-1",
        "secret_access_key": "hush-1",
        "token": "token",
        "expires_at": BEGIN + timedelta(seconds=900),
    }
    assert source.login.keys() == Keys("key-1", "hush-1", "token")


def test_a_renewal_that_fails() -> None:
    """While the old keys last they are used, and the service is left alone for a while."""
    source = Source(900, REFUSED, REFUSED, 900)
    pause = PAUSE.total_seconds()
    assert keys_at(source, [0, 700, 701, 700 + pause - 1]) == ["key-1"] * 4
    assert source.asked == 2
    assert keys_at(source, [700 + pause, 700 + 2 * pause]) == ["key-1", "key-4"]


def test_a_renewal_that_fails_at_the_last_moment() -> None:
    """The service is not left alone for longer than the keys last."""
    source = Source(900, REFUSED, 900)
    assert keys_at(source, [0, 899, 900]) == ["key-1", "key-1", "key-3"]


def test_keys_that_ended() -> None:
    """When there are no new ones, that is why each request fails, until there are."""
    source = Source(900, REFUSED, 900)
    source.after(0)
    with pytest.raises(StorageLoginError):
        source.after(900)
    failed = exceptions.UnauthenticatedError("a dump of the library")
    assert source.translator.translate(failed, "upload", "key") is REFUSED
    assert source.after(901) == "key-3"
    assert source.translator.translate(failed, "upload", "key") is not REFUSED


def test_a_service_that_is_busy() -> None:
    """It is asked again some times, and then the run hears of it; a refusal is not argued with."""
    source = Source(BUSY, BUSY, 900)
    assert source.after(0) == "key-3"
    source = Source(BUSY)
    with pytest.raises(StorageUnavailableError):
        source.after(0)
    assert source.asked == TRIES
    assert source.waited == [WAIT, 2 * WAIT]
    source = Source(REFUSED)
    with pytest.raises(StorageLoginError):
        source.after(0)
    assert source.asked == 1


def test_secrets_stay_unsaid() -> None:
    """The keys of the moment and those before are in no details."""
    source = Source(1)
    keys_at(source, [0, 2])
    said = source.translator.redact("key-1 hush-1 key-2 hush-2 token")
    assert said == "REDACTED REDACTED REDACTED REDACTED REDACTED"
