"""Services that give a program its identity in Azure, as working stand-ins on loopback.

Each holds its callers to the real one's rules, and keeps what it was asked. Their tokens have the
form of Microsoft Entra ID's, so that Azurite takes them. Sources: Microsoft identity platform,
"OAuth 2.0 client credentials flow"; "How to use managed identities on a virtual machine to acquire
an access token".
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.harness.identities import Asked, Said, Service

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "secret-of-the-application"
RESOURCE = "https://storage.azure.com/"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def token(seconds: int = 3600, audience: str = RESOURCE) -> str:
    """A token as Entra ID gives them; nobody here checks its signature."""
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now - 10,
        "nbf": now - 10,
        "exp": now + seconds,
        "appid": CLIENT,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, "signature")
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )


class Entra(Service):
    """The token service of one tenant and one application, which has a secret or trusts other tokens."""

    PATH = f"/{TENANT}/oauth2/v2.0/token"

    def __init__(
        self,
        context: ssl.SSLContext,
        trusts: Callable[[str], bool] = lambda _token: False,
        issue: Callable[[], str] = token,
    ) -> None:
        super().__init__(context)
        self._trusts = trusts
        self._issue = issue

    def answer(self, asked: Asked) -> Said:
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        if (asked.method, asked.path) != ("POST", self.PATH):
            return refused("invalid_request", "AADSTS90002: Tenant not found.")
        if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{RESOURCE}.default":
            return refused("invalid_scope", "AADSTS1002012: The scope is not valid.")
        if form.get("client_id") != CLIENT:
            return refused("unauthorized_client", "AADSTS700016: Application not found.")
        by_secret = form.get("client_secret") == SECRET
        by_token = form.get("client_assertion_type") == ASSERTION
        if not by_secret and not (by_token and self._trusts(form.get("client_assertion", ""))):
            return refused("invalid_client", f"AADSTS7000215: Invalid: {form.get('client_secret')}", 401)
        given = {"token_type": "Bearer", "expires_in": 3599, "access_token": self._issue()}
        return Said(200, json.dumps(given))


class Machine(Service):
    """The metadata service of a machine of Azure; with `header`, that of App Service."""

    def __init__(
        self,
        header: str = "",
        issue: Callable[[int], str] = token,
        client: str = "",
        lives: tuple[int, ...] = (3600,),
    ) -> None:
        """`lives`: seconds that each token lasts, in order; the last for ever. `issue` makes one."""
        super().__init__()
        self._header = header
        self._issue = issue
        self._lives = lives
        self._client = client

    def answer(self, asked: Asked) -> Said:
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self._header:
            right = asked.headers.get("x-identity-header") == self._header
            right = right and query.get("api-version") == "2019-08-01"
        else:
            right = asked.headers.get("metadata") == "true" and "x-forwarded-for" not in asked.headers
            right = right and parts.path == "/metadata/identity/oauth2/token"
            right = right and query.get("api-version") == "2018-02-01"
        if not right or query.get("resource") != RESOURCE or asked.method != "GET":
            return refused("invalid_request", "Bad request.")
        if query.get("client_id", "") != self._client:
            return refused("invalid_request", "Identity not found")
        seconds = self._lives[min(len(self.asked), len(self._lives)) - 1]
        ends = str(int(time.time()) + seconds)
        given = {"access_token": self._issue(seconds), "expires_on": ends, "resource": RESOURCE}
        return Said(200, json.dumps(given))


def refused(code: str, text: str, status: int = 400) -> Said:
    """How both refuse."""
    return Said(status, json.dumps({"error": code, "error_description": text, "correlation_id": "1"}))
