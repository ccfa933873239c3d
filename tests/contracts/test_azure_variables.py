"""What the library would read from the environment beside what it is given for Azure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.harness.identities import Asked, Said, Service

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.azure import INTERFERING
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.ports import Store


class Empty(Service):
    """An account in which nothing is."""

    def answer(self, _asked: Asked) -> Said:
        return Said(404)


@pytest.fixture
def empty() -> Iterator[Empty]:
    """The account."""
    with Empty() as service:
        yield service


def opened(url: str) -> Store:
    """A container there."""
    settings = StoreSettings(
        provider="azure", account="acme", bucket="bucket", endpoint=f"{url}/acme", max_retries=0
    )
    return open_store(settings, {"accountKey": "a2V5"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AZURE_STORAGE_USE_EMULATOR", "true"),
        ("AZURE_SKIP_SIGNATURE", "true"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "another"),
        ("AZURE_CONTAINER_NAME", "another"),
        ("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "no key"),
        ("AZURE_STORAGE_SAS_TOKEN", "no signature"),
        ("AZURE_STORAGE_TOKEN", "another"),
        ("AZURE_CREDENTIAL_TYPE", "client_secret"),
    ],
)
def test_variables_of_the_library(
    empty: Empty, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change nothing: the account, the container and the key are those that are given."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ObjectNotFoundError):
        opened(empty.url).head("key")
    (asked,) = empty.asked
    assert asked.path == "/acme/bucket/key"
    assert asked.headers["authorization"].startswith("SharedKey acme:")


@pytest.mark.parametrize("name", INTERFERING)
def test_variables_that_interfere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept from it is refused, by its name alone."""
    monkeypatch.setenv(name, "hush")
    with pytest.raises(ConfigurationError, match=f"{name} is set") as raised:
        opened("http://127.0.0.1:9")
    assert "hush" not in raised.value.message
