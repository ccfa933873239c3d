"""Calls of the Kubernetes API that get no answer, or none that means anything."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web
from tests.adapters.api_in_memory import client_of, served
from tests.harness.api_rules import failure
from tests.harness.process import free_ports

from bao_backup.adapters.kubernetes.api import (
    LEASES,
    KubernetesApi,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesDeniedError,
    KubernetesError,
    KubernetesUnreachableError,
)

Json = dict[str, Any]
TOKEN = "token-of-the-manager"


def failing(
    handle: Callable[[web.BaseRequest], Coroutine[Any, Any, web.StreamResponse]], *, seconds: float = 5.0
) -> KubernetesError:
    """The error of a call that is answered so."""

    async def whole() -> KubernetesError:
        async with served(handle) as url, client_of(url, token=TOKEN, seconds=seconds) as api:
            return await error_of(api)

    return asyncio.run(whole())


async def error_of(api: KubernetesApi) -> KubernetesError:
    """The error of a call; no secret is in anything that it has to say."""
    with pytest.raises(KubernetesError) as caught:
        await api.get(LEASES, "vault", "a")
    told: BaseException | None = caught.value
    while told is not None:
        assert TOKEN not in f"{told} {told!r} {getattr(told, 'message', '')} {getattr(told, 'details', '')}"
        told = told.__cause__
    return caught.value


def test_the_token_goes_to_the_server_only() -> None:
    """It is sent, and is in no error, though the server says it back."""
    seen: list[str] = []

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response(failure(403, "", "no"), status=403, headers={"X-Echo": seen[0]})

    error = failing(refuse)
    assert seen == [f"Bearer {TOKEN}"]
    assert type(error) is KubernetesDeniedError
    assert error.message.startswith(
        "ask the Kubernetes API to GET /apis/coordination.k8s.io/v1/namespaces/vault/leases/a: no; "
    )


def test_no_answer_in_time() -> None:
    """A call that hangs ends by itself, and says after how long."""

    async def hang(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError("it was waited for")

    error = failing(hang, seconds=0.2)
    assert type(error) is KubernetesUnreachableError
    assert error.why == "no answer within 0.2 s"


def test_an_answer_that_stops_in_the_middle() -> None:
    """The rest of it never comes."""

    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"metadata": ')
        if request.transport is not None:
            request.transport.close()
        return response

    assert type(failing(half)) is KubernetesUnreachableError


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html></html>", b"\xff", b'"text"'])
def test_an_answer_that_is_no_object(body: bytes) -> None:
    """What stands there is not an API server, or is broken."""

    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body)

    assert type(failing(broken)) is KubernetesUnreachableError


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="Python 3.12 reads nothing deeper than 1,500")
def test_a_deep_answer_is_read() -> None:
    """Somebody's document may be nested as deep as the API server takes it."""

    async def nested(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b'{"spec": ' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001)

    async def whole() -> Json:
        async with served(nested) as url, client_of(url) as api:
            return await api.get(LEASES, "vault", "a")

    assert list(asyncio.run(whole())) == ["spec"]


def test_an_answer_that_is_too_deep() -> None:
    """It is an error like others, and nothing breaks."""

    async def nested(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b'{"spec": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001)

    error = failing(nested)
    assert (type(error), error.why) == (KubernetesUnreachableError, "what it answered is nested too deep")


def test_a_dropped_connection() -> None:
    """It ends before there is an answer."""

    async def drop(request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    assert type(failing(drop)) is KubernetesUnreachableError


def test_nobody_listens() -> None:
    """It says so, and nothing hangs."""

    async def whole() -> KubernetesError:
        (port,) = free_ports(1)
        async with client_of(f"http://127.0.0.1:{port}", token=TOKEN) as api:
            return await error_of(api)

    error = asyncio.run(whole())
    assert type(error) is KubernetesUnreachableError
    assert "connect" in error.why


def test_somebody_else_listens() -> None:
    """A server of another protocol is no API server."""

    async def whole() -> KubernetesError:
        async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH\r\n")
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0, family=socket.AF_INET)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with client_of(f"http://127.0.0.1:{port}", token=TOKEN) as api:
                return await error_of(api)

    assert type(asyncio.run(whole())) is KubernetesUnreachableError
