"""What requests to Azure's storage are authorized with: for the library, and for our own requests.

Source: Azure Storage REST API Reference, "Authorize with Shared Key".
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from bao_backup.adapters.stores.azure_identity import AccountKey, SharedAccess
from bao_backup.adapters.stores.login import Renewed

if TYPE_CHECKING:
    # A type that the library has for the checker alone.
    from obstore.store import AzureCredential

#: The version of the service's interface that our requests speak.
VERSION = "2021-12-02"


class Bearer(NamedTuple):
    """A token of Microsoft Entra ID."""

    token: str


class Granted(NamedTuple):
    """What to come with, and when it ends; None: never, or nobody says."""

    access: AccountKey | SharedAccess | Bearer
    expires: datetime | None

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What of it must be seen nowhere."""
        return tuple(self.access)


class Login(Renewed[Granted]):
    """One identity's access. The library calls it for each request or now and then; any thread may."""

    def __call__(self) -> AzureCredential:
        """As the library takes it. Raises StorageError where there is none."""
        granted = self.current()
        match granted.access:
            case AccountKey(key):
                return {"access_key": key, "expires_at": granted.expires}
            case SharedAccess(token):
                return {"sas_token": token, "expires_at": granted.expires}
            case Bearer(token):
                return {"token": token, "expires_at": granted.expires}


class Asked(NamedTuple):
    """A request to authorize, without a body; the URL is escaped and has no query."""

    method: str
    url: str
    #: Names and values as they are.
    query: Mapping[str, str] = MappingProxyType({})
    #: By their names in lower case, all of which begin with x-ms-.
    headers: Mapping[str, str] = MappingProxyType({})


def authorized(
    access: AccountKey | SharedAccess | Bearer, account: str, asked: Asked, moment: datetime
) -> tuple[str, Mapping[str, str]]:
    """The URL with its query, and the headers, of a request."""
    # A request that writes has a type, even without a body: the client would invent one.
    kind = "" if asked.method == "DELETE" else "application/octet-stream"
    given = {"x-ms-date": f"{moment:%a, %d %b %Y %H:%M:%S} GMT", "x-ms-version": VERSION, **asked.headers}
    headers = {name: given[name] for name in sorted(given)}
    query = urlencode(asked.query, quote_via=quote)
    typed = {**headers, "Content-Type": kind} if kind else headers
    match access:
        case SharedAccess(token):
            return f"{asked.url}?{'&'.join(part for part in (query, token) if part)}", typed
        case Bearer(token):
            typed = {**typed, "Authorization": f"Bearer {token}"}
        case AccountKey(key):
            lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
            resource = f"/{account}{urlsplit(asked.url).path}" + "".join(
                f"\n{name}:{asked.query[name]}" for name in sorted(asked.query)
            )
            text = f"{asked.method}\n\n\n\n\n{kind}\n\n\n\n\n\n\n{lines}{resource}"
            signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256"))
            typed = {**typed, "Authorization": f"SharedKey {account}:{signature.decode()}"}
    return (f"{asked.url}?{query}" if query else asked.url), typed
