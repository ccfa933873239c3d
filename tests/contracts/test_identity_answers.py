"""Each answer by which a service refuses an identity, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.contracts.answering import Answering, Reply, answering
from tests.harness.azure_identities import CLIENT, SECRET, TENANT
from tests.harness.certificates import Authority
from tests.harness.gcs_identities import external_account

from bao_backup.adapters.stores import azure_services, gcs_identity, gcs_services, open_store, s3_services
from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.azure_identity import ClientSecret
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.identity_codes import (
    ENTRA,
    GOOGLE,
    POD,
    REFUSALS,
    STS,
    Refusal,
    find_refusal,
)
from bao_backup.adapters.stores.s3_addresses import TokenService
from bao_backup.adapters.stores.s3_identity import ContainerIdentity, WebIdentity
from bao_backup.core import storage_errors
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageLoginError, StorageUnavailableError

ROLE = "arn:aws:iam::123456789012:role/bao-backup"
TOKEN = "hush.of.the.pod"
SERVICES = (STS, POD, ENTRA, GOOGLE)
LONG_AGO = {"Date": "Tue, 02 Jan 2001 00:00:00 GMT"}


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whose certificates are trusted."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(trusted: Authority) -> Iterator[Answering]:
    """One server that is each of the services in turn."""
    with answering(trusted.server_context("identities")) as started:
        yield started


@pytest.fixture
def ask(server: Answering, trusted: Authority, tmp_path: Path) -> Callable[[str], StorageError]:
    """Ask a service for an identity; it refuses."""
    (tmp_path / "token").write_text(TOKEN)
    file = str(tmp_path / "token")

    def asking(service: str) -> StorageError:
        told = Asking("log in to it", trusted.client_context, Translator("s3://bucket"))
        acts: dict[str, Callable[[], object]] = {
            STS: lambda: s3_services.fetch(
                WebIdentity(ROLE, file, TokenService(f"{server.url}/", False), "tests"), told
            ),
            POD: lambda: s3_services.fetch(ContainerIdentity(f"{server.url}/v1/credentials", file, ""), told),
            ENTRA: lambda: azure_services.fetch(ClientSecret(server.url, TENANT, CLIENT, SECRET), told),
            GOOGLE: lambda: gcs_services.fetch(
                gcs_identity.choose_identity(
                    {"credentials.json": external_account(server.url, file)}, {}, "open it"
                ),
                told,
                datetime.now(UTC),
            ),
        }
        with pytest.raises(StorageError) as raised:
            acts[service]()
        error = raised.value
        assert error.exit_code == 5
        assert error.doing.startswith("log in to it")
        assert error.hint
        assert len(error.message.splitlines()) == 1
        assert "?" not in error.message
        said = f"{error!r} {error.message} {error.details} {error.__cause__!r}"
        assert not [secret for secret in (TOKEN, SECRET) if secret in said]
        return error

    return asking


def reply_of(service: str, code: str, says: str = "", status: int = 400) -> Reply:
    """As the service refuses; it repeats what it was shown."""
    words = f"Words. {says} {TOKEN} {SECRET}"
    match service:
        case "sts":
            message = f"<Message>{words.replace(SECRET, '')}</Message>"
            told = f"<Error><Type>Sender</Type><Code>{code}</Code>{message}</Error>"
            return Reply(status, f"<ErrorResponse>{told}<RequestId>1</RequestId></ErrorResponse>")
        case "pod":
            said = f"operation error EKS Auth: AssumeRoleForPodIdentity, StatusCode: 400, {code}: {words}"
            return Reply(status, f"[1a2b]: (error fetching credentials): {said}")
        case "entra" if code.startswith("AADSTS"):
            description = f"{code}: {says} {SECRET} Trace ID: 1"
            return Reply(status, json.dumps({"error": "invalid_client", "error_description": description}))
        case "entra":
            return Reply(status, json.dumps({"error": code, "error_description": f"{says} {SECRET}"}))
    if code.isupper():
        error = {"code": status, "message": f"{says} {TOKEN}", "status": code}
        return Reply(status, json.dumps({"error": error}))
    return Reply(status, json.dumps({"error": code, "error_description": f"{says} {TOKEN}"}))


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.service}-{row.code}-{row.says}")
def test_each_code(ask: Callable[[str], StorageError], server: Answering, row: Refusal) -> None:
    """Each code of each service is the error that the table says."""
    server.reply = reply_of(row.service, row.code, row.says)
    error = ask(row.service)
    type_, why, hint = row.meaning
    assert type(error) is type_
    assert error.why == f"{why} (400 {row.code})"
    assert error.hint == (hint or type_.default_hint)


def test_each_row_can_be_reached() -> None:
    """No row stands behind another that always fits before it."""
    for row in REFUSALS:
        assert find_refusal(row.service, ["Unheard", row.code], f"Words. {row.says}") is row


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, StorageLoginError),
        (401, StorageLoginError),
        (403, StorageLoginError),
        (429, storage_errors.StorageThrottledError),
        (500, StorageUnavailableError),
        (503, StorageUnavailableError),
    ],
)
def test_without_a_code(
    ask: Callable[[str], StorageError],
    server: Answering,
    service: str,
    status: int,
    type_: type[StorageError],
) -> None:
    """What says no more than its status is a refused login, or a service that cannot now."""
    server.reply = Reply(status, "<html>no</html>")
    error = ask(service)
    assert type(error) is type_
    assert f"({status})" in error.why


@pytest.mark.parametrize(
    ("service", "code"),
    [
        (STS, "InvalidIdentityToken"),
        (POD, "InvalidTokenException"),
        (ENTRA, "AADSTS700024"),
        (GOOGLE, "invalid_grant"),
    ],
)
def test_clock(ask: Callable[[str], StorageError], server: Answering, service: str, code: str) -> None:
    """A login is refused, and the service's clock is another: that is why."""
    server.reply = reply_of(service, code)._replace(headers=LONG_AGO)
    error = ask(service)
    assert type(error) is storage_errors.StorageClockError
    assert "days ahead of the store's" in error.message


@pytest.mark.parametrize(
    ("service", "reply", "reason", "words"),
    [
        (
            STS,
            reply_of(STS, "AccessDenied", "not authorized to perform: sts:AssumeRoleWithWebIdentity"),
            "StorageLoginFailed",
            "trust policy",
        ),
        (
            STS,
            reply_of(STS, "InvalidIdentityToken", "Token is expired"),
            "StorageLoginExpired",
            "has expired",
        ),
        (STS, reply_of(STS, "ExpiredTokenException"), "StorageLoginExpired", "not renewed"),
        (STS, reply_of(STS, "Throttling"), "StorageThrottled", "fewer requests"),
        (POD, reply_of(POD, "ResourceNotFoundException"), "StorageLoginFailed", "pod identity association"),
        (POD, reply_of(POD, "ExpiredTokenException"), "StorageLoginExpired", "has expired"),
        (ENTRA, reply_of(ENTRA, "AADSTS7000222"), "StorageLoginExpired", "the client's secret has expired"),
        (ENTRA, reply_of(ENTRA, "AADSTS7000215"), "StorageLoginFailed", "value, and not its id"),
        (ENTRA, reply_of(ENTRA, "AADSTS90002"), "StorageLoginFailed", "correct tenantId"),
        (ENTRA, reply_of(ENTRA, "AADSTS700213"), "StorageLoginFailed", "federated credential"),
        (GOOGLE, reply_of(GOOGLE, "invalid_target"), "StorageLoginFailed", "audience"),
        (
            GOOGLE,
            reply_of(GOOGLE, "invalid_grant", "The ID Token is stale to sign-in"),
            "StorageLoginExpired",
            "has expired",
        ),
        (
            GOOGLE,
            reply_of(GOOGLE, "PERMISSION_DENIED", status=403),
            "StorageLoginFailed",
            "roles/iam.workloadIdentityUser",
        ),
    ],
)
def test_told_apart(
    ask: Callable[[str], StorageError], server: Answering, service: str, reply: Reply, reason: str, words: str
) -> None:
    """What a person has to mend is said, and a machine can tell it."""
    server.reply = reply
    error = ask(service)
    assert error.reason == reason
    assert words in error.message


def test_by_a_whole_store(server: Answering, trusted: Authority, tmp_path: Path) -> None:
    """What the service says is what a request to the store fails with, and the store is never asked."""
    (tmp_path / "token").write_text(TOKEN)
    server.reply = reply_of(STS, "ExpiredTokenException")
    server.asked.clear()
    settings = StoreSettings(
        provider="s3",
        bucket="bucket",
        endpoint="http://127.0.0.1:9",
        sts_endpoint=server.url,
        role_arn=ROLE,
        role_token_file=str(tmp_path / "token"),
        max_retries=0,
    )
    store = open_store(settings, {"caCert": trusted.ca_file.read_text()})
    for act in (
        lambda: store.head("key"),
        lambda: list(store.list("")),
        lambda: store.put("key", iter([b"x"])),
    ):
        with pytest.raises(storage_errors.StorageExpiredError) as raised:
            act()
        assert raised.value.reason == "StorageLoginExpired"
        assert TOKEN not in raised.value.details
    assert set(server.asked) == {"POST /"}
