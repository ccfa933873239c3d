"""The TCP proxy of the harness: each fault does what it says."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.harness.process import wait_until
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy, Way

CONTENT = hashlib.shake_256(b"content").digest(4 << 20)


class Source:
    """Sends CONTENT to each client, then takes what it sends until its end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received = 0
        self.broken = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._send, args=[client], daemon=True).start()

    def _send(self, client: socket.socket) -> None:
        with client:
            try:
                client.sendall(CONTENT)
                client.shutdown(socket.SHUT_WR)
                while piece := client.recv(1 << 16):
                    self.received += len(piece)
            except OSError:
                self.broken.set()


@pytest.fixture
def source() -> Iterator[Source]:
    """A server that sends CONTENT."""
    source = Source()
    yield source
    source.listener.shutdown(socket.SHUT_RDWR)
    source.listener.close()


@pytest.fixture
def proxy(source: Source) -> Iterator[TcpProxy]:
    """A proxy before it."""
    with TcpProxy(source.url) as proxy:
        yield proxy


def connect(proxy: TcpProxy, timeout: float = 10) -> socket.socket:
    """A client's connection to the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def read_all(proxy: TcpProxy) -> bytes:
    """What a client receives until the orderly end."""
    with connect(proxy) as client:
        return read(client)


def read(client: socket.socket, size: int | None = None) -> bytes:
    """So many bytes of a connection, or all until its end."""
    received = bytearray()
    while size is None or len(received) < size:
        piece = client.recv(1 << 16 if size is None else size - len(received))
        if not piece:
            break
        received += piece
    return bytes(received)


def test_nothing() -> None:
    """Without a server behind it, a connection is reset."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with TcpProxy(url) as proxy, connect(proxy) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_passes(proxy: TcpProxy, source: Source) -> None:
    """Without faults all bytes pass both ways, and are counted."""
    with connect(proxy) as client:
        assert read(client) == CONTENT
        client.sendall(b"x" * 100_000)
    wait_until("the bytes to arrive", lambda: source.received == 100_000, seconds=5)
    # It counts what it has passed on, so a moment later than that arrives.
    wait_until("all to be counted", lambda: proxy.passed[Way.UP] >= 100_000, seconds=5)
    assert proxy.passed == {Way.DOWN: len(CONTENT), Way.UP: 100_000}
    assert proxy.connections == 1


def test_close(proxy: TcpProxy) -> None:
    """A close is an orderly end after exactly so many bytes, for so many connections."""
    proxy.set(ByteFault(ByteFaultKind.CLOSE, at=100_001))
    assert read_all(proxy) == CONTENT[:100_001]
    assert proxy.reached.is_set()
    assert read_all(proxy) == CONTENT


def test_reset(proxy: TcpProxy, source: Source) -> None:
    """A reset breaks both sides."""
    proxy.set(ByteFault(ByteFaultKind.RESET, at=100_001))
    with pytest.raises(ConnectionResetError):
        read_all(proxy)
    assert source.broken.wait(5)


def test_fault_upwards(proxy: TcpProxy, source: Source) -> None:
    """A fault may count the bytes that the client sends."""
    proxy.set(ByteFault(ByteFaultKind.CLOSE, at=5_000, way=Way.UP))
    with connect(proxy) as client:
        assert read(client) == CONTENT
        client.sendall(b"x" * 6_000)
        assert proxy.reached.wait(5)
    wait_until("the bytes before it to arrive", lambda: source.received == 5_000, seconds=5)


def test_stall(proxy: TcpProxy) -> None:
    """A stalled connection is silent after exactly so many bytes, until it is released."""
    proxy.set(ByteFault(ByteFaultKind.STALL, at=70_000))
    with connect(proxy, timeout=0.5) as client:
        assert read(client, 70_000) == CONTENT[:70_000]
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert proxy.reached.is_set()
        proxy.release()
        assert read(client) == CONTENT[70_000:]


def test_stall_ends(proxy: TcpProxy, source: Source) -> None:
    """A stalled connection ends when the proxy goes away."""
    proxy.set(ByteFault(ByteFaultKind.STALL, at=70_000))
    with connect(proxy) as client:
        assert proxy.reached.wait(5)
        proxy.go_away()
        with pytest.raises(ConnectionResetError):
            read(client)
    assert source.broken.wait(5)


def test_watch(proxy: TcpProxy) -> None:
    """A watch point tells when the bytes have passed, and changes nothing."""
    proxy.set(ByteFault(ByteFaultKind.WATCH, at=50_000))
    assert not proxy.reached.is_set()
    assert read_all(proxy) == CONTENT
    assert proxy.reached.is_set()


def test_throttle(proxy: TcpProxy) -> None:
    """A throttled connection passes no more bytes a second than it may, and all of them."""
    proxy.throttle(len(CONTENT) * 2)
    started = time.monotonic()
    assert read_all(proxy) == CONTENT
    assert time.monotonic() - started > 0.45


def test_throttle_presses_back(proxy: TcpProxy) -> None:
    """A throttled stream stays with the server: what is under way does not fill buffers beyond bounds."""
    proxy.throttle(100_000)
    with connect(proxy) as client:
        read(client, 50_000)
        assert proxy.passed[Way.DOWN] < 200_000


def test_pause(proxy: TcpProxy) -> None:
    """A paused proxy passes nothing, and goes on where it was."""
    proxy.pause()
    with connect(proxy, timeout=0.3) as client:
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.resume()
        assert read(client) == CONTENT


def test_go_away(proxy: TcpProxy) -> None:
    """A proxy that went away resets what is open, refuses what comes, and comes back at its port."""
    proxy.throttle(100_000)
    port = proxy.port
    with connect(proxy) as client:
        read(client, 1_000)
        proxy.go_away()
        with pytest.raises(ConnectionResetError):
            read(client)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.throttle(None)
    proxy.come_back()
    assert proxy.port == port
    assert read_all(proxy) == CONTENT
