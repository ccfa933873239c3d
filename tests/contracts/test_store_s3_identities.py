"""Identities on a real store: roles by web identity, and keys that a pod or machine is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.harness import client
from tests.harness.identities import STS, InstanceMetadata, OpenIdIssuer, PodIdentityAgent, Temporary
from tests.harness.logins import TokenIssuer
from tests.harness.minio import Minio, OpenId
from tests.harness.s3 import Keys

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageDeniedError, StorageLoginError, StorageUntrustedError
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

BUCKET = "of-the-role"
RIGHTS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
]
AUDIENCE = "sts.amazonaws.com"


@pytest.fixture
def roles(minio_roles: Minio) -> Iterator[Minio]:
    """The MinIO that gives a role, which may do in its bucket what a run does."""
    minio_roles.add_policy("of-the-role", RIGHTS, [BUCKET])
    minio_roles.root.make_bucket(BUCKET)
    yield minio_roles
    minio_roles.root.remove_bucket(BUCKET)


@pytest.fixture
def openid(roles: Minio) -> OpenId:
    """What MinIO knows of the role."""
    assert roles.openid is not None
    return roles.openid


@pytest.fixture
def token_file(tmp_path: Path, issuer: OpenIdIssuer) -> Path:
    """A token for the store, as it is mounted into a pod."""
    file = tmp_path / "token"
    file.write_text(issuer.tokens.issue(audience=AUDIENCE, seconds=3600) + "\n")
    return file


@pytest.fixture
def authorities(roles: Minio) -> dict[str, str]:
    """A Secret that holds the CA and no keys."""
    assert roles.ca_file is not None
    return {"caCert": roles.ca_file.read_text()}


def opened(server: Minio, credentials: Mapping[str, str], bucket: str = BUCKET, **changes: Any) -> Store:
    """The bucket, asked with little patience."""
    settings = StoreSettings(
        provider="s3",
        bucket=bucket,
        endpoint=server.url,
        part_size=5 * MIB,
        concurrency=2,
        max_retries=1,
        retry_timeout=2,
        dead_after=0.5,
        **changes,
    )
    return open_store(settings, credentials)


def does_all(store: Store, server: Minio) -> None:
    """What a run does with its store works, and a killed run's upload is swept."""
    store.put(KEY, blocks(12))
    store.create(f"{KEY}.json", b"{}")
    assert read(store) == b"".join(blocks(12))
    assert store.head(KEY).size == 12 * MIB
    assert keys(store, "backups") == [KEY, f"{KEY}.json"]
    store.delete(f"{KEY}.json")
    server.root.begin_upload(BUCKET, KEY)
    time.sleep(0.6)
    assert store.sweep(KEY.rpartition("/")[0]) == 1
    assert server.root.keys_in(BUCKET) == [KEY]


def refusal(store: Store, secrets: Mapping[str, str]) -> StorageError:
    """That the login is refused is the same for reading and for writing, and holds no secret."""
    acts: list[Callable[[], object]] = [
        lambda: store.head(KEY),
        lambda: store.put(KEY, blocks(6)),
        lambda: store.sweep(""),
    ]
    errors: list[StorageLoginError] = []
    for act in acts:
        with pytest.raises(StorageLoginError) as raised:
            act()
        said = f"{raised.value!r} {raised.value.message} {raised.value.details} {raised.value.__cause__!r}"
        assert not [name for name, value in secrets.items() if value in said]
        errors.append(raised.value)
    assert len({error.message for error in errors}) == 1
    return errors[0]


def exchange(server: Minio, openid: OpenId, token: str) -> Temporary:
    """The role's keys, fetched by the test itself."""
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": openid.role,
        "RoleSessionName": "test",
        "WebIdentityToken": token,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(form).encode()
    context = server.root.context
    answer = client.request("POST", f"{server.url}/", body=body, headers=headers, context=context)
    given = ET.fromstring(answer.body).find(f".//{{{STS}}}Credentials")
    assert given is not None, answer.body

    def text(name: str) -> str:
        return given.findtext(f"{{{STS}}}{name}", "")

    return Temporary(Keys(text("AccessKeyId"), text("SecretAccessKey")), text("SessionToken"))


# --- a role ------------------------------------------------------------------------------------


def test_role(roles: Minio, openid: OpenId, token_file: Path, authorities: dict[str, str]) -> None:
    """The token is exchanged at the store's own address, and the role's keys do all that a run does."""
    role = {"role_arn": openid.role, "role_token_file": str(token_file)}
    does_all(opened(roles, authorities, **role), roles)


def test_role_without_a_secret(
    roles: Minio, openid: OpenId, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it needs may come from the environment, as EKS sets it: role, token and the CA's file."""
    monkeypatch.setenv("AWS_ROLE_ARN", openid.role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(roles.ca_file))
    does_all(opened(roles, {}), roles)


def test_role_without_a_ca(roles: Minio, openid: OpenId, token_file: Path) -> None:
    """A token service of an unknown CA is sent no token, and the CA is asked for."""
    role = {"role_arn": openid.role, "role_token_file": str(token_file)}
    with pytest.raises(StorageUntrustedError) as raised:
        opened(roles, {}, **role).head(KEY)
    assert "caCert" in raised.value.hint
    does_all(opened(roles, {}, insecure_skip_verify=True, **role), roles)


def test_role_may_not(roles: Minio, openid: OpenId, token_file: Path, authorities: dict[str, str]) -> None:
    """What the role's policy does not allow is denied, and not taken for a wrong login."""
    roles.add_policy("of-the-role", ["s3:PutObject"], [BUCKET])
    store = opened(roles, authorities, role_arn=openid.role, role_token_file=str(token_file))
    store.put(KEY, blocks(1))
    for act in (lambda: store.delete(KEY), lambda: keys(store), lambda: store.sweep("")):
        with pytest.raises(StorageDeniedError):
            act()


class Wrong(NamedTuple):
    """A token and a role that do not go together, and what comes of it."""

    says: str
    audience: str = AUDIENCE
    seconds: int = 600
    foreign: bool = False
    role: str = ""


NOT_ACCEPTED = "the role or the token is not accepted (400 InvalidParameterValue)"


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("the token has expired (400 InvalidParameterValue)", seconds=-60),
        Wrong(NOT_ACCEPTED, audience="another"),
        Wrong(NOT_ACCEPTED, foreign=True),
        Wrong(NOT_ACCEPTED, role="arn:minio:iam:::role/x"),
        Wrong(NOT_ACCEPTED, role="no arn"),
    ],
    ids=str,
)
def test_role_is_not_given(
    roles: Minio,
    issuer: OpenIdIssuer,
    openid: OpenId,
    token_file: Path,
    authorities: dict[str, str],
    wrong: Wrong,
) -> None:
    """A token that is old, for others or of others, and a role that is not there: a login that failed."""
    issuing = TokenIssuer(issuer.url) if wrong.foreign else issuer.tokens
    token = issuing.issue(audience=wrong.audience, seconds=wrong.seconds)
    token_file.write_text(token)
    store = opened(roles, authorities, role_arn=wrong.role or openid.role, role_token_file=str(token_file))
    error = refusal(store, {"the token": token})
    assert error.why == wrong.says
    assert roles.url in error.doing


def test_role_with_a_renewed_token(
    roles: Minio, issuer: OpenIdIssuer, openid: OpenId, token_file: Path, authorities: dict[str, str]
) -> None:
    """The file that was expired and is renewed works without a restart."""
    token_file.write_text(issuer.tokens.issue(audience=AUDIENCE, seconds=-60))
    store = opened(roles, authorities, role_arn=openid.role, role_token_file=str(token_file))
    with pytest.raises(StorageLoginError, match="the token has expired"):
        store.put(KEY, blocks(1))
    token_file.write_text(issuer.tokens.issue(audience=AUDIENCE))
    store.put(KEY, blocks(1))


# --- what a pod or machine is given ------------------------------------------------------------


def test_pod_identity(
    roles: Minio,
    issuer: OpenIdIssuer,
    openid: OpenId,
    token_file: Path,
    authorities: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The keys that the agent gives, with their session token, do all that a run does."""
    given = exchange(roles, openid, issuer.tokens.issue(audience=AUDIENCE))
    with PodIdentityAgent(lambda: given, token_file) as agent:
        for name, value in agent.variables.items():
            monkeypatch.setenv(name, value)
        does_all(opened(roles, authorities), roles)
        assert agent.paths == ["GET /v1/credentials"]


def test_instance(
    roles: Minio,
    issuer: OpenIdIssuer,
    openid: OpenId,
    authorities: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So do those of the machine."""
    given = exchange(roles, openid, issuer.tokens.issue(audience=AUDIENCE))
    with InstanceMetadata(lambda: given) as metadata:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        does_all(opened(roles, authorities), roles)
        assert len(metadata.asked) == 3


def test_rotation_in_mid_upload(
    minio: Minio, bucket: str, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload goes on with the new keys when the old ones are worth nothing any more."""
    users = [minio.add_user(f"rotated-{number}", "secret-of-rotated", RIGHTS, [bucket]) for number in (1, 2)]
    given = iter([Temporary(users[0].keys, seconds=4), Temporary(users[1].keys)])

    def source() -> Iterator[bytes]:
        yield from blocks(11)
        time.sleep(3.2)  # a quarter of their life is left
        minio.remove_user("rotated-1")
        yield from blocks(12, seed=8)

    with PodIdentityAgent(lambda: next(given), token_file) as agent:
        for name, value in agent.variables.items():
            monkeypatch.setenv(name, value)
        store = opened(minio, {}, bucket)
        store.put(KEY, source())
        assert len(agent.asked) == 2
    assert minio.root.get(bucket, KEY) == b"".join([*blocks(11), *blocks(12, seed=8)])
