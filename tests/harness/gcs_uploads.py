"""Resumable uploads of Google Cloud Storage by Google's own rules, which fake-gcs-server does not keep.

It is told what befalls each part. Source: Cloud Storage documentation, "Resumable uploads": what is
asked and answered, the bytes that are kept, and that a part but the last is a multiple of 256 KiB.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

QUANTUM = 256 * 1024
_EXTENT = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Befalls(StrEnum):
    """What befalls a request with bytes of an object."""

    NOTHING = "nothing"
    #: The first 256 KiB are kept, and the answer says so.
    TAKES_LITTLE = "takes little"
    #: All is kept, and the connection ends without an answer.
    LOSES_ANSWER = "loses its answer"
    #: The first 512 KiB are kept, and the connection ends.
    CUTS = "cuts"
    #: Nothing is kept, and it is too busy.
    BUSY = "busy"
    #: The upload is forgotten.
    FORGETS = "forgets"
    #: It is answered that nothing more came in.
    STANDS_STILL = "stands still"


@dataclass
class Upload:
    """One upload under way."""

    name: str
    kept: bytearray = field(default_factory=bytearray)
    #: What the service asserts when it is whole.
    whole: bool = False
    #: What was said of it when it was begun, and the query.
    about: dict[str, Any] = field(default_factory=dict)
    query: dict[str, list[str]] = field(default_factory=dict)


class ResumableService:
    """The service; it serves nothing but uploads, and `head` of an object by the XML API."""

    def __init__(self, *befalls: Befalls, context: ssl.SSLContext | None = None) -> None:
        """`befalls`: each request with bytes in turn; then nothing does."""
        self.befalls = list(befalls)
        self.uploads: dict[str, Upload] = {}
        self.objects: dict[str, bytes] = {}
        #: What was said of each object, and the query of its upload.
        self.said: dict[str, dict[str, Any]] = {}
        self.queries: dict[str, dict[str, list[str]]] = {}
        #: What it keeps of what is said of an object: all, or nothing.
        self.heeds = True
        #: Whether it has other bytes than were sent.
        self.spoils = False
        #: The generation that is there when it is looked at: 7, of the upload, or another one's since.
        self.there = "7"
        self.aborted: list[str] = []
        self.deleted: list[str] = []
        self.asked: list[str] = []
        #: The values of the header Authorization.
        self.shown: set[str] = set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._serve(service.begin)

            def do_PUT(self) -> None:
                self._serve(service.put)

            def do_DELETE(self) -> None:
                self._serve(service.abort)

            def do_HEAD(self) -> None:
                self._serve(service.head)

            def _serve(self, answer: Callable[[str, bytes, str], tuple[int, dict[str, str], str]]) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                service.shown.add(self.headers.get("Authorization", ""))
                service.asked.append(f"{self.command} {self.headers.get('Content-Range', '')}".strip())
                try:
                    status, headers, text = answer(self.path, body, self.headers.get("Content-Range", ""))
                except ConnectionAbortedError:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            def log_message(self, *_words: object) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def begin(self, path: str, body: bytes, _extent: str) -> tuple[int, dict[str, str], str]:
        """A new upload; or a small one that is whole at once."""
        query = parse_qs(urlsplit(path).query)
        if query["uploadType"] == ["multipart"]:
            return self._at_once(query, body)
        assert query["uploadType"] == ["resumable"], path
        session = f"session-{len(self.uploads)}"
        self.uploads[session] = Upload(query["name"][0], about=json.loads(body), query=query)
        return 200, {"Location": f"https://elsewhere.invalid{urlsplit(path).path}?upload_id={session}"}, ""

    def put(self, path: str, body: bytes, extent: str) -> tuple[int, dict[str, str], str]:
        """Bytes, or the question how many there are."""
        upload = self.uploads.get(_session(path))
        if upload is None:
            return 410, {}, ""
        match = _EXTENT.fullmatch(extent)
        assert match, extent
        first, last, total = match.groups()
        if first is None and total == "*":
            return self._answer(upload)
        if first is not None:
            assert (int(first), int(last)) == (len(upload.kept), len(upload.kept) + len(body) - 1), extent
        assert total != "*" or len(body) % QUANTUM == 0, extent
        return self._take(path, upload, body, total)

    def abort(self, path: str, _body: bytes, _extent: str) -> tuple[int, dict[str, str], str]:
        """The upload ends without an object; or an object is deleted."""
        if "upload_id" not in path:
            name = unquote(urlsplit(path).path.rpartition("/")[2])
            self.deleted.append(name)
            del self.objects[name]
            return 204, {}, ""
        self.aborted.append(self.uploads.pop(_session(path)).name)
        return 499, {}, ""

    def head(self, path: str, _body: bytes, _extent: str) -> tuple[int, dict[str, str], str]:
        """An object's size."""
        found = self.objects.get(urlsplit(path).path.partition("/bucket/")[2])
        if found is None:
            return 404, {}, ""
        headers = {
            "Content-Length": str(len(found)),
            "ETag": '"etag"',
            "Last-Modified": "Wed, 25 Nov 2026 02:00:00 GMT",
            "x-goog-generation": self.there,
        }
        return 200, headers, ""

    def _take(self, path: str, upload: Upload, body: bytes, total: str) -> tuple[int, dict[str, str], str]:
        befalls = self.befalls.pop(0) if self.befalls else Befalls.NOTHING
        match befalls:
            case Befalls.BUSY:
                return 503, {}, '{"error": {"errors": [{"reason": "backendError"}]}}'
            case Befalls.FORGETS:
                del self.uploads[_session(path)]
                return 410, {}, ""
            case Befalls.STANDS_STILL:
                return self._answer(upload)
            case Befalls.TAKES_LITTLE:
                body = body[:QUANTUM]
            case Befalls.CUTS:
                body = body[: 2 * QUANTUM]
        upload.kept += body
        if total != "*" and len(upload.kept) == int(total):
            upload.whole = True
            if self.spoils:
                upload.kept[0] ^= 1
            self._keep(upload)
        if befalls in (Befalls.LOSES_ANSWER, Befalls.CUTS):
            raise ConnectionAbortedError
        return self._answer(upload)

    def _answer(self, upload: Upload) -> tuple[int, dict[str, str], str]:
        if upload.whole:
            return 200, {}, self._described(upload)
        return 308, {"Range": f"bytes=0-{len(upload.kept) - 1}"} if upload.kept else {}, ""

    def _at_once(self, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, str], str]:
        boundary = body.split(b"\r\n", 1)[0]
        _, about, content, end = body.split(boundary)
        assert end == b"--\r\n", end
        said = json.loads(about.split(b"\r\n\r\n", 1)[1])
        kept = bytearray(content.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"))
        upload = Upload(query["name"][0], kept, whole=True, about=said, query=query)
        if said.get("md5Hash") != _md5(kept):
            return 400, {}, '{"error": {"errors": [{"reason": "invalid"}]}}'
        self._keep(upload)
        return 200, {}, self._described(upload)

    def _keep(self, upload: Upload) -> None:
        self.objects[upload.name] = bytes(upload.kept)
        self.said[upload.name] = upload.about
        self.queries[upload.name] = upload.query

    def _described(self, upload: Upload) -> str:
        described = {"name": upload.name, "size": str(len(upload.kept)), "generation": "7"}
        kept = upload.about if self.heeds else {}
        return json.dumps({**kept, **described, "md5Hash": _md5(upload.kept)})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _md5(body: bytes | bytearray) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _session(path: str) -> str:
    return parse_qs(urlsplit(path).query)["upload_id"][0]
