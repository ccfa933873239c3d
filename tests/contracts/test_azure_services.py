"""What the services that give tokens for Azure are asked, and what their answers mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.harness.azure_identities import (
    ASSERTION,
    CLIENT,
    RESOURCE,
    SECRET,
    TENANT,
    Entra,
    Machine,
    token,
)
from tests.harness.certificates import Authority
from tests.harness.identities import Said

from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.azure_identity import ClientSecret, FederatedToken, ManagedIdentity
from bao_backup.adapters.stores.azure_login import Bearer, Granted
from bao_backup.adapters.stores.azure_services import fetch
from bao_backup.adapters.stores.failures import Translator
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import (
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
    StorageUnreachableError,
    StorageUntrustedError,
)

Fetched = ClientSecret | FederatedToken | ManagedIdentity
GIVEN = token()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whose certificates are trusted."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def asking(trusted: Authority) -> Asking:
    """For a container."""
    return Asking("log in to azure://a/b", trusted.client_context, Translator("azure://a/b"))


@pytest.fixture
def entra(trusted: Authority) -> Iterator[Entra]:
    """A token service that trusts one token."""
    context = trusted.server_context("entra")
    with Entra(context, lambda assertion: assertion == "hush.of.pod", lambda: GIVEN) as service:
        yield service


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The pod's token, as it is mounted."""
    (tmp_path / "token").write_text("hush.of.pod\n")
    return tmp_path / "token"


def machine_of(service: Machine, client: str = "", header: str = "") -> ManagedIdentity:
    """The identity that it gives."""
    return ManagedIdentity(f"{service.url}/metadata/identity/oauth2/token", client, header)


def in_an_hour(granted: Granted) -> bool:
    """Whether it lasts an hour, within some seconds."""
    return granted.expires is not None and abs(granted.expires.timestamp() - time.time() - 3600) < 60


def failure(identity: Fetched, asking: Asking, type_: type[StorageError]) -> StorageError:
    """What it fails with: exactly this type, on one line, without any secret."""
    with pytest.raises(StorageError) as raised:
        fetch(identity, asking)
    error = raised.value
    assert type(error) is type_, error.message
    assert "\n" not in error.message
    said = f"{error!r} {error.message} {error.details} {error.__cause__!r}"
    assert not [secret for secret in ("hush", SECRET) if secret in said]
    return error


def test_client_secret(entra: Entra, asking: Asking) -> None:
    """One request, with the secret in its body and not in its URL."""
    granted = fetch(ClientSecret(entra.url, TENANT, CLIENT, SECRET), asking)
    assert granted.access == Bearer(GIVEN)
    assert in_an_hour(granted)
    (asked,) = entra.asked
    assert (asked.method, asked.path) == ("POST", Entra.PATH)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT],
        "client_secret": [SECRET],
        "scope": [f"{RESOURCE}.default"],
    }


def test_federated_token(entra: Entra, asking: Asking, token_file: Path) -> None:
    """The pod's token is the proof; it is read anew each time."""
    identity = FederatedToken(entra.url, TENANT, CLIENT, str(token_file))
    assert fetch(identity, asking).access == Bearer(GIVEN)
    assert parse_qs(entra.asked[0].body) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT],
        "client_assertion_type": [ASSERTION],
        "client_assertion": ["hush.of.pod"],
        "scope": [f"{RESOURCE}.default"],
    }
    token_file.write_text("hush.of.another")
    failure(identity, asking, StorageLoginError)
    token_file.unlink()
    assert "token file" in failure(identity, asking, StorageLoginError).why


def test_managed_identity(asking: Asking) -> None:
    """A machine is asked for one resource, and for one of its identities where it has several."""
    with Machine(issue=lambda _seconds: GIVEN, client=CLIENT) as machine:
        granted = fetch(machine_of(machine, CLIENT), asking)
        assert granted.access == Bearer(GIVEN)
        assert in_an_hour(granted)
        (asked,) = machine.asked
        assert asked.headers["metadata"] == "true"
        query = {"api-version": ["2018-02-01"], "resource": [RESOURCE], "client_id": [CLIENT]}
        assert parse_qs(urlsplit(asked.path).query) == query
        failure(machine_of(machine, "unknown"), asking, StorageLoginError)


def test_identity_of_app_service(asking: Asking) -> None:
    """It wants to see the header that it gave, which no error shows."""
    with Machine("hush-header", lambda _seconds: GIVEN) as service:
        assert fetch(machine_of(service, header="hush-header"), asking).access == Bearer(GIVEN)
        assert service.asked[0].headers["x-identity-header"] == "hush-header"
        failure(machine_of(service, header="hush-wrong"), asking, StorageLoginError)


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (Said(429, "{}"), StorageThrottledError),
        (Said(503, "busy"), StorageUnavailableError),
        (Said(401, '{"error": "unheard_of"}'), StorageLoginError),
        (Said(401, "<html>"), StorageLoginError),
        (Said(200, "<html>"), StorageLoginError),
        (Said(200, '{"token_type": "Bearer"}'), StorageLoginError),
        (Said(200, '{"access_token": "two\\nlines"}'), StorageLoginError),
    ],
    ids=str,
)
def test_odd_answers(entra: Entra, asking: Asking, said: Said, type_: type[StorageError]) -> None:
    """What is no token is none, and a busy service may be asked again."""
    entra.override = said
    failure(ClientSecret(entra.url, TENANT, CLIENT, SECRET), asking, type_)


@pytest.mark.parametrize("end", ['"expires_in": "soon"', '"expires_on": 1e300', '"expires_in": null'])
def test_odd_ends(entra: Entra, asking: Asking, end: str) -> None:
    """A token whose end nobody understands is used still."""
    entra.override = Said(200, f'{{"access_token": "{GIVEN}", {end}}}')
    granted = fetch(ClientSecret(entra.url, TENANT, CLIENT, SECRET), asking)
    assert granted == Granted(Bearer(GIVEN), None)


def test_not_there(asking: Asking, tmp_path: Path) -> None:
    """Nobody answers: a token service is unreachable; a machine without one has no identity."""
    failure(ClientSecret("https://127.0.0.1:9", TENANT, CLIENT, SECRET), asking, StorageUnreachableError)
    error = failure(ManagedIdentity("http://127.0.0.1:9/x", "", ""), asking, StorageLoginError)
    assert error.why.startswith("no credentials were found")
    assert "accountKey" in error.hint
    stranger = Authority(tmp_path / "stranger")
    with Entra(stranger.server_context("entra")) as service:
        failure(ClientSecret(service.url, TENANT, CLIENT, SECRET), asking, StorageUntrustedError)
        assert service.asked == []
