"""What the services that give keys are asked, and what their answers mean."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from tests.adapters.scripted import End, Script, ScriptedServer, reply
from tests.harness.certificates import Authority
from tests.harness.forward_proxy import ForwardProxy
from tests.harness.identities import (
    InstanceMetadata,
    PodIdentityAgent,
    Said,
    Service,
    Temporary,
    TokenService,
    refused,
)
from tests.harness.logins import TokenIssuer
from tests.harness.s3 import Keys as Pair

from bao_backup.adapters.stores import s3_addresses
from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.s3_identity import (
    ContainerIdentity,
    InstanceIdentity,
    Issued,
    Keys,
    WebIdentity,
)
from bao_backup.adapters.stores.s3_services import (
    INSTANCE_TIMEOUT,
    by_container,
    by_instance,
    by_web_identity,
)
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import (
    StorageExpiredError,
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
    StorageUnreachableError,
    StorageUntrustedError,
)

ROLE = "arn:aws:iam::123456789012:role/bao-backup"
GIVEN = Temporary(Pair("ASIAGIVEN", "hush-secret"), "hush-session")
OURS = Keys("ASIAGIVEN", "hush-secret", "hush-session")
TOKEN = "hush-of-the-pod"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whose certificates are trusted."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def asking(trusted: Authority) -> Asking:
    """For a bucket."""
    return Asking("log in to s3://bucket", trusted.client_context, Translator("s3://bucket"))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with a token, which ends with a line end as many do."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return file


@pytest.fixture
def sts(trusted: Authority) -> Iterator[TokenService]:
    """A token service over TLS that trusts the one token."""
    context = trusted.server_context("sts")
    with TokenService(lambda: GIVEN, lambda token: token == TOKEN, context) as service:
        yield service


@pytest.fixture
def agent(token_file: Path) -> Iterator[PodIdentityAgent]:
    """EKS's agent."""
    with PodIdentityAgent(lambda: GIVEN, token_file) as service:
        yield service


@pytest.fixture
def metadata() -> Iterator[InstanceMetadata]:
    """EC2's metadata service."""
    with InstanceMetadata(lambda: GIVEN) as service:
        yield service


def web(url: str, token_file: Path) -> WebIdentity:
    """A role of this token service."""
    return WebIdentity(ROLE, str(token_file), s3_addresses.TokenService(f"{url}/", True), "bao-backup")


def pod(agent: PodIdentityAgent, token_file: Path) -> ContainerIdentity:
    """The identity that the agent gives."""
    return ContainerIdentity(agent.url + agent.PATH, str(token_file), "")


def in_an_hour(issued: Issued) -> bool:
    """Whether they last an hour, within some seconds."""
    return issued.expires is not None and abs(issued.expires.timestamp() - time.time() - 3600) < 60


def failure(act: Callable[[], object], type_: type[StorageError]) -> StorageError:
    """What it fails with: exactly this type, on one line, without any secret."""
    with pytest.raises(StorageError) as raised:
        act()
    error = raised.value
    assert type(error) is type_, error.message
    assert "\n" not in error.message
    assert error.doing.startswith("log in to s3://bucket")
    assert "hush" not in f"{error!r} {error.message} {error.details} {error.__cause__!r}"
    return error


# --- web identity ------------------------------------------------------------------------------


def test_exchange(sts: TokenService, asking: Asking, token_file: Path) -> None:
    """One request, with the token in its body and not in its URL."""
    issued = by_web_identity(web(sts.url, token_file), asking)
    assert issued.keys == OURS
    assert in_an_hour(issued)
    (asked,) = sts.asked
    assert (asked.method, asked.path) == ("POST", "/")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body) == {
        "Action": ["AssumeRoleWithWebIdentity"],
        "Version": ["2011-06-15"],
        "RoleArn": [ROLE],
        "RoleSessionName": ["bao-backup"],
        "WebIdentityToken": [TOKEN],
    }


def test_a_token_is_read_each_time(sts: TokenService, asking: Asking, token_file: Path) -> None:
    """Kubernetes renews the file: what is in it now counts."""
    token_file.write_text("hush, an old one")
    failure(lambda: by_web_identity(web(sts.url, token_file), asking), StorageLoginError)
    token_file.write_text(TOKEN)
    assert by_web_identity(web(sts.url, token_file), asking).keys == OURS


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (refused("SomethingNew", 403), StorageLoginError),
        (Said(403, f"no XML, {TOKEN}"), StorageLoginError),
        (Said(307), StorageLoginError),
        (Said(429), StorageThrottledError),
        (Said(503, "<html>"), StorageUnavailableError),
        (Said(200), StorageLoginError),
        (Said(200, "<Answer/>"), StorageLoginError),
    ],
)
def test_other_answers(
    sts: TokenService, asking: Asking, token_file: Path, said: Said, type_: type[StorageError]
) -> None:
    """What is in no table, and what is no answer at all."""
    sts.override = said
    failure(lambda: by_web_identity(web(sts.url, token_file), asking), type_)


@pytest.mark.parametrize("code", ["InvalidParameterValue", "AccessDenied"])
def test_a_token_that_has_expired(sts: TokenService, asking: Asking, token_file: Path, code: str) -> None:
    """It is said so, also where the service has no word of its own for that."""
    sts.override = refused(code, 400)
    issuer = TokenIssuer()
    token_file.write_text(issuer.issue(seconds=-60))
    error = failure(lambda: by_web_identity(web(sts.url, token_file), asking), StorageExpiredError)
    assert error.why == f"the token has expired (400 {code})"
    token_file.write_text(issuer.issue())
    error = failure(lambda: by_web_identity(web(sts.url, token_file), asking), StorageLoginError)
    assert "expired" not in error.why


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", b"\xff\xfe", None])
def test_no_token(asking: Asking, tmp_path: Path, content: bytes | None) -> None:
    """Without a token nobody is asked, and the file is named."""
    file = tmp_path / "token-file"
    if content is not None:
        file.write_bytes(content)
    for act in (
        lambda: by_web_identity(web("https://127.0.0.1:9", file), asking),
        lambda: by_container(ContainerIdentity(NOWHERE, str(file), ""), asking),
    ):
        error = failure(act, StorageLoginError)
        assert str(file) in error.doing
        assert "the token file" in error.why


def test_a_token_service_that_is_not_there(asking: Asking, token_file: Path) -> None:
    """Its address is said, and where that comes from."""
    identity = web("https://127.0.0.1:9", token_file)
    error = failure(lambda: by_web_identity(identity, asking), StorageUnreachableError)
    assert "https://127.0.0.1:9/" in error.doing
    assert "stsEndpoint" in error.hint


def test_a_token_service_that_is_not_trusted(
    sts: TokenService, asking: Asking, token_file: Path, tmp_path: Path
) -> None:
    """The token is not sent to whom the CA does not vouch for."""
    other = asking._replace(context=Authority(tmp_path / "other").client_context)
    failure(lambda: by_web_identity(web(sts.url, token_file), other), StorageUntrustedError)
    assert sts.asked == []


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(asking: Asking, token_file: Path, trusted: Authority, status: int) -> None:
    """A token is for the service that was named, and for nobody that it names."""
    context = trusted.server_context("redirecting")
    with ScriptedServer({}) as elsewhere:
        away = reply(status, b"", f"Location: {elsewhere.url}/")
        with ScriptedServer({"/": away}, context) as server:
            container = ContainerIdentity(f"{server.url}/", str(token_file), "")
            failure(lambda: by_web_identity(web(server.url, token_file), asking), StorageLoginError)
            failure(lambda: by_container(container, asking), StorageLoginError)
            assert len(server.seen) == 2
        assert elsewhere.seen == []


# --- containers --------------------------------------------------------------------------------


def test_pod_identity(agent: PodIdentityAgent, asking: Asking, token_file: Path) -> None:
    """One request, with the token of the file, each time as it is then."""
    issued = by_container(pod(agent, token_file), asking)
    assert issued.keys == OURS
    assert in_an_hour(issued)
    token_file.write_text("hush-rotated")
    by_container(pod(agent, token_file), asking)
    assert agent.paths == ["GET /v1/credentials"] * 2
    assert [asked.headers["authorization"] for asked in agent.asked] == [TOKEN, "hush-rotated"]


def test_a_container_without_a_token(asking: Asking) -> None:
    """ECS asks for none: then no such header is sent."""
    with ScriptedServer({"/v2/x": reply(200, _json(GIVEN))}) as server:
        assert by_container(ContainerIdentity(f"{server.url}/v2/x", "", ""), asking).keys == OURS
        assert "authorization" not in server.seen[0].headers
        by_container(ContainerIdentity(f"{server.url}/v2/x", "", "hush-direct"), asking)
        assert server.seen[1].headers["authorization"] == "hush-direct"


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (Said(401, "hush"), StorageLoginError),
        (Said(404), StorageLoginError),
        (Said(429), StorageThrottledError),
        (Said(500), StorageUnavailableError),
        (Said(200, "no JSON, hush"), StorageLoginError),
        (Said(200, "{}"), StorageLoginError),
        (Said(200, '{"AccessKeyId": "hush"}'), StorageLoginError),
        (
            Said(200, '{"AccessKeyId": "hush", "SecretAccessKey": "hush", "Expiration": "hush"}'),
            StorageLoginError,
        ),
    ],
)
def test_an_agent_that_refuses(
    agent: PodIdentityAgent, asking: Asking, token_file: Path, said: Said, type_: type[StorageError]
) -> None:
    """What it means, and nothing of what it said."""
    agent.override = said
    failure(lambda: by_container(pod(agent, token_file), asking), type_)


def test_an_agent_that_is_not_there(asking: Asking) -> None:
    """Which agent is meant is said; what an address has after a question mark is not."""
    identity = ContainerIdentity(f"{NOWHERE}/v1/credentials?hush", "", "")
    error = failure(lambda: by_container(identity, asking), StorageUnreachableError)
    assert f"{NOWHERE}/v1/credentials" in error.doing
    assert "eks-pod-identity-agent" in error.hint


# --- the machine -------------------------------------------------------------------------------


def test_instance(metadata: InstanceMetadata, asking: Asking) -> None:
    """A metadata token first, then the role's name, then its keys."""
    issued = by_instance(InstanceIdentity(metadata.url), asking)
    assert issued.keys == OURS
    assert in_an_hour(issued)
    folder = "/latest/meta-data/iam/security-credentials/"
    assert metadata.paths == ["PUT /latest/api/token", f"GET {folder}", f"GET {folder}bao-backup-role"]
    assert metadata.asked[0].headers["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    tokens = {asked.headers.get("x-aws-ec2-metadata-token") for asked in metadata.asked[1:]}
    assert len(tokens) == 1
    assert None not in tokens


def test_no_proxy_for_services_of_the_machine(
    metadata: InstanceMetadata,
    agent: PodIdentityAgent,
    asking: Asking,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They answer here alone; a proxy would hand its own machine's keys to us, or ours to it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert by_instance(InstanceIdentity(metadata.url), asking).keys == OURS
    assert by_container(pod(agent, token_file), asking).keys == OURS


def test_no_role(asking: Asking) -> None:
    """A machine without a role has no keys."""
    with InstanceMetadata(lambda: GIVEN, role="") as service:
        error = failure(lambda: by_instance(InstanceIdentity(service.url), asking), StorageLoginError)
    assert "no role is attached" in error.why


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_machine_that_refuses(metadata: InstanceMetadata, asking: Asking, status: int) -> None:
    """Metadata that is switched off, or somebody else at that address: what was asked, and the answer."""
    metadata.override = Said(status, "hush")
    error = failure(lambda: by_instance(InstanceIdentity(metadata.url), asking), StorageLoginError)
    assert metadata.url in error.doing
    assert error.why.startswith("no credentials were found: none are configured; asked the machine, answer: ")
    for remedy in ("accessKeyId", "AWS_ACCESS_KEY_ID", "roleArn", "hop limit"):
        assert remedy in error.hint
    assert len(metadata.asked) == 1


def test_a_machine_that_cannot_now(metadata: InstanceMetadata, asking: Asking) -> None:
    """That may pass."""
    metadata.override = Said(503)
    failure(lambda: by_instance(InstanceIdentity(metadata.url), asking), StorageUnavailableError)


def test_a_role_without_keys(asking: Asking) -> None:
    """The metadata service says why it has none."""

    class Refusing(Service):
        def answer(self, asked: object) -> Said:  # noqa: ARG002 - the same to all
            return Said(200, '{"Code": "AssumeRoleUnauthorizedAccess", "Message": "hush"}')

    with Refusing() as service:
        error = failure(lambda: by_instance(InstanceIdentity(service.url), asking), StorageLoginError)
    assert "(AssumeRoleUnauthorizedAccess)" in error.why


def test_nobody_answers(asking: Asking) -> None:
    """Not on EC2: it is said soon that there are no credentials, and not as if the network were broken."""
    begun = time.monotonic()
    error = failure(lambda: by_instance(InstanceIdentity(NOWHERE), asking), StorageLoginError)
    assert "no credentials were found" in error.why
    with ScriptedServer({"/latest/api/token": Script((), End.HOLD)}) as silent:
        failure(lambda: by_instance(InstanceIdentity(silent.url), asking), StorageLoginError)
    assert time.monotonic() - begun < INSTANCE_TIMEOUT + 3


def _json(given: Temporary) -> bytes:
    return json.dumps(
        {
            "AccessKeyId": given.keys.access_key,
            "SecretAccessKey": given.keys.secret_key,
            "Token": given.token,
            "Expiration": given.expiration,
        }
    ).encode()


def test_a_token_service_is_asked_through_the_targets_proxy(
    asking: Asking, sts: TokenService, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By CONNECT: it is nothing of the machine itself."""
    monkeypatch.setenv("no_proxy", "")
    with ForwardProxy(sts.url) as proxy:
        issued = by_web_identity(web(sts.url, token_file), asking._replace(proxy=proxy.url))
        assert issued.keys == OURS
        assert proxy.asked == [("CONNECT", sts.url.removeprefix("https://"))]


def test_the_machines_own_services_are_asked_directly(
    asking: Asking, agent: PodIdentityAgent, metadata: InstanceMetadata, token_file: Path
) -> None:
    """A proxy could not reach them."""
    nowhere = asking._replace(proxy=NOWHERE)
    assert by_container(pod(agent, token_file), nowhere).keys == OURS
    assert by_instance(InstanceIdentity(metadata.url), nowhere).keys == OURS
