"""Tokens for Google Cloud Storage: signed here, or asked for, and what the answers mean.

Sources: Google Cloud documentation, "Access tokens" of the metadata server; RFC 8693, token exchange;
AIP-4111, "Self-signed JWT", and AIP-4117, "External account credentials".
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import msgspec

from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.gcs_identity import (
    REMEDY,
    ExternalAccount,
    Identity,
    Machine,
    ServiceAccount,
)
from bao_backup.adapters.stores.gcs_subject import subject_name, subject_token
from bao_backup.adapters.stores.identity_codes import GOOGLE, NOT_GIVEN, find_refusal, refused
from bao_backup.adapters.stores.login import Renewed
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.signed_token import signed_token
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageLoginError

if TYPE_CHECKING:
    # A type that the library has for the checker alone.
    from obstore.store import GCSCredential

#: What a token is good for: objects may be read, written and deleted, and nobody's rights changed.
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
#: To take on a service account, its rights on storage are not enough.
PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
LIFE = timedelta(hours=1)
#: Seconds for each wait. A machine's service that is there answers at once.
TOKEN_SERVICE_TIMEOUT = 10.0
MACHINE_TIMEOUT = 2.0

#: As the token service says why, and as the service of accounts does.
_CODE = re.compile(r'"(?:error|status)":\s*"([A-Za-z_]{1,60})"')


class Token(NamedTuple):
    """What to come with, and when it ends; None: nobody says."""

    token: str
    expires: datetime | None

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What of it must be seen nowhere."""
        return (self.token,)


class Login(Renewed[Token]):
    """One identity's token. The library calls it for each request or now and then; any thread may."""

    def __call__(self) -> GCSCredential:
        """As the library takes it. Raises StorageError where there is none."""
        current = self.current()
        return {"token": current.token, "expires_at": current.expires}


class _Given(msgspec.Struct):
    """An answer with a token: of the metadata server and of STS, or (in other words) of IAM."""

    access_token: str = ""
    expires_in: float | None = None
    accessToken: str = ""  # noqa: N815 - Google's own name
    expireTime: datetime | None = None  # noqa: N815


def fetch(identity: Identity, asking: Asking, now: datetime) -> Token:
    """A token of this identity. Raises StorageError where there is none."""
    match identity:
        case ServiceAccount():
            return _by_key(identity, now)
        case ExternalAccount():
            return _by_exchange(identity, asking, now)
        case Machine():
            return _by_machine(identity, asking, now)


def _by_key(identity: ServiceAccount, now: datetime) -> Token:
    """Google's services take what the account itself has signed: nobody has to be asked."""
    begin, end = int(now.timestamp()), int((now + LIFE).timestamp())
    claims = {
        "iss": identity.email,
        "sub": identity.email,
        "scope": SCOPE,
        "iat": begin,
        "exp": end,
    }
    return Token(signed_token(identity.key, identity.key_id, claims), datetime.fromtimestamp(end, UTC))


def _by_exchange(identity: ExternalAccount, asking: Asking, now: datetime) -> Token:
    doing = f"{asking.doing} with {subject_name(identity.subject)} and {identity.token_url}"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": identity.audience,
        "scope": PLATFORM if identity.impersonation_url else SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": identity.token_type,
        "subject_token": subject_token(identity.subject, identity.audience, asking, now),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    token = _posted(identity.token_url, urlencode(form).encode(), headers, doing, asking, now)
    if not identity.impersonation_url:
        return token
    asking.translator.hide(token.token)
    doing = f"{asking.doing} as the service account of {identity.impersonation_url}"
    body = msgspec.json.encode({"scope": [SCOPE], "lifetime": f"{int(LIFE.total_seconds())}s"})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token.token}"}
    return _posted(identity.impersonation_url, body, headers, doing, asking, now)


def _posted(
    url: str, body: bytes, headers: Mapping[str, str], doing: str, asking: Asking, now: datetime
) -> Token:
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked: https
        url, data=body, headers=dict(headers), method="POST"
    )
    answer = ask(request, doing, TOKEN_SERVICE_TIMEOUT, asking.context(), proxy=asking.proxy)
    return _token(answer, doing, asking, now)


def _by_machine(identity: Machine, asking: Asking, now: datetime) -> Token:
    doing = f"{asking.doing} with the machine's identity of {identity.url}"
    request = urllib.request.Request(  # noqa: S310 - http, to the metadata service
        f"{identity.url}?{urlencode({'scopes': SCOPE})}", headers={"Metadata-Flavor": "Google"}
    )
    try:
        answer = ask(request, doing, MACHINE_TIMEOUT, through_proxy=False)
    except StorageError as error:
        # On a machine that is none of Google's nobody answers: then that is why there is no token.
        raise _none_found(doing, error.why) from error
    if answer.status in (400, 403, 404):
        raise _none_found(doing, f"it refused ({answer.status})")
    return _token(answer, doing, asking, now)


def _none_found(doing: str, answer: str) -> StorageLoginError:
    why = f"no credentials were found: none are configured; asked the machine, answer: {answer}"
    return StorageLoginError(doing, why, hint=REMEDY)


def _token(answer: Answer, doing: str, asking: Asking, now: datetime) -> Token:
    if answer.status != 200:
        match = _CODE.search(answer.text)
        row = find_refusal(GOOGLE, [match.group(1) if match else ""], answer.text)
        raise refused(row, NOT_GIVEN, answer, row.code if row else "", doing, asking.translator)
    try:
        given = msgspec.json.decode(answer.body, type=_Given)
    except msgspec.MsgspecError:
        given = _Given()
    token = given.access_token or given.accessToken
    if not token or not token.isprintable():
        raise StorageLoginError(doing, "the answer holds no token", hint="is it the right service?")
    expires = given.expireTime
    if expires is None and given.expires_in is not None and 0 <= given.expires_in < 1e9:
        expires = now + timedelta(seconds=given.expires_in)
    return Token(token, expires.astimezone(UTC) if expires else None)
