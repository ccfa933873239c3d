"""A store that is opened without keys: whom it asks for some, when, and what it signs with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.contracts.asking import KEY
from tests.harness.certificates import Authority
from tests.harness.identities import (
    Asked,
    InstanceMetadata,
    PodIdentityAgent,
    Said,
    Temporary,
    TokenService,
    refused,
)
from tests.harness.s3 import Keys

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectNotFoundError, StorageLoginError, StorageUntrustedError
from bao_backup.ports import Store

ROLE = "arn:aws:iam::123456789012:role/bao-backup"
TOKEN = "hush-of-the-pod"
NO_UPLOADS = '<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'


Set = Callable[[Mapping[str, str]], None]


class Bucket(TokenService):
    """An empty bucket that takes every key, and a token service at the same address."""

    def answer(self, asked: Asked) -> Said:
        if asked.method == "POST" and asked.path == "/":
            return super().answer(asked)
        return Said(200, NO_UPLOADS) if "uploads=" in asked.path else Said(404)

    @property
    def signers(self) -> list[tuple[str, str]]:
        """Key and session token of each request to the bucket."""
        return [
            (_key(asked.headers["authorization"]), asked.headers.get("x-amz-security-token", ""))
            for asked in self.asked
            if "authorization" in asked.headers
        ]


class Issuer:
    """Gives other keys each time."""

    def __init__(self, seconds: float = 3600) -> None:
        self.seconds = seconds
        self.count = 0

    def __call__(self) -> Temporary:
        """Keys with a number."""
        self.count += 1
        return Temporary(Keys(f"ASIA{self.count}", "hush-secret"), f"hush-session-{self.count}", self.seconds)


@pytest.fixture
def issuer() -> Issuer:
    """What gives keys."""
    return Issuer()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whose certificate the bucket has."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def bucket(authority: Authority, issuer: Issuer) -> Iterator[Bucket]:
    """A bucket with TLS."""
    with Bucket(issuer, lambda token: token.startswith(TOKEN), authority.server_context("bucket")) as service:
        yield service


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A mounted token."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Set:
    """Sets variables of the environment; the CA is there already."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.ca_file))

    def set_all(more: Mapping[str, str]) -> None:
        for name, value in more.items():
            monkeypatch.setenv(name, value)

    return set_all


def opened(
    bucket: Bucket, credentials: Mapping[str, str] | None = None, role: str = "", **changes: Any
) -> Store:
    """The bucket, with path-style addresses and no patience."""
    settings = StoreSettings(
        provider="s3",
        bucket="backups",
        endpoint=bucket.url,
        path_style=True,
        max_retries=0,
        role_arn=role,
        **changes,
    )
    return open_store(settings, credentials or {})


def use(store: Store) -> None:
    """One request to the bucket, which has nothing."""
    with pytest.raises(ObjectNotFoundError):
        store.head(KEY)


def refusal(store: Store, type_: type[StorageError]) -> StorageError:
    """What every kind of request fails with: the same, on one line, without secrets."""
    acts: list[Callable[[], object]] = [
        lambda: store.put(KEY, iter([b"x" * 6_000_000] * 3)),
        lambda: store.create(KEY, b"x"),
        lambda: store.head(KEY),
        lambda: list(store.list("")),
        lambda: next(store.get(KEY)),
        lambda: store.delete(KEY),
        lambda: store.sweep(""),
    ]
    errors: list[StorageError] = []
    for act in acts:
        with pytest.raises(StorageError) as raised:
            act()
        assert type(raised.value) is type_, raised.value.message
        assert "hush" not in f"{raised.value!r} {raised.value.message} {raised.value.details}"
        errors.append(raised.value)
    assert len({error.message for error in errors}) == 1
    return errors[0]


# --- whom it asks ------------------------------------------------------------------------------


def test_static_keys(bucket: Bucket, variables: Set) -> None:
    """Nobody is asked for keys that are there."""
    with InstanceMetadata(Issuer()) as metadata:
        variables({"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url})
        store = opened(bucket, {"accessKeyId": "AKIA", "secretAccessKey": "hush"})
        use(store)
        assert store.sweep("") == 0
        assert metadata.asked == []
    assert bucket.signers == [("AKIA", ""), ("AKIA", "")]
    assert len(bucket.asked) == 2


def test_web_identity(bucket: Bucket, variables: Set, token_file: Path) -> None:
    """Opening asks nobody; the first request exchanges the token, and all others use what it got."""
    variables({"AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file)})
    store = opened(bucket, role=ROLE)
    assert bucket.asked == []
    for _ in range(3):
        use(store)
    assert store.sweep("") == 0
    assert bucket.signers == [("ASIA1", "hush-session-1")] * 4
    assert len(bucket.asked) == 5


def test_another_token_service(
    bucket: Bucket, authority: Authority, token_file: Path, variables: Set
) -> None:
    """The one that is named is asked, by the document or, before that, by the environment."""
    context = authority.server_context("sts")
    with (
        TokenService(Issuer(), lambda _: True, context) as first,
        TokenService(Issuer(), lambda _: True, context) as second,
    ):
        role: dict[str, Any] = {"role": ROLE, "role_token_file": str(token_file), "sts_endpoint": first.url}
        variables({})
        use(opened(bucket, **role))
        assert (len(first.asked), len(second.asked)) == (1, 0)
        variables({"AWS_ENDPOINT_URL_STS": second.url})
        use(opened(bucket, **role))
        assert (len(first.asked), len(second.asked)) == (1, 1)
    assert bucket.signers == [("ASIA1", "hush-session-1")] * 2


def test_pod_identity(bucket: Bucket, variables: Set, issuer: Issuer, token_file: Path) -> None:
    """Without keys and role the pod's own identity is used."""
    with PodIdentityAgent(issuer, token_file) as agent:
        variables(agent.variables)
        use(opened(bucket))
        assert agent.paths == ["GET /v1/credentials"]
    assert bucket.signers == [("ASIA1", "hush-session-1")]


def test_instance(bucket: Bucket, variables: Set, issuer: Issuer) -> None:
    """Without any other identity the machine's is used."""
    with InstanceMetadata(issuer) as metadata:
        variables({"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url})
        use(opened(bucket))
        assert len(metadata.asked) == 3
    assert bucket.signers == [("ASIA1", "hush-session-1")]


def test_no_identity(bucket: Bucket, variables: Set) -> None:
    """Each request says soon that there are no credentials, who was asked, and what to do."""
    nobody = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
    variables(nobody)
    begun = time.monotonic()
    error = refusal(opened(bucket), StorageLoginError)
    assert time.monotonic() - begun < 5
    assert error.message.startswith(
        "log in to s3://backups with the machine's keys of http://127.0.0.1:9: no credentials were found:"
        " none are configured; asked the machine, answer: the connection was refused; give accessKeyId"
    )
    assert bucket.asked == []


# --- new keys ----------------------------------------------------------------------------------


def test_rotation(bucket: Bucket, issuer: Issuer, token_file: Path, variables: Set) -> None:
    """Before keys end there are others, for the token that is mounted by then; nothing is restarted."""
    variables({})
    issuer.seconds = 4  # new ones are asked for after 3 s
    store = opened(bucket, role=ROLE, role_token_file=str(token_file))
    use(store)
    use(store)
    token_file.write_text(TOKEN + "-rotated")
    time.sleep(3.1)
    use(store)
    assert store.sweep("") == 0
    assert [key for key, _ in bucket.signers] == ["ASIA1", "ASIA1", "ASIA2", "ASIA2"]
    tokens = [parse_qs(asked.body)["WebIdentityToken"] for asked in bucket.asked if asked.body]
    assert tokens == [[TOKEN], [TOKEN + "-rotated"]]


def test_rotation_fails(bucket: Bucket, issuer: Issuer, token_file: Path, variables: Set) -> None:
    """When the keys have ended and there are no others, each request says why."""
    variables({})
    issuer.seconds = 1
    store = opened(bucket, role=ROLE, role_token_file=str(token_file))
    use(store)
    token_file.write_text("hush, not the right one")
    time.sleep(1.1)
    error = refusal(store, StorageLoginError)
    assert "the token is not accepted (400 InvalidIdentityToken)" in error.why


def test_a_refusal_is_told(bucket: Bucket, token_file: Path, variables: Set) -> None:
    """The token service's refusal is the error of every request, with the role and the address."""
    variables({})
    bucket.override = refused("AccessDenied", 403)
    error = refusal(opened(bucket, role=ROLE, role_token_file=str(token_file)), StorageLoginError)
    assert error.doing == f"log in to s3://backups as {ROLE} with {bucket.url}/"
    assert error.why == "the role was not given (403 AccessDenied)"
    assert bucket.signers == []


# --- whom it trusts ----------------------------------------------------------------------------


def test_a_ca_beside_the_role(bucket: Bucket, authority: Authority, token_file: Path, variables: Set) -> None:
    """A Secret that holds the CA alone serves the bucket and the token service."""
    variables({"AWS_CA_BUNDLE": ""})
    credentials = {"caCert": authority.ca_file.read_text()}
    use(opened(bucket, credentials, ROLE, role_token_file=str(token_file)))


def test_two_cas(
    bucket: Bucket, authority: Authority, tmp_path: Path, token_file: Path, variables: Set
) -> None:
    """The CA of the Secret and that of AWS_CA_BUNDLE are both trusted, whichever is the right one."""
    other = Authority(tmp_path / "other")
    for in_secret, in_bundle in ((other, authority), (authority, other)):
        variables({"AWS_CA_BUNDLE": str(in_bundle.ca_file)})
        credentials = {"caCert": in_secret.ca_file.read_text()}
        use(opened(bucket, credentials, ROLE, role_token_file=str(token_file)))


@pytest.mark.parametrize("named_twice", [False, True])
def test_the_systems_cas(
    bucket: Bucket, authority: Authority, token_file: Path, variables: Set, named_twice: bool
) -> None:
    """SSL_CERT_FILE names the CAs of the system, as for other programs; often both variables do."""
    ca = str(authority.ca_file)
    variables({"AWS_CA_BUNDLE": ca if named_twice else "", "SSL_CERT_FILE": ca})
    use(opened(bucket, role=ROLE, role_token_file=str(token_file)))


def test_an_unknown_ca(bucket: Bucket, token_file: Path, variables: Set) -> None:
    """The token is not sent to whom nobody vouches for, unless the document says so of the store."""
    variables({"AWS_CA_BUNDLE": ""})
    role: dict[str, Any] = {"role": ROLE, "role_token_file": str(token_file)}
    error = refusal(opened(bucket, **role), StorageUntrustedError)
    assert "caCert" in error.hint
    assert bucket.asked == []
    use(opened(bucket, insecure_skip_verify=True, **role))
    elsewhere = opened(bucket, insecure_skip_verify=True, sts_endpoint=bucket.url, **role)
    refusal(elsewhere, StorageUntrustedError)


@pytest.mark.parametrize("content", [None, "", "no PEM", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_an_unusable_bundle(bucket: Bucket, tmp_path: Path, variables: Set, content: str | None) -> None:
    """A bundle that is named and cannot be used is told at once, by its name."""
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_text(content)
    variables({"AWS_CA_BUNDLE": str(file)})
    with pytest.raises(ConfigurationError, match=r"AWS_CA_BUNDLE, .*/bundle\.pem"):
        opened(bucket, {"accessKeyId": "AKIA", "secretAccessKey": "hush"})


def _key(authorization: str) -> str:
    return authorization.partition("Credential=")[2].partition("/")[0]
