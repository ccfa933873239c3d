"""A small server that answers like an API server as far as a proxy before it can tell."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse

from aiohttp import web
from tests.harness.api_proxy import ApiProxy
from tests.harness.certificates import Authority
from tests.harness.loop_thread import LoopThread

JOBS = "/apis/batch/v1/namespaces/security/jobs"
JOB = f"{JOBS}/backup-prod"
WATCH_JOBS = "/apis/batch/v1/jobs?watch=true&resourceVersion=1"
WATCH_PODS = "/api/v1/pods?watch=1"
#: Packed by the server, which clients that say so are sent.
PACKED = "/packed"
#: Answered in two pieces, the second of which never comes in whole.
BROKEN = "/broken"
PACKED_CONTENT = b"packed " * 1000


@dataclass(frozen=True)
class Arrived:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    #: the common name in the client's certificate; empty where it showed none
    owner: str


class StandIn:
    """Answers each request with what came in; a watch is sent what a test feeds it."""

    def __init__(self, authority: Authority) -> None:
        self._context = authority.server_context("stand-in")
        self._context.load_verify_locations(authority.ca_file)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._loop = LoopThread("stand-in")
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self.seen: list[Arrived] = []
        #: What open watches are sent, each a queue; None ends them.
        self._feeds: list[asyncio.Queue[bytes | None]] = []
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._feeds)

    def start(self) -> None:
        """Listen, at the same port as before."""
        self._runner = self._loop.call(self._start())
        self.port = int(self._runner.addresses[0][1])

    async def _start(self) -> web.ServerRunner:
        server = web.Server(self._handle, auto_decompress=False, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self._context, backlog=1024).start()
        return runner

    def go_away(self) -> None:
        """End all connections, and listen no more."""
        if self._runner:
            self._loop.call(self._runner.cleanup())
            self._runner = None

    def feed(self, *pieces: bytes | None) -> None:
        """Send the pieces to all open watches; None ends them."""
        for feed in list(self._feeds):
            for piece in pieces:
                self._loop.soon(lambda feed=feed, piece=piece: feed.put_nowait(piece))  # type: ignore[misc] # bound now

    def stop(self) -> None:
        """End it."""
        self.feed(None)
        self.go_away()
        self._loop.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        subject = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
        arrived = Arrived(
            request.method,
            request.raw_path,
            {name.lower(): value for name, value in request.headers.items()},
            await request.content.read(),
            subject.get("commonName", ""),
        )
        self.seen.append(arrived)
        if "watch" in request.query:
            return await self._watch(request)
        if request.path == PACKED:
            body = gzip.compress(PACKED_CONTENT)
            return web.Response(body=body, headers={"Content-Encoding": "gzip", "X-Of-Server": "yes"})
        if request.path == BROKEN:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
            if request.transport:
                request.transport.close()
            return response
        answer = {"method": arrived.method, "path": arrived.path, "body": arrived.body.decode()}
        return web.json_response(answer, status=201 if arrived.method == "POST" else 200)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        feed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._feeds.append(feed)  # before the client can know that its watch is open
        try:
            await response.prepare(request)
            while (request.transport is not None) and (piece := await _next(feed)) is not None:
                if piece:
                    await response.write(piece)
        finally:
            self._feeds.remove(feed)
        return response


async def _next(feed: asyncio.Queue[bytes | None]) -> bytes | None:
    """The next piece; empty when there was none for a moment."""
    try:
        return await asyncio.wait_for(feed.get(), 0.1)
    except TimeoutError:
        return b""


class Watching:
    """A client's watch through the proxy; its answer has begun."""

    def __init__(self, proxy: ApiProxy, path: str) -> None:
        self.connection, self.response = open_call(proxy, "GET", path)

    def event(self) -> dict[str, object]:
        """The next event."""
        return json.loads(self.response.readline())  # type: ignore[no-any-return]

    def rest(self) -> bytes:
        """All until the orderly end."""
        return self.response.read()

    def close(self) -> None:
        """Go away."""
        self.response.close()
        self.connection.close()


def event(kind: str, name: str) -> bytes:
    """A watch event's line."""
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


def open_call(
    proxy: ApiProxy, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[HTTPConnection, HTTPResponse]:
    """A call of a client of its own, whose answer has begun."""
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise


def call(
    proxy: ApiProxy, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body, and headers by their names in lower case."""
    connection, response = open_call(proxy, method, path, body, headers)
    try:
        return response.status, response.read(), {n.lower(): v for n, v in response.getheaders()}
    finally:
        connection.close()
