"""A small HTTP client for talking to the servers from outside of what is tested."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from tests.harness.errors import HarnessError


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    body: bytes = field(repr=False)
    #: By their names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """The body's JSON; None when there is no body."""
        return json.loads(self.body) if self.body else None


def connect(url: str, context: ssl.SSLContext | None = None, timeout: float = 30) -> HTTPConnection:
    """A connection to the host of `url`; `context` is needed for https."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise HarnessError(f"{url} has no host or no port")
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    return HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def request(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 30,
) -> Answer:
    """One request and its answer, whatever its status; raises HarnessError when there is none."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = connect(url, context, timeout)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.read(), named)
    except (OSError, HTTPException) as error:
        raise HarnessError(f"{method} {url}: {error or type(error).__name__}") from error
    finally:
        connection.close()
