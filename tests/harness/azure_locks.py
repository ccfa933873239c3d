"""What Azurite lacks: immutability policies of single blobs, in front of a real Azurite.

Everything else is passed on. Also a policy's request is, so that Azurite judges its signature: it
answers 501 to one that is signed rightly, and 403 to any other. (To one with a shared access
signature it answers 500 then: it has no row for it in its table of rights.)
Source: Azure Storage REST API Reference, "Set Blob Immutability Policy".
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.harness.azurite import ACCOUNT, Azurite
from tests.harness.client import connect

#: Headers that are of one connection alone.
_OF_THE_WAY = {"connection", "transfer-encoding", "keep-alive", "date", "server"}


@dataclass(frozen=True)
class Policy:
    """How a blob is locked."""

    blob: str
    mode: str
    until: str
    version: str = ""


@dataclass
class Immutable:
    """A container with version-level immutability; `heeds` False: it answers as one that locks nothing."""

    azurite: Azurite
    policies: list[Policy] = field(default_factory=list)
    heeds: bool = True

    def __post_init__(self) -> None:
        """Listen."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                connection = connect(site.azurite.url, timeout=60)
                connection.request(self.command, self.path, body=body, headers=dict(self.headers))
                answer = connection.getresponse()
                content, status, headers = answer.read(), answer.status, answer.getheaders()
                connection.close()
                if "comp=immutabilityPolicies" in self.path and status in (500, 501):
                    status, headers, content = 200, site.lock(self.path, dict(self.headers.items())), b""
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in _OF_THE_WAY | {"content-length"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self._serve()

            def do_PUT(self) -> None:
                self._serve()

            def do_HEAD(self) -> None:
                self._serve()

            def do_DELETE(self) -> None:
                self._serve()

            def log_message(self, *_words: object) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/{ACCOUNT}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def lock(self, path: str, headers: dict[str, str]) -> list[tuple[str, str]]:
        """Note the policy; the headers of the answer."""
        if not self.heeds:
            return []
        parts, given = urlsplit(path), {name.lower(): value for name, value in headers.items()}
        until = given["x-ms-immutability-policy-until-date"]
        version = parse_qs(parts.query).get("versionid", [""])[0]
        mode = given["x-ms-immutability-policy-mode"]
        self.policies.append(Policy(parts.path.split("/", 3)[3], mode, until, version))
        return [
            ("x-ms-immutability-policy-mode", mode),
            ("x-ms-immutability-policy-until-date", until),
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
