"""What an external account proves itself with to Google: files, services, and an identity at AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.harness.certificates import Authority
from tests.harness.forward_proxy import ForwardProxy
from tests.harness.gcs_identities import (
    AMAZON_TYPE,
    AUDIENCE,
    Caller,
    TokenExchange,
    TokenGiver,
    external_account,
    signed_caller,
)
from tests.harness.identities import InstanceMetadata, PodIdentityAgent, Said, Temporary, TokenService
from tests.harness.s3 import Keys

from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.gcs_identity import choose_identity
from bao_backup.adapters.stores.gcs_services import fetch
from bao_backup.adapters.stores.s3_identity import Keys as OurKeys
from bao_backup.adapters.stores.s3_requests import Signed, sign
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage_errors import (
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
    StorageUnreachableError,
    StorageUntrustedError,
)

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
JSON = {"type": "json", "subject_token_field_name": "access_token"}
OF_JSON = json.dumps({"access_token": "hush.of.pod", "other": "hush"})
AMAZON = {
    "environment_id": "aws1",
    "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
    "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
    "regional_cred_verification_url": (
        "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    ),
}
SECRETS = {"AKIDOFTESTS": "hush-secret"}
OF_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDOFTESTS", "AWS_SECRET_ACCESS_KEY": "hush-secret"}


class Google:
    """A token service that trusts one token, or who has signed; and what asks it."""

    def __init__(self, authority: Authority) -> None:
        self.callers: list[Caller | None] = []
        self.exchange = TokenExchange(authority.server_context("sts"), self._trusts)
        self._authority = authority

    def _trusts(self, token: str) -> bool:
        if not token.startswith("%7B"):
            return token == "hush.of.pod"
        self.callers.append(signed_caller(token, SECRETS, NOW))
        return self.callers[-1] is not None

    def asked_with(
        self, source: Mapping[str, Any], environment: Mapping[str, str] | None = None, *, proxy: str = ""
    ) -> str:
        """The token that this source leads to."""
        given = {"credentials.json": external_account(self.exchange.url, "", source=source)}
        identity = choose_identity(given, environment or {}, "open gs://bucket")
        context = self._authority.client_context
        return fetch(
            identity, Asking("log in to gs://bucket", context, Translator("gs://bucket"), proxy), NOW
        ).token

    def refused(
        self,
        source: Mapping[str, Any],
        type_: type[StorageError],
        environment: Mapping[str, str] | None = None,
    ) -> StorageError:
        """What it fails with: exactly this type, on one line, without any secret."""
        with pytest.raises(StorageError) as raised:
            self.asked_with(source, environment)
        error = raised.value
        assert type(error) is type_, error.message
        assert "\n" not in error.message
        assert "hush" not in f"{error!r} {error.message} {error.details} {error.__cause__!r}"
        return error


@pytest.fixture
def trusted(tmp_path: Path) -> Authority:
    """Whose certificates are trusted."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def google(trusted: Authority) -> Iterator[Google]:
    """Started."""
    google = Google(trusted)
    with google.exchange:
        yield google


# --- a file, a service ---------------------------------------------------------------------------


def test_a_field_of_a_file(google: Google, tmp_path: Path) -> None:
    """A token may stand in JSON, and is read anew each time."""
    file = tmp_path / "token.json"
    source = {"file": str(file), "format": JSON}
    file.write_text(OF_JSON)
    assert google.asked_with(source) == "ya29.hush-federated"
    file.write_text('{"access_token": "hush.of.another"}')
    google.refused(source, StorageLoginError)
    for wrong in (
        "",
        "hush",
        "[]",
        '{"access_token": 7}',
        '{"access_token": "hush\\nhush"}',
        '{"hush": "x"}',
    ):
        file.write_text(wrong)
        assert "access_token" in google.refused(source, StorageLoginError).hint
    file.unlink()
    assert "cannot be read" in google.refused(source, StorageLoginError).why


@pytest.mark.parametrize(("body", "form"), [("hush.of.pod\n", {}), (OF_JSON, {"format": JSON})])
@pytest.mark.parametrize("tls", [False, True])
def test_a_service(google: Google, trusted: Authority, tls: bool, body: str, form: dict[str, Any]) -> None:
    """One of this machine by plain HTTP, others by https; it sees the headers that are given."""
    with TokenGiver(body, trusted.server_context("giver") if tls else None) as giver:
        source = {"url": f"{giver.url}/token?resource=hush", "headers": giver.HEADERS, **form}
        assert google.asked_with(source) == "ya29.hush-federated"
        giver.body = "hush.of.another"
        google.refused(source, StorageLoginError)


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (Said(401, "hush.of.pod"), StorageLoginError),
        (Said(404, '{"access_token": "hush"}'), StorageLoginError),
        (Said(429, "hush"), StorageThrottledError),
        (Said(503, "hush"), StorageUnavailableError),
        (Said(200, ""), StorageLoginError),
        (Said(200, "two\nlines"), StorageLoginError),
        (Said(200, "hüsh"), StorageLoginError),
    ],
    ids=str,
)
def test_a_service_that_gives_none(google: Google, said: Said, type_: type[StorageError]) -> None:
    """It is told apart from one that is busy; what it said is not shown."""
    with TokenGiver("") as giver:
        giver.override = said
        error = google.refused({"url": f"{giver.url}/token?resource=hush"}, type_)
        assert f"the token of {giver.url}/token" in error.doing
    assert google.exchange.asked == []


def test_a_service_that_is_not_there(google: Google, tmp_path: Path) -> None:
    """Nobody answers, or somebody whose certificate does not verify."""
    google.refused({"url": "http://127.0.0.1:9/token"}, StorageUnreachableError)
    stranger = Authority(tmp_path / "stranger")
    with TokenGiver("hush.of.pod", stranger.server_context("giver")) as giver:
        google.refused({"url": f"{giver.url}/token"}, StorageUntrustedError)
        assert giver.asked == []


def test_a_service_of_the_machine_is_asked_directly(google: Google) -> None:
    """No proxy hears of it, although Google is asked through one."""
    with TokenGiver("hush.of.pod") as giver, ForwardProxy(google.exchange.url) as proxy:
        source = {"url": f"{giver.url}/token?resource=hush", "headers": giver.HEADERS}
        assert google.asked_with(source, proxy=proxy.url) == "ya29.hush-federated"
        assert {method for method, _ in proxy.asked} == {"CONNECT"}
        assert len(giver.asked) == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"executable": {"command": "/bin/hush", "timeout_millis": 5000}}, "none is run"),
        ({}, "names neither"),
        ({"file": "/t", "format": {"type": "json"}}, "format"),
        ({"file": "/t", "format": {"type": "xml"}}, "format"),
        ({"url": "http://sts.example/hush"}, "neither https nor of this machine"),
        ({"url": "http://10.0.0.1/hush"}, "neither https nor of this machine"),
        ({"url": "https://hush:hush@sts.example/"}, "neither https nor of this machine"),
        ({"url": "https://sts.example:hush/"}, "neither https nor of this machine"),
        ({"url": "file:///hush"}, "neither https nor of this machine"),
        ({"url": "https://sts.example", "headers": {"X-A": "hush\r\nX-B: hush"}}, "header"),
        ({"url": "https://sts.example", "headers": {"X A": "hush"}}, "header"),
        ({**AMAZON, "environment_id": "aws2"}, "aws1"),
        ({**AMAZON, "regional_cred_verification_url": "https://hush.example"}, "token service"),
        ({**AMAZON, "regional_cred_verification_url": "http://sts.amazonaws.com"}, "token service"),
        (AMAZON, "no region of AWS"),
    ],
)
def test_cannot_work(source: dict[str, Any], words: str) -> None:
    """What would run a program, tell a token to anybody, or is unknown is refused, and not shown."""
    given = {"credentials.json": external_account("https://sts.example", "", source=source)}
    with pytest.raises(ConfigurationError) as raised:
        choose_identity(given, {"AWS_EC2_METADATA_DISABLED": "true"}, "open gs://bucket")
    assert words in raised.value.message
    assert "hush" not in f"{raised.value!r} {raised.value.message} {raised.value.__cause__!r}"


# --- AWS -----------------------------------------------------------------------------------------


def temporary() -> Temporary:
    """Keys with a session."""
    return Temporary(Keys("AKIDOFTESTS", "hush-secret"), "hush-session")


def by_keys(_trusted: Authority, _file: Path) -> tuple[Any, dict[str, str]]:
    """The environment's."""
    return None, {**OF_ENVIRONMENT, "AWS_REGION": "eu-north-1", "AWS_SESSION_TOKEN": "hush-session"}


def by_instance(_trusted: Authority, _file: Path) -> tuple[Any, dict[str, str]]:
    """The machine's, in the region that it says."""
    service = InstanceMetadata(temporary)
    return service, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}


def by_pod(_trusted: Authority, file: Path) -> tuple[Any, dict[str, str]]:
    """The pod's (EKS Pod Identity)."""
    service = PodIdentityAgent(temporary, file)
    return service, {**service.variables, "AWS_DEFAULT_REGION": "eu-north-1"}


def by_role(trusted: Authority, file: Path) -> tuple[Any, dict[str, str]]:
    """A role by web identity (IRSA)."""
    service = TokenService(temporary, lambda token: token == "hush.of.aws", trusted.server_context("amazon"))
    variables = {"AWS_ROLE_ARN": "arn:role", "AWS_WEB_IDENTITY_TOKEN_FILE": str(file)}
    return service, {**variables, "AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL_STS": service.url}


@pytest.mark.parametrize("way", [by_keys, by_instance, by_pod, by_role])
def test_an_identity_at_aws(
    google: Google,
    trusted: Authority,
    tmp_path: Path,
    way: Callable[[Authority, Path], tuple[Any, dict[str, str]]],
) -> None:
    """Whoever we are there signs a request that AWS would answer with who we are, for this audience alone."""
    (tmp_path / "token").write_text("hush.of.aws")
    service, environment = way(trusted, tmp_path / "token")
    if service is not None:
        service.__enter__()
    try:
        assert google.asked_with(AMAZON, environment) == "ya29.hush-federated"
    finally:
        if service is not None:
            service.__exit__(None, None, None)
    assert google.callers == [Caller("AKIDOFTESTS", "hush-session", "eu-north-1")]
    (asked,) = google.exchange.asked
    form = parse_qs(asked.body)
    assert form["subject_token_type"] == [AMAZON_TYPE]
    assert form["audience"] == [AUDIENCE]


def test_the_stand_in_believes_nothing_else(google: Google) -> None:
    """A request by other keys is refused, as AWS would."""
    environment = {**OF_ENVIRONMENT, "AWS_REGION": "eu-north-1", "AWS_SECRET_ACCESS_KEY": "hush-other"}
    google.refused(AMAZON, StorageLoginError, environment)
    assert google.callers == [None]


def test_no_identity_at_aws(google: Google) -> None:
    """Nobody gives keys, or no region: a login that failed, before Google is asked."""
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9", "AWS_REGION": "eu-north-1"}
    assert "no credentials were found" in google.refused(AMAZON, StorageLoginError, environment).why
    with InstanceMetadata(temporary, region="<html>") as metadata:
        environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
        assert "no region" in google.refused(AMAZON, StorageLoginError, environment).why
    assert google.exchange.asked == []


def test_signature_of_another_service() -> None:
    """As AWS's own examples of Signature Version 4 have it ("get-vanilla")."""
    keys = OurKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
    moment = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signed = sign(
        keys, Signed("GET", "example.amazonaws.com", "/", "", b"", {}), "us-east-1", moment, service="service"
    )
    assert signed["authorization"].endswith(
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
