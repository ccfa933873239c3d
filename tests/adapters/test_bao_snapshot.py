"""What the client makes of every way in which a snapshot's stream can go wrong."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.adapters.clients import TOKEN, logged_in
from tests.adapters.scripted import CHUNKED, GZIP_HEAD, End, Script, ScriptedServer, reply

from bao_backup.adapters.bao.snapshot import HttpSnapshot
from bao_backup.core.errors import (
    LeaderLostError,
    SnapshotCutOffError,
    SnapshotDeniedError,
    SnapshotError,
    SnapshotStalledError,
)

PATH = "/v1/sys/storage/raft/snapshot"
WHOLE = CHUNKED + b"5\r\nhello\r\n6;extension=1\r\n world\r\n0\r\n"


def read(script: Script, folder: Path, stall_seconds: float = 5.0) -> bytes:
    """What a client gets of this answer."""
    with ScriptedServer({PATH: script}) as server:
        bao, leader = logged_in(server.url, folder, stall_seconds)
        return b"".join(bao.snapshot(leader))


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE + b"\r\n",
        WHOLE + b"Trailer: 1\r\n\r\n",
        GZIP_HEAD + b"Content-Length: 11\r\n\r\nhello world",
        GZIP_HEAD + b"Content-Length: 11\r\nConnection: close\r\n\r\nhello world",
        GZIP_HEAD + b"Connection: close\r\n\r\nhello world",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_whole(answer: bytes, size: int, tmp_path: Path) -> None:
    """A whole body arrives in every framing, in whatever pieces it is sent."""
    pieces = tuple(answer[at : at + size] for at in range(0, len(answer), size))
    assert read(Script(pieces), tmp_path) == b"hello world"


def test_closed_while_it_is_closed() -> None:
    """A signal's handler may close it while the same thread is closing it: neither waits for the other."""
    here, there = socket.socketpair()

    class Interrupted(http.client.HTTPResponse):
        times = 0

        def close(self) -> None:
            self.times += 1
            if self.times == 1:
                snapshot.close()
            super().close()

    response = Interrupted(here)
    snapshot = HttpSnapshot("read", here, response, stall_seconds=1.0)
    closing = threading.Thread(target=snapshot.close, daemon=True)
    with here, there:
        closing.start()
        closing.join(5)
        assert not closing.is_alive()
        assert response.times == 2
        assert here.fileno() == -1


def test_no_wait_after_the_end(tmp_path: Path) -> None:
    """The last chunk ends the stream, although the connection stays open."""
    begun = time.monotonic()
    assert read(Script((WHOLE + b"\r\n",), End.HOLD), tmp_path, stall_seconds=60) == b"hello world"
    assert time.monotonic() - begun < 30


def test_large(tmp_path: Path) -> None:
    """Small chunks become chunks of about 1 MiB, and a rest, without a change."""
    part = bytes(range(256)) * 128
    answer = CHUNKED + (b"8000\r\n" + part + b"\r\n") * 80 + b"0\r\n\r\n"
    with ScriptedServer({PATH: Script((answer,))}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        chunks = list(bao.snapshot(leader))
    assert all(1 << 19 < len(chunk) <= 1 << 20 for chunk in chunks[:-1])
    assert b"".join(chunks) == part * 80


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="no last chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n1", id="in a chunk's header"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n10\r\n", id="behind a chunk's header"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n10\r\nfew", id="in a chunk"),
        pytest.param(CHUNKED + b"5\r\nhello", id="before a chunk's line end"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n", id="in the last chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\nTrailer: 1\r\n", id="behind a trailer"),
        pytest.param(CHUNKED + b"5\r\nhello!\r\n", id="longer than its header says"),
        pytest.param(CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", id="a size with a sign"),
        pytest.param(CHUNKED + b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n", id="a header without end"),
        pytest.param(CHUNKED, id="behind the head"),
        pytest.param(CHUNKED + b"5\r\nhello\r\nnonsense\r\n", id="no chunk's header"),
        pytest.param(GZIP_HEAD + b"Content-Length: 11\r\n\r\nhello", id="shorter than announced"),
        pytest.param(GZIP_HEAD + b"Content-Length: 11\r\n\r\n", id="nothing of what was announced"),
    ],
)
def test_cut_off(answer: bytes, tmp_path: Path) -> None:
    """A body that ends before its end is never a whole one."""
    with pytest.raises(SnapshotCutOffError, match=r"after [0-9]+ bytes"):
        read(Script((answer,)), tmp_path)


def test_reset(tmp_path: Path) -> None:
    """A connection that is reset is said to be."""
    with pytest.raises(SnapshotCutOffError, match=r"connection reset by peer|the connection ended"):
        read(Script((CHUNKED, b"5\r\nhello\r\n"), End.RESET, pause=0.1), tmp_path)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", CHUNKED, CHUNKED + b"5\r\nhe"])
def test_stall(sent: bytes, tmp_path: Path) -> None:
    """Silence beyond the limit ends the read, wherever it sets in."""
    with pytest.raises(SnapshotStalledError, match=r"0\.2 s"):
        read(Script((sent,), End.HOLD), tmp_path, stall_seconds=0.2)


def test_interrupt_before_the_head(tmp_path: Path) -> None:
    """A server that says nothing at all does not hold up a run that must end."""
    begun = time.monotonic()
    with ScriptedServer({PATH: Script((b"HTTP/1.1 200",), End.HOLD)}) as server:
        bao, leader = logged_in(server.url, tmp_path, 60.0)
        timer = threading.Timer(0.3, bao.interrupt)
        timer.start()
        with pytest.raises((LeaderLostError, SnapshotError)):
            bao.snapshot(leader)
        timer.join()
    assert time.monotonic() - begun < 30
    bao.interrupt()


def test_slow_is_no_stall(tmp_path: Path) -> None:
    """A stream that takes longer than the limit is good, as long as bytes come."""
    pieces = tuple(WHOLE[at : at + 8] for at in range(0, len(WHOLE), 8))
    begun = time.monotonic()
    assert read(Script((*pieces, b"\r\n"), pause=0.1), tmp_path, stall_seconds=1.0) == b"hello world"
    assert time.monotonic() - begun > 1.0


def test_another_content_type(tmp_path: Path) -> None:
    """A page of a proxy is not a snapshot, whatever its status."""
    with pytest.raises(SnapshotError, match="text/html"):
        read(reply(200, b"<html>hello</html>", "Content-Type: text/html; charset=utf-8"), tmp_path)


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: 0\r\n\r\n"]
)
def test_empty(framing: bytes, tmp_path: Path) -> None:
    """Nothing is not a snapshot."""
    with pytest.raises(SnapshotError, match="empty"):
        read(Script((GZIP_HEAD + framing,)), tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_no_http(answer: bytes, tmp_path: Path) -> None:
    """Endless headers, or another protocol: said, and not read on."""
    with pytest.raises(SnapshotError, match="not HTTP"):
        read(Script((answer,)), tmp_path)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 429, 472, 473, 500, 502, 503])
def test_not_the_leader(status: int, tmp_path: Path) -> None:
    """A redirect, a standby, a sealed node and a failing one are not the leader (any more)."""
    with pytest.raises(LeaderLostError, match=str(status)):
        read(reply(status, b'{"errors":["Vault is sealed"]}'), tmp_path)


def test_gone(tmp_path: Path) -> None:
    """A server that is not there, or ends the connection without an answer, is not the leader."""
    with pytest.raises(LeaderLostError, match="without an answer"):
        read(Script(()), tmp_path)
    bao, leader = logged_in("http://127.0.0.1:1", tmp_path)
    with pytest.raises(LeaderLostError, match="connection refused"):
        bao.snapshot(leader)


def test_denied(tmp_path: Path) -> None:
    """403 tells the policy, and which namespace the token must be of."""
    with pytest.raises(SnapshotDeniedError, match="permission denied") as caught:
        read(reply(403, b'{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}'), tmp_path)
    assert "root namespace" in caught.value.message
    assert "\n" not in caught.value.message
    assert TOKEN not in caught.value.message


def test_a_server_that_repeats_the_token(tmp_path: Path) -> None:
    """Words that hold the token are left out."""
    with pytest.raises(SnapshotDeniedError, match="403") as caught:
        read(reply(403, b'{"errors":["no such token: %b"]}' % TOKEN.encode()), tmp_path)
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize("status", [400, 404, 405])
def test_refused(status: int, tmp_path: Path) -> None:
    """Other refusals are no change of leader; the server's own words are given."""
    with pytest.raises(SnapshotError, match="unsupported path") as caught:
        read(reply(status, b'{"errors":["unsupported path"]}'), tmp_path)
    assert type(caught.value) is SnapshotError


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """The token goes to the configured host alone, whatever that one says."""
    with ScriptedServer({}) as elsewhere, ScriptedServer({}) as server:
        server.scripts[PATH] = reply(307, b"", f"Location: {elsewhere.url}{PATH}")
        bao, leader = logged_in(server.url, tmp_path)
        with pytest.raises(LeaderLostError):
            bao.snapshot(leader)
        assert [seen.headers["x-vault-token"] for seen in server.seen] == [TOKEN]
        assert elsewhere.seen == []


def test_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is in its header, no namespace is sent, and no proxy of the environment is used."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ScriptedServer({PATH: Script((WHOLE + b"\r\n",))}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        assert list(bao.snapshot(leader)) == [b"hello world"]
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", PATH)
    assert seen.headers["x-vault-token"] == TOKEN
    assert seen.headers["x-vault-request"] == "true"
    assert "x-vault-namespace" not in seen.headers
