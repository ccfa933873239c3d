"""Services that give a program its identity at Google, as working stand-ins on loopback.

Each holds its callers to the real one's rules, and keeps what it was asked. Sources: Google Cloud
documentation, "Access tokens" of the metadata server; AIP-4117, "External account credentials".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.harness.identities import Asked, Said, Service

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster"
EMAIL = "backup@project.iam.gserviceaccount.com"
SUBJECT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
AMAZON_TYPE = "urn:ietf:params:aws:token-type:aws4_request"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/sts/aws4_request, SignedHeaders=([^,]+),"
    r" Signature=([0-9a-f]{64})"
)
IMPERSONATION = f"/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"


class AccountKey:
    """A service account's key: the file that Google gives, and what proves its tokens."""

    def __init__(self, bits: int = 2048) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.id = "0123456789abcdef"

    @property
    def pem(self) -> str:
        """The private key, as it is in the file."""
        form = serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(
            serialization.Encoding.PEM, form, serialization.NoEncryption()
        ).decode()

    @property
    def file(self) -> str:
        """`credentials.json`."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "project",
                "private_key_id": self.id,
                "private_key": self.pem,
                "client_email": EMAIL,
                "client_id": "1",
                "token_uri": "https://oauth2.googleapis.com/token",
            }
        )

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says, if this key has signed it: else InvalidSignature."""
        text, _, signature = token.rpartition(".")
        self._key.public_key().verify(_decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
        head, claims = (json.loads(_decoded(part)) for part in text.split("."))
        assert head == {"alg": "RS256", "typ": "JWT", "kid": self.id}
        found: dict[str, Any] = claims
        return found


class GoogleMetadata(Service):
    """The metadata service of a machine or pod; `lives`: seconds that each token lasts, the last for ever."""

    def __init__(self, *lives: int) -> None:
        super().__init__()
        self._lives = lives or (3599,)

    @property
    def host(self) -> str:
        """As GCE_METADATA_HOST has it."""
        return urlsplit(self.url).netloc

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in asked.headers:
            return Said(403)
        if asked.method != "GET" or urlsplit(asked.path).path != METADATA:
            return Said(404)
        number = len(self.asked)
        seconds = self._lives[min(number, len(self._lives)) - 1]
        given = {"access_token": f"ya29.hush-{number}", "expires_in": seconds, "token_type": "Bearer"}
        return Said(200, json.dumps(given))


class TokenExchange(Service):
    """Google's STS and its IAM: a trusted token becomes Google's, and that a service account's."""

    PATH = "/v1/token"

    def __init__(self, context: ssl.SSLContext, trusts: Callable[[str], bool]) -> None:
        super().__init__(context)
        self._trusts = trusts

    def answer(self, asked: Asked) -> Said:
        if asked.method != "POST":
            return Said(404)
        if asked.path == IMPERSONATION:
            return self._account(asked)
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        right = form.get("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
        right = right and form.get("audience") == AUDIENCE
        right = right and form.get("subject_token_type") in (SUBJECT_TYPE, AMAZON_TYPE)
        right = right and bool(form.get("scope")) and asked.path == self.PATH
        wanted = "urn:ietf:params:oauth:token-type:access_token"
        if not right or form.get("requested_token_type") != wanted:
            return Said(400, '{"error": "invalid_request"}')
        if not self._trusts(form.get("subject_token", "")):
            return Said(400, json.dumps({"error": "invalid_grant", "it": form.get("subject_token")}))
        given = {"access_token": "ya29.hush-federated", "expires_in": 3599, "token_type": "Bearer"}
        return Said(200, json.dumps(given))

    def _account(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != "Bearer ya29.hush-federated":
            return Said(401, '{"error": {"status": "UNAUTHENTICATED"}}')
        if not json.loads(asked.body).get("scope"):
            return Said(400)
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Said(200, json.dumps({"accessToken": "ya29.hush-account", "expireTime": ends}))


class TokenGiver(Service):
    """A service that gives a token to whoever shows a header: Azure's metadata service, GitHub's, ..."""

    HEADERS: ClassVar = {"Metadata": "hush-header"}

    def __init__(self, body: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.body = body

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("metadata") != self.HEADERS["Metadata"]:
            return Said(403, self.body)
        return Said(200, self.body) if asked.path == "/token?resource=hush" else Said(404)


class Caller(NamedTuple):
    """Whom AWS would take a signed request for."""

    key: str
    session: str
    region: str


def signed_caller(token: str, secrets: Mapping[str, str], at: datetime) -> Caller | None:
    """As Google has AWS judge the token: the request of GetCallerIdentity, signed by one of these keys.

    None: it is not such a request, is signed by nobody, or is for another audience or time.
    Sources: AIP-4117; AWS Identity and Access Management User Guide, "Create a signed AWS API request".
    """
    told = json.loads(unquote(token))
    headers = {each["key"].lower(): each["value"] for each in told["headers"]}
    url = urlsplit(told["url"])
    found = _AUTHORIZATION.fullmatch(headers.pop("authorization", ""))
    if found is None or told["method"] != "POST" or url.scheme != "https":
        return None
    key, day, region, names, signature = found.groups()
    right = url.netloc == f"sts.{region}.amazonaws.com" and headers["host"] == url.netloc
    right = right and url.query == "Action=GetCallerIdentity&Version=2011-06-15"
    right = right and headers.get("x-goog-cloud-target-resource") == AUDIENCE and key in secrets
    right = right and headers["x-amz-date"] == at.strftime("%Y%m%dT%H%M%SZ") and names == ";".join(headers)
    if not right:
        return None
    lines = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    nothing = hashlib.sha256(b"").hexdigest()
    asked = f"POST\n{url.path or '/'}\n{url.query}\n{lines}\n{names}\n{nothing}"
    scope = f"{day}/{region}/sts/aws4_request"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    secret = f"AWS4{secrets[key]}".encode()
    for part in (day, region, "sts", "aws4_request"):
        secret = hmac.new(secret, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    if hmac.new(secret, text.encode(), "sha256").hexdigest() != signature:
        return None
    return Caller(key, headers.get("x-amz-security-token", ""), region)


def external_account(
    url: str, token_file: str, *, account: bool = False, source: Mapping[str, Any] | None = None
) -> str:
    """`credentials.json` of workload identity federation with this exchange; `source` instead of a file."""
    of_amazon = "environment_id" in (source or {})
    given: dict[str, Any] = {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": AMAZON_TYPE if of_amazon else SUBJECT_TYPE,
        "token_url": url + TokenExchange.PATH,
        "credential_source": source or {"file": token_file, "format": {"type": "text"}},
    }
    if account:
        given["service_account_impersonation_url"] = url + IMPERSONATION
    return json.dumps(given)


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
