"""A reverse proxy between a Kubernetes client and the API server: it counts, and makes faults happen.

The client speaks plain HTTP on loopback, without credentials; the proxy has those. What upgrades its
connection (exec, port-forward) does not pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    web,
)
from tests.harness.api_request import ANY, WRITES, ApiRequest, Match, parse
from tests.harness.api_rules import Action, After, Answer, Before, Drop, Hold, Rule, Rules, answer, failure
from tests.harness.api_watches import CutError, Event, Loss, Watches, expired
from tests.harness.certificates import Certificate
from tests.harness.loop_thread import LoopThread
from yarl import URL

#: Headers of one connection, which the next one does not share.
OF_CONNECTION = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
HOLD_STEP = 0.02
LONGEST_SHUTDOWN = 5.0


class ApiProxy:
    """Listens on loopback in front of one API server; rules may come and go while it runs.

    `rules` befall requests, in the order in which they were installed; each may be removed. An answer,
    a drop or a watch's end is never invented where no rule asks for it, but for one: while the server is
    down, requests are answered with 502, or dropped where `drops_when_down` is set.
    """

    def __init__(self, server: str, ca_file: Path, owner: Certificate | str) -> None:
        """`server` is its URL; `owner` is the certificate or the token that the proxy shows it.

        A client that sends a token of its own is passed on as the owner of that.
        """
        self.server = server.rstrip("/")
        self.drops_when_down = False
        #: What went wrong in the proxy itself or in a rule's action; `stop` raises the first.
        self.defects: list[BaseException] = []
        self._context = ssl.create_default_context(cafile=str(ca_file))
        self._token = owner if isinstance(owner, str) else ""
        if isinstance(owner, Certificate):
            self._context.load_cert_chain(owner.certificate, owner.key)
        self._seen: list[ApiRequest] = []
        self._rules = Rules()
        self._watches = Watches()
        self._loop = LoopThread("api-proxy")
        self._session, self._runner, self.port = self._loop.call(self._start())
        self.url = f"http://127.0.0.1:{self.port}"

    async def _start(self) -> tuple[ClientSession, web.ServerRunner, int]:
        session = ClientSession(
            connector=TCPConnector(limit=0, ssl=self._context),
            timeout=ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        server = web.Server(self._handle, auto_decompress=False, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=LONGEST_SHUTDOWN)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        return session, runner, int(runner.addresses[0][1])

    # --- what a test looks at ------------------------------------------------------------------

    def requests(self, match: Match = ANY, *, since: float = 0.0) -> list[ApiRequest]:
        """What came by from the moment `since` (of time.monotonic) on, in the order of arrival."""
        return [request for request in list(self._seen) if request.at >= since and match.fits(request)]

    def writes(
        self, match: Match = ANY, *, since: float = 0.0, without: Collection[str] = ()
    ) -> list[ApiRequest]:
        """Those that may change something, but for the resources in `without` (say "leases")."""
        found = self.requests(match, since=since)
        return [each for each in found if each.method in WRITES and each.resource not in without]

    def open_watches(self, match: Match = ANY) -> list[ApiRequest]:
        """The watches that are open now."""
        return self._watches.open(match)

    def clear(self) -> None:
        """Forget all requests, remove all rules, lose no more events."""
        self._rules.clear()
        self._watches.clear()
        self._seen = []

    def kubeconfig(self, path: Path, namespace: str = "default") -> Path:
        """Write the configuration of a client that goes through here; gives its path."""
        context = {"cluster": "test", "user": "nobody", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        return path

    # --- what a test makes happen ----------------------------------------------------------------

    def before(
        self, match: Match, action: Action, *, forward: bool = False, nth: int = 1, times: int | None = 1
    ) -> Rule:
        """Run the action before the server sees the request, then drop that, or pass it on."""
        return self._rules.add(Rule(match, Before(action, forward), nth, times))

    def after(self, match: Match, action: Action, *, nth: int = 1, times: int | None = 1) -> Rule:
        """Run the action once the server has answered, then drop the connection."""
        return self._rules.add(Rule(match, After(action), nth, times))

    def answer(
        self,
        match: Match,
        status: int,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        nth: int = 1,
        times: int | None = 1,
    ) -> Rule:
        """Answer instead of the server; without a body with the Status object that goes with the code."""
        return self._rules.add(Rule(match, answer(status, body, headers), nth, times))

    def drop(self, match: Match, *, nth: int = 1, times: int | None = 1) -> Rule:
        """Close the connection before the server sees the request."""
        return self._rules.add(Rule(match, Drop(), nth, times))

    def hold(self, match: Match, seconds: float | None, *, nth: int = 1, times: int | None = 1) -> Rule:
        """Pass the request on so much later, or once the rule is removed; None: only then."""
        return self._rules.add(Rule(match, Hold(seconds), nth, times))

    def expire_watches(self, match: Match = ANY) -> int:
        """End the open watches with a 410 Gone event; gives their number, once they are ended."""
        return self._loop.call(self._watches.end(match, expired()))

    def end_watches(self, match: Match = ANY, *, cut: bool = False) -> int:
        """End the open watches in order, as at a time-out, or cut their connections."""
        return self._loop.call(self._watches.end(match, None if cut else b""))

    def lose_events(self, predicate: Callable[[Event], bool], match: Match = ANY) -> Loss:
        """Swallow the watch events ({"type": ..., "object": ...}) that the predicate says yes to."""
        return self._watches.add_loss(Loss(predicate, match))

    # --- how it serves -------------------------------------------------------------------------

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await incoming.content.read()
        except (ClientError, OSError, asyncio.IncompleteReadError):
            return _dropped(incoming)  # the client went away in mid-request
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = parse(incoming.method, incoming.raw_path, headers, body)
        try:
            self._seen.append(request)
            return await self._serve(request, incoming)
        except ConnectionError:
            return _dropped(incoming)  # the client went away: of no interest
        except Exception as error:  # noqa: BLE001 - kept: `stop` raises it
            self.defects.append(error)
            return _dropped(incoming)

    async def _serve(self, request: ApiRequest, incoming: web.BaseRequest) -> web.StreamResponse:
        rule = self._rules.of(request)
        deed = rule.deed if rule else None
        if isinstance(deed, Before):
            await asyncio.to_thread(deed.action, request)
        if rule and not isinstance(deed, After):
            rule.reached.set()
        match deed:
            case Drop() | Before(forward=False):
                return _dropped(incoming)
            case Answer():
                request.status = deed.status
                return web.Response(status=deed.status, body=deed.body, headers=deed.headers)
            case Hold() if rule:
                await _held(rule, deed.seconds)
        return await self._forward(request, incoming, rule if isinstance(deed, After) else None)

    async def _forward(
        self, request: ApiRequest, incoming: web.BaseRequest, after: Rule | None
    ) -> web.StreamResponse:
        try:
            request.forwarded = True
            upstream = await self._ask(request)
        except ClientConnectionError as error:
            request.forwarded = not isinstance(error, ClientConnectorError)
            if self.drops_when_down:
                return _dropped(incoming)
            request.status = 502
            body = json.dumps(failure(502, "", f"the API server does not answer: {error}")).encode()
            return web.Response(status=502, body=body, content_type="application/json")
        async with upstream:
            request.status = upstream.status
            if after and isinstance(after.deed, After):
                await asyncio.to_thread(after.deed.action, request)
                after.reached.set()
                return _dropped(incoming)
            try:
                return await self._pass_back(request, upstream, incoming)
            except (ClientError, CutError):
                return _dropped(incoming)  # as the server, or the test, ended it

    async def _ask(self, request: ApiRequest) -> ClientResponse:
        headers = {name: value for name, value in request.headers.items() if name not in OF_CONNECTION}
        if request.watch:
            headers.pop("accept-encoding", None)  # its events have to be readable here
        if self._token:
            headers.setdefault("authorization", f"Bearer {self._token}")
        url = URL(self.server + request.path, encoded=True)
        return await self._session.request(
            request.method,
            url,
            headers=headers,
            data=request.body or (b"" if request.method in WRITES else None),
            allow_redirects=False,
        )

    async def _pass_back(
        self, request: ApiRequest, upstream: ClientResponse, incoming: web.BaseRequest
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
        for name, value in upstream.headers.items():
            if name.lower() not in OF_CONNECTION:
                response.headers.add(name, value)
        response.content_length = upstream.content_length
        if request.watch and upstream.status == 200 and upstream.content_type == "application/json":
            with self._watches.opened(request) as watch:
                await response.prepare(incoming)
                await self._watches.pass_on(
                    watch, upstream.content.readany, response.write, lambda: incoming.transport is None
                )
                await response.write_eof()
            return response
        await response.prepare(incoming)
        async for piece in upstream.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response

    # --- its end -------------------------------------------------------------------------------

    def stop(self) -> None:
        """End all connections; raises what went wrong in the proxy itself, or in a rule's action."""
        self.clear()
        self._loop.call(self._stop())
        self._loop.stop()
        if self.defects:
            raise self.defects[0]

    async def _stop(self) -> None:
        await self._watches.end(ANY, b"")
        await self._runner.cleanup()
        await self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _dropped(incoming: web.BaseRequest) -> web.Response:
    """Close the client's connection. The response that the library wants goes nowhere."""
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()


async def _held(rule: Rule, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not rule.removed.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(HOLD_STEP)
