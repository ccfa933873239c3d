"""Services that give a program its identity in a cloud, as working stand-ins on loopback.

Each holds its callers to the real one's rules, and keeps what it was asked. Sources: AWS STS API
Reference; Amazon EC2 User Guide, "Instance metadata"; Amazon EKS User Guide, "Pod Identity".
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.harness.logins import TokenIssuer
from tests.harness.s3 import Keys

ROLE = "bao-backup-role"
STS = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True)
class Temporary:
    """Keys that end."""

    keys: Keys
    token: str = field(default="", repr=False)
    seconds: float = 3600

    @property
    def expiration(self) -> str:
        """When they end, if they are given now."""
        return (datetime.now(UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str = field(repr=False, default="")


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    body: str = field(repr=False, default="")


Issue = Callable[[], Temporary]


class Service:
    """Listens on loopback and answers by `answer`; `override` answers in its place while it is set."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.override: Said | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                """Whatever the method is."""
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                said = service.heard(Asked(self.command, self.path, headers, body.decode()))
                self.send_response(said.status)
                self.send_header("Content-Length", str(len(said.body.encode())))
                self.end_headers()
                self.wfile.write(said.body.encode())

            def log_message(self, *_words: object) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def heard(self, asked: Asked) -> Said:
        """Keep a request, and answer it."""
        self.asked.append(asked)
        return self.override or self.answer(asked)

    def answer(self, asked: Asked) -> Said:
        """What the service answers."""
        raise AssertionError(f"{type(self).__name__} has no answer to {asked.method} {asked.path}")

    @property
    def paths(self) -> list[str]:
        """The method and path of each request."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class InstanceMetadata(Service):
    """The metadata service of EC2 in its second version: nothing without a token that was PUT before."""

    def __init__(self, issue: Issue, role: str = ROLE, region: str = "eu-north-1") -> None:
        super().__init__()
        self._issue = issue
        self._role = role
        self._region = region
        self._tokens: set[str] = set()

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/latest/api/token":
            ttl = asked.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            if asked.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
                return Said(400)
            token = secrets.token_urlsafe(24)
            self._tokens.add(token)
            return Said(200, token)
        if asked.method != "GET" or asked.headers.get("x-aws-ec2-metadata-token") not in self._tokens:
            return Said(401)
        return self._data(asked.path)

    def _data(self, path: str) -> Said:
        folder = "/latest/meta-data/iam/security-credentials/"
        if path == "/latest/meta-data/placement/region":
            return Said(200, self._region)
        if path == folder:
            return Said(200, self._role) if self._role else Said(404)
        if path == folder + self._role and self._role:
            return Said(200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **_fields(self._issue())}))
        return Said(404)


class PodIdentityAgent(Service):
    """The agent of EKS Pod Identity: the keys go to whom the token that is in the file now proves."""

    PATH = "/v1/credentials"

    def __init__(self, issue: Issue, token_file: Path) -> None:
        super().__init__()
        self._issue = issue
        self._token_file = token_file

    @property
    def variables(self) -> dict[str, str]:
        """What EKS sets in a pod."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url + self.PATH,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self._token_file),
        }

    def answer(self, asked: Asked) -> Said:
        if (asked.method, asked.path) != ("GET", self.PATH):
            return Said(404)
        if asked.headers.get("authorization") != self._token_file.read_text().strip():
            return Said(401)
        return Said(200, json.dumps({"AccountId": "123456789012", **_fields(self._issue())}))


class TokenService(Service):
    """Amazon's STS, as far as AssumeRoleWithWebIdentity; it takes the tokens that `trusts` accepts."""

    def __init__(self, issue: Issue, trusts: Callable[[str], bool], context: ssl.SSLContext | None) -> None:
        super().__init__(context)
        self._issue = issue
        self._trusts = trusts

    def answer(self, asked: Asked) -> Said:
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        right = (form.get("Action"), form.get("Version")) == ("AssumeRoleWithWebIdentity", "2011-06-15")
        if asked.method != "POST" or not right or not form.get("RoleArn") or not form.get("RoleSessionName"):
            return refused("ValidationError", 400)
        if not self._trusts(form.get("WebIdentityToken", "")):
            return refused("InvalidIdentityToken", 400)
        given = self._issue()
        inner = "".join(
            f"<{name}>{escape(value)}</{name}>"
            for name, value in (
                ("AccessKeyId", given.keys.access_key),
                ("SecretAccessKey", given.keys.secret_key),
                ("SessionToken", given.token),
                ("Expiration", given.expiration),
            )
        )
        action = "AssumeRoleWithWebIdentity"
        body = f"<{action}Result><Credentials>{inner}</Credentials></{action}Result>"
        return Said(200, f'<{action}Response xmlns="{STS}">{body}</{action}Response>')


class OpenIdIssuer(Service):
    """Whose tokens others can prove by what it publishes (OpenID Connect Discovery 1.0)."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.tokens = TokenIssuer(self.url)

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/.well-known/openid-configuration":
            about: dict[str, Any] = {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
            return Said(200, json.dumps(about))
        if asked.path == "/keys":
            return Said(200, json.dumps({"keys": [self.tokens.public_jwk]}))
        return Said(404)


def refused(code: str, status: int) -> Said:
    """How STS refuses."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>said by a test</Message></Error>"
    return Said(status, f'<ErrorResponse xmlns="{STS}">{error}<RequestId>1</RequestId></ErrorResponse>')


def _fields(given: Temporary) -> dict[str, str]:
    return {
        "AccessKeyId": given.keys.access_key,
        "SecretAccessKey": given.keys.secret_key,
        "Token": given.token,
        "Expiration": given.expiration,
    }
