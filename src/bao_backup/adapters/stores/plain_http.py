"""One HTTP request of our own, beside the library: its answer whatever the status, or why there is none."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import gaierror
from types import MappingProxyType
from typing import Any, NamedTuple

from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import (
    StorageUnavailableError,
    StorageUnreachableError,
    StorageUntrustedError,
)

#: No answer that we ask for is longer; a page of a listing has about 700 KB.
LARGEST_ANSWER = 8 * 1024 * 1024


class Answer(NamedTuple):
    """An answer, read to its end."""

    status: int
    body: bytes
    #: By their names in lower case.
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def text(self) -> str:
        """The body as text, with marks where it is none."""
        return self.body.decode(errors="replace")


class _Connected(HTTPConnection):
    """A connection whose beginning has a time-out of its own."""

    connect_timeout: float | None = None

    def connect(self) -> None:
        patience, self.timeout = self.timeout, self.connect_timeout
        try:
            super().connect()
        finally:
            self.timeout = patience
        self.sock.settimeout(patience)


class _SecurelyConnected(_Connected, HTTPSConnection):
    """The same by TLS, whose handshake belongs to the beginning."""


class _Plain(urllib.request.HTTPHandler):
    """http."""

    def __init__(self, connect_timeout: float) -> None:
        super().__init__()
        self._connect_timeout = connect_timeout

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        def make(host: str, /, **options: Any) -> HTTPConnection:
            connection = _Connected(host, **options)
            connection.connect_timeout = self._connect_timeout
            return connection

        return self.do_open(make, req)


class _Secure(urllib.request.HTTPSHandler):
    """https, of the hosts that `context` trusts."""

    def __init__(self, connect_timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._trusting = context
        self._connect_timeout = connect_timeout

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        def make(host: str, /, **options: Any) -> HTTPConnection:
            connection = _SecurelyConnected(host, context=self._trusting, **options)
            connection.connect_timeout = self._connect_timeout
            return connection

        return self.do_open(make, req)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is sent, keys and tokens among it, is for the configured host alone."""

    def redirect_request(self, *_asked: object) -> None:
        """Leave the answer as it is, an error."""


def ask(
    request: urllib.request.Request,
    doing: str,
    timeout: float,
    context: ssl.SSLContext | None = None,
    *,
    through_proxy: bool = True,
    proxy: str = "",
    connect_timeout: float = 0,
) -> Answer:
    """Send one request, and read its answer whatever its status is.

    Args:
        request: to an http or https URL.
        doing: what it is for, as errors say it.
        timeout: seconds for each wait, and for all of the answer's body.
        context: whom to trust; needed for https.
        through_proxy: False for services of the machine itself.
        proxy: URL of an HTTP proxy; empty: the environment's. NO_PROXY counts for either.
        connect_timeout: seconds for the connection, with TLS; 0: as `timeout`.

    Raises StorageUntrustedError, StorageUnreachableError or StorageUnavailableError.
    """
    # Without one, some versions of Python read all CAs of the system here, also for plain HTTP.
    handlers = [
        _Plain(connect_timeout or timeout),
        _Secure(connect_timeout or timeout, context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
        _StayHere(),
        *_proxies(proxy, through_proxy=through_proxy),
    ]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return Answer(answer.status, _read(answer, timeout), _named(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error, timeout, doing)
    except (OSError, HTTPException) as error:
        raise _no_answer(error, doing) from error


def _proxies(proxy: str, *, through_proxy: bool) -> list[urllib.request.BaseHandler]:
    if not through_proxy:
        return [urllib.request.ProxyHandler({})]
    return [urllib.request.ProxyHandler({"http": proxy, "https": proxy})] if proxy else []


def _refused(error: urllib.error.HTTPError, timeout: float, doing: str) -> Answer:
    try:
        body = _read(error.fp, timeout) if isinstance(error.fp, HTTPResponse) else b""
        return Answer(error.code, body, _named(error.headers))
    except (OSError, HTTPException) as broken:
        raise _no_answer(broken, doing) from broken


def _read(answer: HTTPResponse, timeout: float) -> bytes:
    """The whole body. One that comes too slowly, or ends before its length, is none."""
    until, body, length = time.monotonic() + timeout, bytearray(), answer.length
    most = LARGEST_ANSWER if length is None else min(length, LARGEST_ANSWER)
    while len(body) < most:
        piece = answer.read1(most - len(body))
        if not piece:
            break
        body += piece
        if time.monotonic() > until:
            raise TimeoutError
    if length is not None and len(body) < most:
        raise IncompleteRead(b"", most - len(body))
    return bytes(body)


def _named(headers: Message) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _no_answer(error: Exception, doing: str) -> StorageError:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    details = str(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StorageUntrustedError(doing, "its certificate does not verify", details=details)
    if isinstance(cause, TimeoutError | HTTPException):
        return StorageUnavailableError(doing, "it did not answer in time or not wholly", details=details)
    if isinstance(cause, ConnectionRefusedError):
        return StorageUnreachableError(doing, "the connection was refused", details=details)
    if isinstance(cause, gaierror):
        return StorageUnreachableError(doing, "its name does not resolve", details=details)
    return StorageUnreachableError(doing, "no connection to it", details=details)
