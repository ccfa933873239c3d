"""What requests to Azure's storage are authorized with: for the library, and for our own requests.

Source: Azure Storage REST API Reference, "Authorize with Shared Key".
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

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


def authorized(
    access: AccountKey | SharedAccess | Bearer, account: str, method: str, url: str, moment: datetime
) -> tuple[str, Mapping[str, str]]:
    """The URL and headers of a request without a body; `url` is escaped and has no query."""
    headers = {"x-ms-date": moment.strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": VERSION}
    match access:
        case SharedAccess(token):
            return f"{url}?{token}", headers
        case Bearer(token):
            return url, {**headers, "Authorization": f"Bearer {token}"}
        case AccountKey(key):
            lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
            text = f"{method}{chr(10) * 12}{lines}/{account}{urlsplit(url).path}"
            signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256"))
            return url, {**headers, "Authorization": f"SharedKey {account}:{signature.decode()}"}
