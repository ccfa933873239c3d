"""As whom a run comes to Google Cloud Storage, and what those are asked who give tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.harness.certificates import Authority
from tests.harness.gcs_identities import (
    AUDIENCE,
    EMAIL,
    IMPERSONATION,
    METADATA,
    SUBJECT_TYPE,
    AccountKey,
    GoogleMetadata,
    TokenExchange,
    external_account,
)
from tests.harness.identities import Said

from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.gcs_identity import (
    ExternalAccount,
    Identity,
    Machine,
    ServiceAccount,
    choose_identity,
)
from bao_backup.adapters.stores.gcs_services import PLATFORM, SCOPE, Token, fetch
from bao_backup.adapters.stores.gcs_subject import FileToken
from bao_backup.adapters.stores.signed_token import read_key, signed_token
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage_errors import (
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
    StorageUnreachableError,
)

KEY = AccountKey()
NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
STS = "https://sts.example"


def chosen(credentials: str = "", environment: dict[str, str] | None = None) -> Identity:
    """The identity for these."""
    given = {"credentials.json": credentials} if credentials else {}
    return choose_identity(given, environment or {}, "open gs://bucket")


def changed(**fields: Any) -> str:
    """An external account's configuration with other fields."""
    return json.dumps({**json.loads(external_account(STS, "/token")), **fields})


def of_key(**fields: Any) -> str:
    """A service account's key with other fields."""
    return json.dumps({**json.loads(KEY.file), **fields})


@pytest.fixture
def trusted(tmp_path: Path) -> Authority:
    """Whose certificates are trusted."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def asking(trusted: Authority) -> Asking:
    """For a bucket."""
    return Asking("log in to gs://bucket", trusted.client_context, Translator("gs://bucket"))


@pytest.fixture
def exchange(trusted: Authority) -> Iterator[TokenExchange]:
    """Google's STS and IAM, which trust one token."""
    context = trusted.server_context("sts")
    with TokenExchange(context, lambda token: token == "hush.of.pod") as service:
        yield service


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The pod's token, as it is mounted."""
    (tmp_path / "token").write_text("hush.of.pod\n")
    return tmp_path / "token"


def failure(identity: Identity, asking: Asking, type_: type[StorageError]) -> StorageError:
    """What it fails with: exactly this type, on one line, without any secret."""
    with pytest.raises(StorageError) as raised:
        fetch(identity, asking, NOW)
    error = raised.value
    assert type(error) is type_, error.message
    assert "\n" not in error.message
    assert "hush" not in f"{error!r} {error.message} {error.details} {error.__cause__!r}"
    return error


# --- who -----------------------------------------------------------------------------------------


def test_service_account(tmp_path: Path) -> None:
    """Its key from the Secret, else from the file that Google's variable names."""
    of_secret = chosen(KEY.file, {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"})
    assert isinstance(of_secret, ServiceAccount)
    assert (of_secret.email, of_secret.key_id) == (EMAIL, KEY.id)
    (tmp_path / "key.json").write_text(KEY.file)
    assert chosen("", {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}) == of_secret


@pytest.mark.parametrize("account", [False, True])
def test_external_account(account: bool) -> None:
    """The configuration of workload identity federation, with and without a service account."""
    impersonation = STS + IMPERSONATION if account else ""
    assert chosen(external_account(STS, "/token", account=account)) == ExternalAccount(
        f"{STS}/v1/token", AUDIENCE, SUBJECT_TYPE, FileToken("/token"), impersonation
    )


@pytest.mark.parametrize(
    ("environment", "host"),
    [({}, "metadata.google.internal"), ({"GCE_METADATA_HOST": "127.0.0.1:9"}, "127.0.0.1:9")],
)
def test_machine(environment: dict[str, str], host: str) -> None:
    """Without anything given, the place where we run."""
    assert chosen("", environment) == Machine(f"http://{host}{METADATA}")


def pem(key: Any) -> str:
    """A private key as PEM."""
    form = serialization.PrivateFormat.PKCS8
    text: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return text.decode()


@pytest.mark.parametrize(
    ("credentials", "environment"),
    [
        ("hush", {}),
        ('{"type": "hush"}', {}),
        ('{"type": ["hush"]}', {}),
        ('{"type": "authorized_user", "refresh_token": "hush"}', {}),
        (of_key(client_email=""), {}),
        (of_key(private_key="hush"), {}),
        (of_key(private_key=KEY.pem[:400] + KEY.pem[-60:]), {}),
        (
            json.dumps({**json.loads(KEY.file), "private_key": pem(ec.generate_private_key(ec.SECP256R1()))}),
            {},
        ),
        (of_key(private_key=pem(rsa.generate_private_key(65537, 1024))), {}),
        (changed(audience=""), {}),
        (changed(token_url=""), {}),
        (changed(token_url="http://sts.example"), {}),
        (changed(service_account_impersonation_url="http://iam.example"), {}),
        ("", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}),
        ("", {"GCE_METADATA_HOST": "host/path?x"}),
    ],
    ids=range(15),
)
def test_cannot_work(credentials: str, environment: dict[str, str]) -> None:
    """What is cut short, of another kind, or would tell a token to anybody is refused, and not shown."""
    with pytest.raises(ConfigurationError) as raised:
        chosen(credentials, environment)
    assert "hush" not in f"{raised.value!r} {raised.value.message} {raised.value.__cause__!r}"
    assert "BEGIN" not in raised.value.message


# --- the signature -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2048, 2056, 3072, 4096])
def test_signature(bits: int) -> None:
    """Another implementation accepts it, and not when a letter is changed."""
    key = AccountKey(bits)
    token = signed_token(read_key(key.pem), key.id, {"iss": "ümläut"})
    assert key.claims(token) == {"iss": "ümläut"}
    with pytest.raises(InvalidSignature):
        key.claims(token.replace(".", "._", 1))


@pytest.mark.parametrize("cut", range(0, 1600, 97))
def test_key_that_is_cut(cut: int) -> None:
    """A key that is cut anywhere is refused in words."""
    head, _, rest = KEY.pem.partition("\n")
    body = rest.partition("\n-----END")[0].replace("\n", "")[: cut // 4 * 4]
    with pytest.raises(ValueError, match="private key"):
        read_key(f"{head}\n{body}\n-----END PRIVATE KEY-----\n")


# --- tokens --------------------------------------------------------------------------------------


def test_token_of_a_key(asking: Asking) -> None:
    """It is signed here, for an hour and for storage alone; nobody is asked."""
    token = fetch(chosen(KEY.file), asking, NOW)
    begin = int(NOW.timestamp())
    assert KEY.claims(token.token) == {
        "iss": EMAIL,
        "sub": EMAIL,
        "scope": SCOPE,
        "iat": begin,
        "exp": begin + 3600,
    }
    assert token.expires == datetime.fromtimestamp(begin + 3600, UTC)


def test_token_of_a_machine(asking: Asking) -> None:
    """The metadata service is asked for one scope, with the header that it wants."""
    with GoogleMetadata() as metadata:
        token = fetch(Machine(metadata.url + METADATA), asking, NOW)
        assert token.token == "ya29.hush-1"
        assert token.expires == datetime.fromtimestamp(NOW.timestamp() + 3599, UTC)
        (asked,) = metadata.asked
        assert parse_qs(urlsplit(asked.path).query) == {"scopes": [SCOPE]}
        failure(Machine(f"{metadata.url}/elsewhere"), asking, StorageLoginError)


def test_token_exchange(exchange: TokenExchange, asking: Asking, token_file: Path) -> None:
    """The token is in the body of one request; the file is read anew each time."""
    identity = chosen(external_account(exchange.url, str(token_file)))
    assert fetch(identity, asking, NOW).token == "ya29.hush-federated"
    (asked,) = exchange.asked
    assert parse_qs(asked.body) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "audience": [AUDIENCE],
        "scope": [SCOPE],
        "requested_token_type": ["urn:ietf:params:oauth:token-type:access_token"],
        "subject_token_type": [SUBJECT_TYPE],
        "subject_token": ["hush.of.pod"],
    }
    token_file.write_text("hush.of.another")
    failure(identity, asking, StorageLoginError)
    token_file.unlink()
    assert "token file" in failure(identity, asking, StorageLoginError).why


def test_impersonation(exchange: TokenExchange, asking: Asking, token_file: Path) -> None:
    """What the exchange gives is good for taking on a service account, and its token for storage alone."""
    token = fetch(chosen(external_account(exchange.url, str(token_file), account=True)), asking, NOW)
    assert token.token == "ya29.hush-account"
    assert token.expires is not None
    assert abs(token.expires.timestamp() - time.time() - 3600) < 60
    first, second = exchange.asked
    assert parse_qs(first.body)["scope"] == [PLATFORM]
    assert json.loads(second.body) == {"scope": [SCOPE], "lifetime": "3600s"}


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (Said(429, "{}"), StorageThrottledError),
        (Said(503, "busy"), StorageUnavailableError),
        (Said(403, '{"error": "access_denied"}'), StorageLoginError),
        (Said(200, "<html>"), StorageLoginError),
        (Said(200, '{"expires_in": 5}'), StorageLoginError),
        (Said(200, '{"access_token": "two\\nlines"}'), StorageLoginError),
    ],
    ids=str,
)
def test_odd_answers(
    exchange: TokenExchange, asking: Asking, token_file: Path, said: Said, type_: type[StorageError]
) -> None:
    """What is no token is none, and a busy service may be asked again."""
    exchange.override = said
    failure(chosen(external_account(exchange.url, str(token_file))), asking, type_)


@pytest.mark.parametrize("end", ['"expires_in": 1e300', '"expires_in": null', '"expires_in": -1'])
def test_odd_ends(exchange: TokenExchange, asking: Asking, token_file: Path, end: str) -> None:
    """A token whose end nobody understands is used still."""
    exchange.override = Said(200, f'{{"access_token": "t", {end}}}')
    token = fetch(chosen(external_account(exchange.url, str(token_file))), asking, NOW)
    assert token == Token("t", None)


def test_not_there(asking: Asking, token_file: Path) -> None:
    """Nobody answers: a token service is unreachable; a machine without one has no identity."""
    failure(chosen(external_account("https://127.0.0.1:9", str(token_file))), asking, StorageUnreachableError)
    error = failure(Machine("http://127.0.0.1:9/x"), asking, StorageLoginError)
    assert error.why.startswith("no credentials were found")
    assert "credentials.json" in error.hint
