"""The services that give tokens for Azure's storage: what each is asked, and what its answer means.

Sources: Microsoft identity platform documentation, "OAuth 2.0 client credentials flow"; Azure
documentation, "How to use managed identities on a virtual machine to acquire an access token", and
"How to use managed identities for App Service".
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from bao_backup.adapters.stores.asking import Asking, read_token
from bao_backup.adapters.stores.azure_identity import (
    REMEDY,
    ClientSecret,
    FederatedToken,
    ManagedIdentity,
)
from bao_backup.adapters.stores.azure_login import Bearer, Granted
from bao_backup.adapters.stores.identity_codes import ENTRA, SECRET, find_refusal, refused
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageLoginError

#: What the tokens are for.
RESOURCE = "https://storage.azure.com/"
#: Seconds for each wait. A machine's service that is there answers at once.
TOKEN_SERVICE_TIMEOUT = 10.0
MACHINE_TIMEOUT = 2.0

_WORD = re.compile(r"[a-z_]{1,64}")
#: What stands at the beginning of Microsoft's `error_description`.
_NUMBER = re.compile(r"\bAADSTS\d{1,8}\b")


class _Given(msgspec.Struct):
    """An answer with a token: `expires_in` in seconds, `expires_on` since 1970; either may be a text."""

    access_token: str = ""
    expires_in: float | str | None = None
    expires_on: float | str | None = None
    error: str = ""


def fetch(identity: ClientSecret | FederatedToken | ManagedIdentity, asking: Asking) -> Granted:
    """A token of this identity. Raises StorageError where there is none."""
    match identity:
        case ClientSecret():
            asking.translator.hide(identity.secret)
            return _by_form(identity, {"client_secret": identity.secret}, asking)
        case FederatedToken():
            form = {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": read_token(identity.token_file, asking),
            }
            return _by_form(identity, form, asking)
        case ManagedIdentity():
            return _by_machine(identity, asking)


def _by_form(identity: ClientSecret | FederatedToken, proof: Mapping[str, str], asking: Asking) -> Granted:
    url = f"{identity.authority}/{identity.tenant}/oauth2/v2.0/token"
    doing = f"{asking.doing} as {identity.client} with {url}"
    form = {
        "grant_type": "client_credentials",
        "client_id": identity.client,
        "scope": f"{RESOURCE}.default",
        **proof,
    }
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked: https
        url,
        data=urlencode(form).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        method="POST",
    )
    answer = ask(request, doing, TOKEN_SERVICE_TIMEOUT, asking.context(), proxy=asking.proxy)
    return _granted(answer, doing, asking)


def _by_machine(identity: ManagedIdentity, asking: Asking) -> Granted:
    doing = f"{asking.doing} with the machine's identity of {identity.url}"
    version = "2019-08-01" if identity.header else "2018-02-01"
    query = {"api-version": version, "resource": RESOURCE}
    if identity.client:
        query["client_id"] = identity.client
    asking.translator.hide(identity.header)
    headers = {"X-IDENTITY-HEADER": identity.header} if identity.header else {"Metadata": "true"}
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{identity.url}?{urlencode(query)}", headers=headers
    )
    try:
        answer = ask(request, doing, MACHINE_TIMEOUT, through_proxy=False)
    except StorageError as error:
        # On a machine that is none of Azure's nobody answers: then that is why there is no token.
        raise _none_found(doing, error.why) from error
    if answer.status in (400, 403, 404, 405):
        raise _none_found(doing, f"it refused ({answer.status})")
    return _granted(answer, doing, asking)


def _none_found(doing: str, answer: str) -> StorageLoginError:
    why = f"no credentials were found: none are configured; asked the machine, answer: {answer}"
    return StorageLoginError(doing, why, hint=REMEDY)


def _granted(answer: Answer, doing: str, asking: Asking) -> Granted:
    try:
        given = msgspec.json.decode(answer.body, type=_Given)
    except msgspec.MsgspecError:
        given = _Given()
    if answer.status != 200:
        raise _refused(answer, given.error, doing, asking)
    if not given.access_token or not given.access_token.isprintable():
        raise StorageLoginError(doing, "the answer holds no token", hint="is it the right service?")
    return Granted(Bearer(given.access_token), _end(given))


def _end(given: _Given) -> datetime | None:
    try:
        if given.expires_in is not None:
            return datetime.now(UTC) + timedelta(seconds=float(given.expires_in))
        if given.expires_on is not None:
            return datetime.fromtimestamp(float(given.expires_on), UTC)
    except (ValueError, OverflowError):
        return None
    return None


def _refused(answer: Answer, code: str, doing: str, asking: Asking) -> StorageError:
    code = code if _WORD.fullmatch(code) else ""
    match = _NUMBER.search(answer.text)
    row = find_refusal(ENTRA, [match.group() if match else "", code], answer.text)
    busy = answer.status == 429 or answer.status >= 500
    return refused(None if busy else row, SECRET, answer, row.code if row else code, doing, asking.translator)
