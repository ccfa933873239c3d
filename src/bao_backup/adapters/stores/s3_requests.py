"""Requests to an S3 bucket of our own, beside the library: signed by AWS Signature Version 4.

Source: AWS Identity and Access Management User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.s3_identity import Keys
from bao_backup.core.errors import StorageError

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Bucket(NamedTuple):
    """Where the requests go: the URL ends at the bucket, without a slash."""

    url: str
    region: str
    context: Callable[[], ssl.SSLContext]
    #: URL of the proxy; empty: the environment's.
    proxy: str = ""
    #: Seconds; 0: as those of each wait.
    connect_timeout: float = 0


class Requests:
    """What is asked of one bucket; any thread may ask."""

    def __init__(self, bucket: Bucket, keys: Callable[[], Keys], translator: Translator) -> None:
        self._bucket = bucket
        self._keys = keys
        self._translator = translator
        self._context: ssl.SSLContext | None = None

    def ask(
        self,
        verb: str,
        method: str,
        key: str,
        query: Mapping[str, str],
        *,
        timeout: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> ET.Element:
        """One request; its answer's XML, an empty element where it has none.

        Args:
            verb: what it is for, as errors say it.
            method: of HTTP.
            key: of the object; empty: the bucket itself.
            query: names and values, as they are.
            timeout: seconds for each wait.
            body: what is sent.
            headers: more of them, by their names in lower case.

        Raises StorageError types.
        """
        answer = self.send(verb, method, key, query, timeout=timeout, body=body, headers=headers)
        if answer.status >= 300:
            raise self._translator.answered(answer.status, answer.text, verb, key, answer.headers)
        return self.parsed(answer, verb, key)

    def parsed(self, answer: Answer, verb: str, key: str) -> ET.Element:
        """The XML of an answer, an empty element where it has none. Raises StorageError: it is not XML."""
        try:
            # expat bounds the growth of entities since 2.4, and the store is one that we log in to.
            return ET.fromstring(answer.body) if answer.body else ET.Element("Nothing")  # noqa: S314
        except ET.ParseError as error:
            doing = self._translator.named(verb, key)
            raise StorageError(doing, "the answer is not XML", details=str(error)) from error

    def send(
        self,
        verb: str,
        method: str,
        key: str,
        query: Mapping[str, str],
        *,
        timeout: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The same, with its answer as it is, whatever its status. Raises StorageError: there is none."""
        if self._context is None and self._bucket.url.startswith("https:"):
            self._context = self._bucket.context()
        parts = urlsplit(self._bucket.url)
        path = parts.path + (f"/{_escape(key, '/')}" if key else "/")
        arguments = "&".join(f"{_escape(name)}={_escape(query[name])}" for name in sorted(query))
        signed = sign(
            self._keys(),
            Signed(method, parts.netloc, path, arguments, body, headers or {}),
            self._bucket.region,
            datetime.now(UTC),
        )
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked: http or https
            f"{parts.scheme}://{parts.netloc}{path}?{arguments}",
            data=body or None,
            method=method,
            headers=signed,
        )
        doing = self._translator.named(verb, key)
        return ask(
            request,
            doing,
            timeout,
            self._context,
            proxy=self._bucket.proxy,
            connect_timeout=self._bucket.connect_timeout,
        )


class Signed(NamedTuple):
    """A request to sign; `path` and `query` escaped, the latter sorted, headers in lower case."""

    method: str
    host: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


def sign(
    keys: Keys, request: Signed, region: str, moment: datetime, *, service: str = "s3"
) -> dict[str, str]:
    """The request's headers, with those that sign it and all the others; S3 alone wants the body's digest."""
    time = moment.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(request.body).hexdigest()
    given = {"host": request.host, "x-amz-date": time, **request.headers}
    if service == "s3":
        given["x-amz-content-sha256"] = digest
    if keys.token:
        given["x-amz-security-token"] = keys.token
    headers = {name: given[name] for name in sorted(given)}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{names}\n{digest}"
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys.secret}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}"):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


def _escape(text: str, safe: str = "") -> str:
    return quote(text, safe=f"-_.~{safe}")
