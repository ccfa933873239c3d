"""As whom a run comes to S3: the first of what is configured, in the order of AWS's own tools.

Keys; a role by web identity; the container's identity (ECS, EKS Pod Identity); the instance's role.
Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from bao_backup.adapters.stores.s3_addresses import (
    TokenService,
    container_service,
    instance_service,
    token_service,
)
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings, find_credentials

REMEDY = (
    "give accessKeyId and secretAccessKey (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), roleArn with a"
    " token file, or an identity to the pod or machine"
)
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Keys(NamedTuple):
    """What requests are signed with."""

    key: str
    secret: str
    token: str | None


class Issued(NamedTuple):
    """Keys, and when they end; None: never."""

    keys: Keys
    expires: datetime | None

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What of them must be seen nowhere."""
        return self.keys


class WebIdentity(NamedTuple):
    """A role that a token from a file is exchanged for; the file is read anew each time."""

    role: str
    token_file: str
    service: TokenService
    session: str


class ContainerIdentity(NamedTuple):
    """The keys of this container, which a service beside it gives."""

    url: str
    #: The file that holds what proves who asks; else the value itself; both may be empty.
    token_file: str
    token: str


class InstanceIdentity(NamedTuple):
    """The keys of the role of this machine, from its metadata service."""

    url: str


Identity = Keys | WebIdentity | ContainerIdentity | InstanceIdentity


def choose_identity(
    settings: StoreSettings,
    credentials: Mapping[str, str],
    region: str,
    environment: Mapping[str, str],
    doing: str,
) -> Identity:
    """As whom to come; nothing is read or asked yet.

    Args:
        settings: of the store; a role there excludes keys.
        credentials: as `core.storage.find_credentials` gives them.
        region: of the bucket; Amazon's token service is asked there.
        environment: AWS's own variables.
        doing: what errors say is being done.

    Raises ConfigurationError: nothing is there, half of it, or two that exclude one another.
    """
    of_environment = {name: environment[name] for name in VARIABLES if name in environment}
    keys = _keys(credentials, doing) or _keys(find_credentials(of_environment), doing)
    if keys and settings.role_arn:
        raise ConfigurationError(
            doing,
            "both static keys and a role are given, and the keys would silently win",
            hint="keep one of them: credentialsSecretRef (or AWS_ACCESS_KEY_ID) or roleArn",
        )
    return keys or _web_identity(settings, region, environment, doing) or _ambient(environment, doing)


def is_store(identity: Identity) -> bool:
    """Whether it is the store itself that gives the keys."""
    return isinstance(identity, WebIdentity) and identity.service.is_store


def _keys(credentials: Mapping[str, str], doing: str) -> Keys | None:
    key, secret = credentials.get("accessKeyId"), credentials.get("secretAccessKey")
    if bool(key) != bool(secret):
        raise ConfigurationError(doing, "of accessKeyId and secretAccessKey only one is given")
    return Keys(key, secret, credentials.get("sessionToken")) if key and secret else None


def _web_identity(
    settings: StoreSettings, region: str, environment: Mapping[str, str], doing: str
) -> WebIdentity | None:
    """A role of the document, or of the variables that EKS sets in a pod."""
    role = settings.role_arn or environment.get("AWS_ROLE_ARN", "").strip()
    if not role:
        return None
    token_file = settings.role_token_file or environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", "").strip()
    if not token_file:
        raise ConfigurationError(
            doing,
            "the role has no token file",
            hint="set AWS_WEB_IDENTITY_TOKEN_FILE, or remove roleArn and AWS_ROLE_ARN",
        )
    session = environment.get("AWS_ROLE_SESSION_NAME", "").strip() or "bao-backup"
    return WebIdentity(role, token_file, token_service(settings, region, environment), session)


def _ambient(environment: Mapping[str, str], doing: str) -> ContainerIdentity | InstanceIdentity:
    """What the place where we run gives. The machine is asked only when nothing else is there."""
    url = container_service(environment)
    if url:
        return ContainerIdentity(
            url,
            environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "").strip(),
            environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "").strip(),
        )
    url = instance_service(environment)
    if not url:
        raise ConfigurationError(
            doing,
            "no credentials were found, and AWS_EC2_METADATA_DISABLED forbids to ask the machine for some",
            hint=REMEDY,
        )
    return InstanceIdentity(url)
