"""A TCP proxy that slows, stalls, cuts and counts bytes; it looks into none, so TLS passes, too."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.harness.errors import HarnessError

#: Small, so that a server notices soon that nobody takes its bytes. Without it, megabytes of a stream
#: are in the kernel's buffers, out of reach of whatever befalls the server.
BUFFER = 64 << 10
#: Seconds after which a thread that waits looks whether its connection has ended.
PATIENCE = 0.1


class Way(StrEnum):
    """Which bytes: from the server to the client, or from the client to the server."""

    DOWN = "down"
    UP = "up"


class ByteFaultKind(StrEnum):
    """What happens to a connection when it has passed so many bytes."""

    CLOSE = "close"  # ended in both directions, in order
    RESET = "reset"  # ended at once: the other side sees "connection reset by peer"
    STALL = "stall"  # open, but silent until `release`
    WATCH = "watch"  # nothing, but `reached` is set


@dataclass(frozen=True)
class ByteFault:
    """Something that befalls each connection that passes more than `at` bytes one way."""

    kind: ByteFaultKind
    at: int
    way: Way = Way.DOWN
    #: How many connections it befalls, the first ones to get there.
    times: int = 1


class TcpProxy:
    """Listens on a port of loopback, and passes each connection on to one server.

    All settings may change while connections are open. `reached` is set when a fault befalls the first
    connection: the named point at which a test goes on.
    """

    def __init__(self, target: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """`target` is the server's URL; `url` is then the same with the proxy's host and port.

        Linux takes all of 127.0.0.0/8 as `host`, so that several proxies may listen on one port.
        """
        parts = urlsplit(target)
        if parts.hostname is None or parts.port is None:
            raise HarnessError(f"{target} has no host or no port")
        self._target = (parts.hostname, parts.port)
        self._scheme = parts.scheme
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._pairs: set[_Pair] = set()
        self._threads: list[threading.Thread] = []
        self._faults: dict[ByteFault, int] = {}
        self._released = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._rates: dict[Way, float] = {}
        self.reached = threading.Event()
        #: How many connections there were.
        self.connections = 0
        #: How many bytes were passed each way.
        self.passed = dict.fromkeys(Way, 0)
        self.host = host
        self.port = port
        self.come_back()

    @property
    def url(self) -> str:
        """What clients are told."""
        return f"{self._scheme}://{self.host}:{self.port}"

    # --- what a test sets ----------------------------------------------------------------------

    def set(self, *faults: ByteFault) -> None:
        """From now on these faults and no others; stalled connections go on."""
        with self._lock:
            self._released.set()
            self._faults = {fault: fault.times for fault in faults}
            self._released = threading.Event()
            self.reached = threading.Event()

    def release(self) -> None:
        """Let stalled connections go on."""
        self._released.set()

    def clear(self) -> None:
        """No faults, no limits; stalled connections go on."""
        self.set()
        self._rates.clear()
        self.resume()

    def throttle(self, bytes_per_second: float | None, way: Way = Way.DOWN) -> None:
        """Pass no more than this, a connection; None: as much as there is."""
        if bytes_per_second is None:
            self._rates.pop(way, None)
        else:
            self._rates[way] = bytes_per_second

    def pause(self) -> None:
        """Pass nothing on any connection until `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass bytes again."""
        self._flowing.set()

    def go_away(self) -> None:
        """Refuse new connections and reset those that are open, as a server that crashed does."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener:
            # shutdown wakes the thread that waits in accept; close alone does not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.reset_all()

    def reset_all(self) -> None:
        """Reset the connections that are open now."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end(reset=True)

    def come_back(self) -> None:
        """Listen again, on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._run(self._accept, listener)

    def stop(self) -> None:
        """End all connections and threads."""
        self.go_away()
        self.clear()
        for thread in self._threads:
            thread.join(10)

    # --- how it passes bytes -------------------------------------------------------------------

    def _run(self, work: Callable[[socket.socket], None], argument: socket.socket) -> None:
        thread = threading.Thread(target=work, args=[argument], daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._run(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        pair = _Pair(client, server)
        try:
            server.connect(self._target)
            client.settimeout(PATIENCE)
            server.settimeout(PATIENCE)
        except OSError:
            pair.end(reset=True)
            pair.close()
            return
        with self._lock:
            self._pairs.add(pair)
            self.connections += 1
            if self._listener is None:  # it went away meanwhile
                pair.end(reset=True)
        up = threading.Thread(target=self._pump, args=(pair, Way.UP), daemon=True)
        up.start()
        self._pump(pair, Way.DOWN)
        up.join()
        with self._lock:
            self._pairs.discard(pair)
        pair.close()

    def _pump(self, pair: _Pair, way: Way) -> None:
        source, sink = (pair.server, pair.client) if way is Way.DOWN else (pair.client, pair.server)
        passed = 0
        try:
            while piece := pair.receive(source):
                passed = self._pass(pair, sink, way, passed, piece)
            if not pair.ended.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset of one side is a reset of the other.
            pair.end(reset=True)

    def _pass(self, pair: _Pair, sink: socket.socket, way: Way, passed: int, piece: bytes) -> int:
        view = memoryview(piece)
        while view:
            while not self._flowing.wait(PATIENCE):
                pair.check()
            fault = self._due(way, passed)
            if fault and not self._befall(pair, fault):
                raise ConnectionAbortedError
            count = self._room(way, passed, len(view))
            pair.send(sink, view[:count])
            view = view[count:]
            passed += count
            with self._lock:
                self.passed[way] += count
        return passed

    def _room(self, way: Way, passed: int, there: int) -> int:
        """How many bytes go now: up to the next fault, and slowly where there is a limit."""
        with self._lock:
            stops = [fault.at - passed for fault in self._faults if fault.way is way and fault.at > passed]
        count = min([there, *stops])
        rate = self._rates.get(way)
        if rate:
            count = max(1, min(count, int(rate / 20)))
            time.sleep(count / rate)
        return count

    def _due(self, way: Way, passed: int) -> ByteFault | None:
        """The fault that befalls a connection that has passed so many bytes and is to pass more."""
        with self._lock:
            for fault, left in self._faults.items():
                if fault.way is way and fault.at == passed and left > 0:
                    self._faults[fault] = left - 1
                    return fault
        return None

    def _befall(self, pair: _Pair, fault: ByteFault) -> bool:
        """Do what the fault is; says whether the connection goes on."""
        released = self._released
        self.reached.set()
        match fault.kind:
            case ByteFaultKind.WATCH:
                return True
            case ByteFaultKind.STALL:
                while not released.wait(PATIENCE):
                    pair.check()
                return True
            case _:
                pair.end(reset=fault.kind is ByteFaultKind.RESET)
                return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Pair:
    """A client's connection and the one that serves it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.ended = threading.Event()

    def check(self) -> None:
        """Raise OSError once this has ended."""
        if self.ended.is_set():
            raise ConnectionAbortedError

    def receive(self, source: socket.socket) -> bytes:
        """The next bytes; none at the end."""
        while True:
            self.check()
            try:
                return source.recv(BUFFER)
            except TimeoutError:
                continue

    def send(self, sink: socket.socket, view: memoryview) -> None:
        """Send all these bytes, however slowly they are taken."""
        while view:
            self.check()
            with contextlib.suppress(TimeoutError):
                view = view[sink.send(view) :]

    def end(self, *, reset: bool) -> None:
        """End both, from any thread.

        A reset is sent by `close`: to shut the sending side down would say an orderly end first.
        """
        if self.ended.is_set():
            return
        self.ended.set()
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.shutdown(socket.SHUT_RD)
                else:
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the sockets back, once no thread uses them."""
        self.client.close()
        self.server.close()
