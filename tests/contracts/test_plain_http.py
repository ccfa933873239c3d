"""Requests of our own, beside the library: how long they wait, and that a part of an answer is none."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.harness.certificates import Authority

from bao_backup.adapters.stores.plain_http import LARGEST_ANSWER, ask
from bao_backup.core.storage_errors import StorageUnavailableError, StorageUnreachableError

Act = Callable[[socket.socket], None]


@contextmanager
def serving(act: Act, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that reads one request and does this then; without `act` that it never even accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                accepted, _ = listening.accept()
                with accepted, context.wrap_socket(accepted, server_side=True) if context else accepted as to:
                    to.recv(65536)
                    act(to)

        threading.Thread(target=serve, daemon=True).start()
        scheme = "https" if context else "http"
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/"


def asked(url: str, timeout: float = 5, context: ssl.SSLContext | None = None, **options: float) -> bytes:
    """The body of the answer."""
    request = urllib.request.Request(url)
    return ask(request, "ask it", timeout, context, through_proxy=False, **options).body  # type: ignore[arg-type]


def saying(text: bytes, *more: bytes, between: float = 0) -> Act:
    """Send this, and each of `more` after a while."""

    def act(to: socket.socket) -> None:
        to.sendall(text)
        for each in more:
            time.sleep(between)
            to.sendall(each)

    return act


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_a_whole_answer(tmp_path: Path, answer: bytes, tls: bool) -> None:
    """By its length, in chunks, or to its end, whatever its status is."""
    authority = Authority(tmp_path)
    with serving(saying(answer), authority.server_context("server") if tls else None) as url:
        assert asked(url, context=authority.client_context() if tls else None) == b"body"


def test_an_answer_on_a_connection_that_stays_open() -> None:
    """It ends with its length: nobody waits for more."""

    def act(to: socket.socket) -> None:
        to.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo")
        time.sleep(0.1)
        to.sendall(b"dy")
        to.settimeout(20)
        to.recv(1)

    with serving(act) as url:
        begun = time.monotonic()
        assert asked(url, timeout=20) == b"body"
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{}",
        b"HTTP/1.1 403 No\r\nContent-Length: 40\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{}",
        b"",
    ],
)
def test_a_part_of_an_answer_is_none(answer: bytes) -> None:
    """Where the connection breaks within it, it may be asked again; what came is not taken for the whole."""
    with serving(saying(answer)) as url, pytest.raises(StorageUnavailableError):
        asked(url)


def test_an_answer_that_drips() -> None:
    """It takes no longer than its time-out, though a byte comes now and then."""
    drops = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000, between=0.1)
    with serving(drops) as url:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailableError):
            asked(url, timeout=0.5)
        assert time.monotonic() - begun < 10


def test_an_endless_answer_is_cut() -> None:
    """More than anybody asked for is not read."""
    endless = saying(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * (1 << 20)] * 20)
    with serving(endless) as url:
        assert len(asked(url, timeout=30)) == LARGEST_ANSWER


def test_the_connection_has_a_time_out_of_its_own(tmp_path: Path) -> None:
    """TLS that nobody answers is given up soon, while an answer may take long."""
    context = Authority(tmp_path).client_context()
    with socket.create_server(("127.0.0.1", 0)) as listening:  # connected by the system, never accepted
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        begun = time.monotonic()
        with pytest.raises((StorageUnavailableError, StorageUnreachableError)):
            asked(url, 60, context, connect_timeout=0.3)
        assert time.monotonic() - begun < 30

    def late(to: socket.socket) -> None:
        time.sleep(1)
        to.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")

    with serving(late) as url:
        assert asked(url, 60, connect_timeout=0.3) == b"body"
