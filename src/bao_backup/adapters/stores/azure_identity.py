"""Which account of Azure, where, and as whom a run comes to it.

Credentials that are given come first: a key, a shared access signature, a client's secret. Then
what the place where we run gives: a federated token (Azure Workload Identity), a managed identity.
Sources: Azure Storage documentation, "Configure connection strings"; the variables are those of
Azure's command line and of its library azure-identity.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from bao_backup.adapters.stores.connecting import ENDPOINT, split_endpoint
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings, find_credentials

AUTHORITY = "https://login.microsoftonline.com"
#: Where a machine of Azure gets its identity (Azure Instance Metadata Service).
MACHINE = "http://169.254.169.254"
SUFFIX = "core.windows.net"
REMEDY = (
    "give accountKey, connectionString, sasToken or clientSecret beside it, or a workload identity or"
    " managed identity to the pod or machine"
)
#: What AKS sets in a pod, and what people set on a machine.
VARIABLES = (
    *("AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN"),
    *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
)
#: What is no secret, and may come from the environment where the secret does not.
IDS = ("clientId", "tenantId")


class AccountKey(NamedTuple):
    """One of the account's two keys, in base64: requests are signed with it."""

    key: str


class SharedAccess(NamedTuple):
    """A shared access signature (SAS): a query that is added to each request, without "?"."""

    token: str


class ClientSecret(NamedTuple):
    """An application of Microsoft Entra ID with a secret."""

    authority: str
    tenant: str
    client: str
    secret: str


class FederatedToken(NamedTuple):
    """An application that trusts the issuer of the token in this file, which is read anew each time."""

    authority: str
    tenant: str
    client: str
    token_file: str


class ManagedIdentity(NamedTuple):
    """The identity of this machine or container, from a service beside it."""

    url: str
    #: Which of its identities; empty: the only one, or the system's own.
    client: str
    #: What the service of App Service and Container Apps wants to see; empty: it is a machine's.
    header: str


Identity = AccountKey | SharedAccess | ClientSecret | FederatedToken | ManagedIdentity


class Account(NamedTuple):
    """A storage account: its name, the URL of its blobs without a slash, and who comes to it."""

    name: str
    url: str
    identity: Identity


def choose_account(
    settings: StoreSettings, credentials: Mapping[str, str], environment: Mapping[str, str], doing: str
) -> Account:
    """Which account, and as whom; nothing is read or asked yet.

    Args:
        settings: of the store.
        credentials: as `core.storage.find_credentials` gives them.
        environment: Azure's own variables, for what is not among the credentials.
        doing: what errors say is being done.

    Raises ConfigurationError: something is missing, malformed, or contradicts another.
    """
    of_environment = find_credentials({name: environment[name] for name in VARIABLES if name in environment})
    if _given(credentials):
        of_environment = {name: of_environment[name] for name in IDS if name in of_environment}
    given = {**of_environment, **credentials}
    text = given.get("connectionString", "")
    parts = parse_connection_string(text, doing) if text else {}
    identity = _explicit(given, parts, environment, doing) or _ambient(given, environment, doing)
    name = _name(settings, parts, environment, doing)
    url = settings.endpoint or parts.get("blobendpoint", "") or _default_url(name, parts)
    split_endpoint(url, ENDPOINT if settings.endpoint else "the endpoint in connectionString")
    return Account(name, url.rstrip("/"), identity)


def parse_connection_string(text: str, doing: str) -> dict[str, str]:
    """Its fields by their names in lower case: "AccountName=...;AccountKey=...;..." taken apart.

    Raises ConfigurationError: a field has no value, or is there twice. The text is not shown.
    """
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, is_field, value = part.partition("=")
        name = name.strip().lower()
        if not is_field or not name.isalnum() or name in fields:
            raise ConfigurationError(
                doing, "connectionString is none", hint="copy it whole: AccountName=...;AccountKey=...;..."
            )
        fields[name] = value.strip()
    return fields


def _given(credentials: Mapping[str, str]) -> bool:
    names = ("accountKey", "connectionString", "sasToken", "clientSecret")
    return any(name in credentials for name in names)


def _explicit(
    given: Mapping[str, str], parts: Mapping[str, str], environment: Mapping[str, str], doing: str
) -> Identity | None:
    """What is given in so many words: one of them."""
    found: dict[str, Identity] = {}
    if key := given.get("accountKey"):
        found["accountKey"] = AccountKey(_checked_key(key, doing))
    if token := given.get("sasToken"):
        found["sasToken"] = SharedAccess(_checked_signature(token, doing))
    if secret := given.get("clientSecret"):
        tenant, client = _application(given, "clientSecret", doing)
        found["clientSecret"] = ClientSecret(_authority(environment), tenant, client, secret)
    if parts:
        found["connectionString"] = _of_connection_string(parts, doing)
    if len(found) > 1:
        raise ConfigurationError(doing, f"{' and '.join(found)} are given", hint="keep one of them")
    return next(iter(found.values()), None)


def _of_connection_string(parts: Mapping[str, str], doing: str) -> AccountKey | SharedAccess:
    key, signature = parts.get("accountkey"), parts.get("sharedaccesssignature")
    if bool(key) == bool(signature):
        said = "both" if key else "neither"
        raise ConfigurationError(
            doing, f"connectionString has {said} of AccountKey and SharedAccessSignature", hint="give one"
        )
    if key:
        return AccountKey(_checked_key(key, doing))
    return SharedAccess(_checked_signature(signature or "", doing))


def _ambient(given: Mapping[str, str], environment: Mapping[str, str], doing: str) -> Identity:
    """What the place where we run gives."""
    token_file = environment.get("AZURE_FEDERATED_TOKEN_FILE", "").strip()
    if token_file:
        tenant, client = _application(given, "AZURE_FEDERATED_TOKEN_FILE", doing)
        return FederatedToken(_authority(environment), tenant, client, token_file)
    client = given.get("clientId", "")
    url = environment.get("IDENTITY_ENDPOINT", "").strip()
    header = environment.get("IDENTITY_HEADER", "").strip()
    if url and header:
        split_endpoint(url, "IDENTITY_ENDPOINT")
        return ManagedIdentity(url, client, header)
    machine = environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "").strip() or MACHINE
    split_endpoint(machine, "AZURE_POD_IDENTITY_AUTHORITY_HOST")
    return ManagedIdentity(f"{machine.rstrip('/')}/metadata/identity/oauth2/token", client, "")


def _application(given: Mapping[str, str], name: str, doing: str) -> tuple[str, str]:
    tenant, client = given.get("tenantId", ""), given.get("clientId", "")
    if not tenant or not client:
        raise ConfigurationError(
            doing,
            f"{name} is given without tenantId and clientId",
            hint="give them beside it, or as AZURE_TENANT_ID and AZURE_CLIENT_ID",
        )
    if not tenant.replace("-", "").replace(".", "").isalnum():
        raise ConfigurationError(doing, "tenantId is neither an id nor a domain")
    return tenant, client


def _authority(environment: Mapping[str, str]) -> str:
    url = environment.get("AZURE_AUTHORITY_HOST", "").strip() or AUTHORITY
    if split_endpoint(url, "AZURE_AUTHORITY_HOST").scheme != "https":
        raise ConfigurationError("read AZURE_AUTHORITY_HOST", "it must be https: it is told a secret")
    return url.rstrip("/")


def _name(
    settings: StoreSettings, parts: Mapping[str, str], environment: Mapping[str, str], doing: str
) -> str:
    """The account's name; a connection string has its own, and one for another account is a mistake."""
    of_parts = parts.get("accountname", "")
    if settings.account and of_parts and settings.account != of_parts:
        raise ConfigurationError(
            doing, "azure.storageAccount and connectionString name different accounts", hint="correct one"
        )
    name = settings.account or of_parts or environment.get("AZURE_STORAGE_ACCOUNT", "").strip()
    if not name:
        raise ConfigurationError(doing, "no storage account is given", hint="set azure.storageAccount")
    if not name.isascii() or not name.replace("-", "").isalnum():
        raise ConfigurationError(doing, "the storage account's name is none")
    return name


def _default_url(name: str, parts: Mapping[str, str]) -> str:
    protocol = parts.get("defaultendpointsprotocol") or "https"
    return f"{protocol}://{name}.blob.{parts.get('endpointsuffix') or SUFFIX}"


def _checked_key(key: str, doing: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        hint = "copy it whole, with the = at its end"
        raise ConfigurationError(doing, "the account key is not base64", hint=hint) from error
    return key


def _checked_signature(token: str, doing: str) -> str:
    token = token.removeprefix("?")
    if not {"sig", "sv"} <= {name for name, _ in parse_qsl(token)}:
        hint = "copy it whole, from sv= to sig=, without the URL before it"
        raise ConfigurationError(doing, "the shared access signature is none", hint=hint)
    return token
