"""As whom a run comes to S3, and whom it asks for keys: decided from settings and variables alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.s3_addresses import (
    TokenService,
    container_service,
    instance_service,
    token_service,
)
from bao_backup.adapters.stores.s3_identity import (
    ContainerIdentity,
    Identity,
    InstanceIdentity,
    Keys,
    WebIdentity,
    choose_identity,
)
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings

SECRET = {"accessKeyId": "id", "secretAccessKey": "hush"}
#: All that may be in an environment, the first by rank at the top.
KEYS = {"AWS_ACCESS_KEY_ID": "env-id", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "t"}
WEB = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/env", "AWS_WEB_IDENTITY_TOKEN_FILE": "/env/token"}
POD = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/pod/token",
}
METADATA = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:8/"}

OF_AMAZON = TokenService("https://sts.eu-central-1.amazonaws.com/", False)
ROLE = "arn:aws:iam::1:role/x"


def settings(**changes: Any) -> StoreSettings:
    """Those of a bucket, with `changes`."""
    return StoreSettings(provider="s3", bucket="bucket", **changes)


def choose(
    environment: Mapping[str, str], credentials: Mapping[str, str] | None = None, **changes: str
) -> Identity:
    """The identity in a region of Europe."""
    return choose_identity(settings(**changes), credentials or {}, "eu-central-1", environment, "open it")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (KEYS | WEB | POD | METADATA, Keys("env-id", "hush", "t")),
        (WEB | POD | METADATA, WebIdentity(WEB["AWS_ROLE_ARN"], "/env/token", OF_AMAZON, "bao-backup")),
        (POD | METADATA, ContainerIdentity("http://169.254.170.23/v1/credentials", "/pod/token", "")),
        (METADATA, InstanceIdentity("http://127.0.0.1:8")),
        ({}, InstanceIdentity("http://169.254.169.254")),
    ],
)
def test_order(environment: dict[str, str], expected: Identity) -> None:
    """What is at hand comes before what has to be asked for, and the machine is the last to be asked."""
    assert choose(environment) == expected


def test_a_secret_comes_first() -> None:
    """The keys that a document names are used whatever the environment holds."""
    assert choose(KEYS | WEB | POD, SECRET) == Keys("id", "hush", None)


def test_a_secret_without_keys() -> None:
    """A Secret may hold a CA and a region alone, beside a role or what the pod has of itself."""
    ca = {"caCert": "PEM", "region": "eu-central-1"}
    assert choose(POD, ca) == choose(POD)
    web = choose({}, ca, role_arn=ROLE, role_token_file="/aws/token")
    assert web == WebIdentity(ROLE, "/aws/token", OF_AMAZON, "bao-backup")


def test_a_role_of_the_document() -> None:
    """It takes its token from where the Job has it; the session's name may be chosen."""
    environment = {**WEB, "AWS_ROLE_SESSION_NAME": "prod"}
    assert choose(environment, role_arn=ROLE) == WebIdentity(ROLE, "/env/token", OF_AMAZON, "prod")


def test_a_token_of_the_environment() -> None:
    """A container's service may want a token that is no file, or none."""
    relative = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/uuid"}
    url = "http://169.254.170.2/v2/credentials/uuid"
    assert choose(relative) == ContainerIdentity(url, "", "")
    token = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "hush"}
    assert choose(relative | token) == ContainerIdentity(url, "", "hush")


@pytest.mark.parametrize(
    ("environment", "credentials", "role", "says"),
    [
        ({}, {"accessKeyId": "id"}, "", "only one is given"),
        ({"AWS_SECRET_ACCESS_KEY": "hush"}, {}, "", "only one is given"),
        (WEB, SECRET, ROLE, "silently win"),
        (KEYS | WEB, {}, ROLE, "silently win"),
        ({}, {}, ROLE, "no token file"),
        ({"AWS_ROLE_ARN": ROLE}, {}, "", "no token file"),
        ({"AWS_EC2_METADATA_DISABLED": "True"}, {}, "", "no credentials were found"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "hush"}, {}, "", "no plain|not a plain"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://hush.example/"}, {}, "", "neither https"),
        (WEB | {"AWS_ENDPOINT_URL_STS": "http://hush.example"}, {}, "", "must be https"),
    ],
)
def test_cannot_work(environment: dict[str, str], credentials: dict[str, str], role: str, says: str) -> None:
    """Half an identity, or two that exclude one another, are refused; no value is repeated."""
    with pytest.raises(ConfigurationError, match=says) as raised:
        choose(environment, credentials, role_arn=role)
    assert "hush" not in raised.value.message


@pytest.mark.parametrize(
    ("environment", "changes", "url", "is_store"),
    [
        ({}, {}, "https://sts.eu-central-1.amazonaws.com/", False),
        ({}, {"endpoint": "https://minio.example:9000"}, "https://minio.example:9000/", True),
        ({}, {"endpoint": "https://minio.example/s3/"}, "https://minio.example/s3/", True),
        (
            {},
            {"endpoint": "https://s3.eu-central-1.amazonaws.com"},
            "https://sts.eu-central-1.amazonaws.com/",
            False,
        ),
        (
            {},
            {"endpoint": "https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com"},
            "https://sts.eu-central-1.amazonaws.com/",
            False,
        ),
        ({}, {"endpoint": "https://notamazonaws.com"}, "https://notamazonaws.com/", True),
        (
            {},
            {"endpoint": "https://minio.example", "sts_endpoint": "https://sts.example"},
            "https://sts.example/",
            False,
        ),
        (
            {"AWS_ENDPOINT_URL_STS": "https://env.example"},
            {"endpoint": "https://minio.example", "sts_endpoint": "https://sts.example"},
            "https://env.example/",
            False,
        ),
        (
            {},
            {"endpoint": "http://minio.example", "sts_endpoint": "https://sts.example"},
            "https://sts.example/",
            False,
        ),
    ],
)
def test_token_service(
    environment: dict[str, str], changes: dict[str, str], url: str, is_store: bool
) -> None:
    """A store that is not Amazon's is its own token service, unless another one is named."""
    assert token_service(settings(**changes), "eu-central-1", environment) == (url, is_store)


def test_token_service_of_china() -> None:
    """Amazon's regions there have a domain of their own."""
    found = token_service(settings(endpoint="https://s3.cn-north-1.amazonaws.com.cn"), "cn-north-1", {})
    assert found == ("https://sts.cn-north-1.amazonaws.com.cn/", False)


@pytest.mark.parametrize("region", ["evil.example/", "evil.example#", "a@evil.example:443/", "x y", "\u00fc"])
def test_a_region_that_would_name_another_host(region: str) -> None:
    """Neither the store nor the token service is looked for there."""
    with pytest.raises(ConfigurationError, match="no region's name"):
        token_service(settings(), region, {})
    with pytest.raises(ConfigurationError, match="no region's name"):
        open_store(settings(region=region), SECRET)
    with pytest.raises(ConfigurationError, match="no region's name"):
        open_store(settings(), {**SECRET, "AWS_REGION": region})


def test_a_token_service_in_clear_text() -> None:
    """Keys would travel unencrypted: it is refused, and how to go on is said."""
    with pytest.raises(ConfigurationError, match="must be https") as raised:
        token_service(settings(endpoint="http://minio.example:9000"), "eu-central-1", {})
    assert "s3.stsEndpoint" in raised.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.170.2/v2/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
        "http://127.0.0.1:81/x?a=b",
        "http://localhost/x",
        "http://[::1]:1/x",
        "https://keys.example/x",
    ],
)
def test_container_service(url: str) -> None:
    """In clear text only what never leaves the machine."""
    assert container_service({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}) == url


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
        for url in (
            "http://169.254.169.254/x",
            "http://127.0.0.1.example/x",
            "http://keys.example/x",
            "https://user@keys.example/x",
            "https://[::1/x",
            "https://host:99999/x",
            "file:///etc/passwd",
            "no url",
        )
    ]
    + [{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "x@evil.example/"}],
    ids=str,
)
def test_container_service_elsewhere(variables: dict[str, str]) -> None:
    """The container's token is sent nowhere else."""
    with pytest.raises(ConfigurationError):
        container_service(variables)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "http://[fd00:ec2::254]"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9/"}, "http://127.0.0.1:9"),
        ({"AWS_EC2_METADATA_DISABLED": "true"}, ""),
        ({"AWS_EC2_METADATA_DISABLED": "false"}, "http://169.254.169.254"),
    ],
)
def test_instance_service(variables: dict[str, str], url: str) -> None:
    """The variables of AWS's own tools decide whether the machine is asked, and where."""
    assert instance_service(variables) == url
