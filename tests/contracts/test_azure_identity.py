"""Which account of Azure, where, and as whom: from settings, credentials and the environment."""

from __future__ import annotations

from typing import Any

import pytest

from bao_backup.adapters.stores.azure_identity import (
    AUTHORITY,
    Account,
    AccountKey,
    ClientSecret,
    FederatedToken,
    Identity,
    ManagedIdentity,
    SharedAccess,
    choose_account,
    parse_connection_string,
)
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings

KEY = "aHVzaC1rZXk="
SAS = "sv=2021&sp=rl&sig=hush%3D"
STRING = f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={KEY};EndpointSuffix=core.windows.net"
POD = {
    "AZURE_CLIENT_ID": "client",
    "AZURE_TENANT_ID": "tenant",
    "AZURE_FEDERATED_TOKEN_FILE": "/token",
    "AZURE_AUTHORITY_HOST": "https://login.example/",
}
IMDS = "http://169.254.169.254/metadata/identity/oauth2/token"


def chosen(
    credentials: dict[str, str], environment: dict[str, str] | None = None, **settings: Any
) -> Account:
    """The account for these."""
    of = StoreSettings(provider="azure", bucket="backups", **{"account": "acme", **settings})
    return choose_account(of, credentials, environment or {}, "open azure")


@pytest.mark.parametrize(
    ("credentials", "environment", "identity"),
    [
        ({"accountKey": KEY}, {}, AccountKey(KEY)),
        ({"accountKey": KEY}, POD, AccountKey(KEY)),
        ({"connectionString": STRING}, {}, AccountKey(KEY)),
        ({"connectionString": f"SharedAccessSignature={SAS};AccountName=acme"}, {}, SharedAccess(SAS)),
        ({"sasToken": SAS}, {}, SharedAccess(SAS)),
        ({"sasToken": f"?{SAS}"}, {}, SharedAccess(SAS)),
        (
            {"clientSecret": "hush", "clientId": "c", "tenantId": "t.example"},
            POD,
            ClientSecret("https://login.example", "t.example", "c", "hush"),
        ),
        ({"clientSecret": "hush"}, POD, ClientSecret("https://login.example", "tenant", "client", "hush")),
        ({}, POD, FederatedToken("https://login.example", "tenant", "client", "/token")),
        ({"clientId": "other"}, POD, FederatedToken("https://login.example", "tenant", "other", "/token")),
        ({}, {**POD, "AZURE_STORAGE_KEY": KEY}, AccountKey(KEY)),
        ({}, {"AZURE_STORAGE_SAS_TOKEN": SAS}, SharedAccess(SAS)),
        ({"sasToken": SAS}, {"AZURE_STORAGE_KEY": KEY}, SharedAccess(SAS)),
        ({}, {}, ManagedIdentity(IMDS, "", "")),
        ({}, {"AZURE_CLIENT_ID": "c"}, ManagedIdentity(IMDS, "c", "")),
        (
            {},
            {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9/"},
            ManagedIdentity("http://127.0.0.1:9/metadata/identity/oauth2/token", "", ""),
        ),
        (
            {},
            {"IDENTITY_ENDPOINT": "http://127.0.0.1:9/msi", "IDENTITY_HEADER": "hush"},
            ManagedIdentity("http://127.0.0.1:9/msi", "", "hush"),
        ),
        ({}, {"IDENTITY_ENDPOINT": "http://127.0.0.1:9/msi"}, ManagedIdentity(IMDS, "", "")),
    ],
)
def test_identity(credentials: dict[str, str], environment: dict[str, str], identity: Identity) -> None:
    """What is given comes before what the place gives, and the Secret before the environment."""
    assert chosen(credentials, environment).identity == identity


def test_the_usual_authority() -> None:
    """Without a variable it is the public cloud's."""
    of_pod = {name: value for name, value in POD.items() if name != "AZURE_AUTHORITY_HOST"}
    assert chosen({}, of_pod).identity == FederatedToken(AUTHORITY, "tenant", "client", "/token")


@pytest.mark.parametrize(
    ("credentials", "settings", "url"),
    [
        ({"accountKey": KEY}, {}, "https://acme.blob.core.windows.net"),
        ({"accountKey": KEY}, {"endpoint": "http://127.0.0.1:10000/acme/"}, "http://127.0.0.1:10000/acme"),
        ({"connectionString": STRING}, {"account": ""}, "https://acme.blob.core.windows.net"),
        (
            {"connectionString": STRING.replace("windows.net", "chinacloudapi.cn")},
            {},
            "https://acme.blob.core.chinacloudapi.cn",
        ),
        (
            {"connectionString": f"{STRING};BlobEndpoint=https://acme.blob.local.azurestack.external/;"},
            {},
            "https://acme.blob.local.azurestack.external",
        ),
        (
            {"connectionString": f"{STRING};BlobEndpoint=https://other.example"},
            {"endpoint": "https://first.example"},
            "https://first.example",
        ),
    ],
)
def test_where(credentials: dict[str, str], settings: dict[str, str], url: str) -> None:
    """The endpoint that is set, that of the connection string, or the account's in the cloud."""
    account = chosen(credentials, {}, **settings)
    assert (account.name, account.url) == ("acme", url)


def test_account_of_the_environment() -> None:
    """The name comes from there when nobody else says it."""
    assert chosen({"accountKey": KEY}, {"AZURE_STORAGE_ACCOUNT": "else"}, account="").name == "else"


def test_connection_string() -> None:
    """Each field ends at the first "=": keys and signatures hold more of them."""
    assert parse_connection_string(f"{STRING};;", "open") == {
        "defaultendpointsprotocol": "https",
        "accountname": "acme",
        "accountkey": KEY,
        "endpointsuffix": "core.windows.net",
    }


@pytest.mark.parametrize(
    ("credentials", "environment", "settings"),
    [
        ({"accountKey": KEY, "sasToken": SAS}, {}, {}),
        ({"accountKey": KEY, "connectionString": STRING}, {}, {}),
        ({"accountKey": "hush no base64"}, {}, {}),
        ({"sasToken": "https://acme.blob.core.windows.net/hush"}, {}, {}),
        ({"connectionString": "hush"}, {}, {}),
        ({"connectionString": f"{STRING};AccountKey=hush"}, {}, {}),
        ({"connectionString": "AccountName=acme"}, {}, {}),
        ({"connectionString": f"{STRING};SharedAccessSignature={SAS}"}, {}, {}),
        ({"connectionString": f"{STRING};BlobEndpoint=hush"}, {}, {}),
        ({"connectionString": STRING}, {}, {"account": "another"}),
        ({"clientSecret": "hush"}, {}, {}),
        ({"clientSecret": "hush", "clientId": "c"}, {}, {}),
        ({"clientSecret": "hush", "clientId": "c", "tenantId": "../hush"}, {}, {}),
        ({"clientSecret": "hush"}, {**POD, "AZURE_AUTHORITY_HOST": "http://login.example"}, {}),
        ({}, {"AZURE_FEDERATED_TOKEN_FILE": "/token"}, {}),
        ({}, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "no url"}, {}),
        ({"accountKey": KEY}, {}, {"account": ""}),
        ({"accountKey": KEY}, {}, {"account": "acme.example/hush"}),
        ({"accountKey": KEY}, {}, {"endpoint": "acme:hush"}),
    ],
    ids=str,
)
def test_cannot_work(
    credentials: dict[str, str], environment: dict[str, str], settings: dict[str, str]
) -> None:
    """What contradicts itself, or is cut short, is refused before anything is sent, and not repeated."""
    with pytest.raises(ConfigurationError) as raised:
        chosen(credentials, environment, **settings)
    assert "hush" not in raised.value.message
    assert KEY not in raised.value.message
