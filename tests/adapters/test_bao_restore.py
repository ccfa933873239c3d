"""What the client makes of every way in which a restore can go wrong, and what the server has by then."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.adapters.clients import TOKEN, settings_for
from tests.adapters.scripted import End, Script, ScriptedServer, reply
from tests.harness.process import wait_until

from bao_backup.adapters.bao import HttpBao
from bao_backup.adapters.bao.restore import HELD_BACK
from bao_backup.core.errors import BaoBackupError, InternalError, LeaderLostError, RestoreUnknownError
from bao_backup.core.model import Leader
from bao_backup.core.restore_errors import (
    RestoreCutOffError,
    RestoreDeniedError,
    RestoreRefusedError,
)

PLAIN, FORCE = "/v1/sys/storage/raft/snapshot", "/v1/sys/storage/raft/snapshot-force"
BODY = random.Random(3).randbytes(300_000)
ERRORS = b'{"errors":["the server\'s words"]}'
ACCEPTED = Script((b"HTTP/1.1 204 No Content\r\n\r\n",))


class SourceError(Exception):
    """What a source raises."""


class Site:
    """A scripted server, and a client that has a token for it."""

    def __init__(
        self,
        server: ScriptedServer,
        folder: Path,
        stall: float = 10.0,
        answer: float = 10.0,
        long: float = 25.0,
    ) -> None:
        folder.joinpath("token").write_text(TOKEN, encoding="utf-8")
        self.server = server
        self.leader = Leader(address=server.url)
        self.bao = HttpBao(
            settings_for(server.url, folder=folder, stall_seconds=stall, connect_seconds=2.0),
            answer_seconds=answer,
            long_seconds=long,
        )
        self.bao.login(self.leader)

    def restore(self, chunks: Iterator[bytes], size: int = len(BODY), *, force: bool = False) -> None:
        """The call."""
        self.bao.restore(self.leader, chunks, size, force=force)

    def received(self) -> bytes:
        """What the server has of the body, once the connection has ended."""
        wait_until("the request to end", lambda: bool(self.server.seen), seconds=10)
        return self.server.seen[-1].body


def pieces(body: bytes = BODY, size: int = 50_000) -> Iterator[bytes]:
    """The body in chunks."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def failure(script: Script, folder: Path, *, answer: float = 10.0, path: str = PLAIN) -> BaoBackupError:
    """What a whole body with this answer to it raises."""
    with ScriptedServer({path: script}) as server:
        site = Site(server, folder, answer=answer)
        with pytest.raises(BaoBackupError) as caught:
            site.restore(pieces(), force=path == FORCE)
        assert len(server.seen) == 1, "a restore is never sent twice, and follows no redirect"
    assert TOKEN not in f"{caught.value.message} {caught.value.details}"
    return caught.value


@pytest.mark.parametrize(("force", "path"), [(False, PLAIN), (True, FORCE)])
@pytest.mark.parametrize("script", [ACCEPTED, reply(200), reply(204)])
def test_accepted(*, force: bool, path: str, script: Script, tmp_path: Path) -> None:
    """The whole body goes to the one path, with its length and the token; it returns when it is accepted."""
    with ScriptedServer({path: script}) as server:
        Site(server, tmp_path).restore(pieces(), force=force)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", path, BODY)
    assert seen.headers["content-length"] == str(len(BODY))
    assert seen.headers["x-vault-token"] == TOKEN
    assert "x-vault-namespace" not in seen.headers


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 7, 1000, HELD_BACK - 1, HELD_BACK, HELD_BACK + 1, 200_000, 1 << 20]),
        min_size=1,
        max_size=8,
    )
)
@example(sizes=[0, 0])
def test_every_cut_into_chunks(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    """Whatever chunks a body comes in, the server gets the same bytes."""
    chunks = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    with ScriptedServer({PLAIN: ACCEPTED}) as server:
        site = Site(server, tmp_path_factory.mktemp("site"))
        site.restore(iter(chunks), sum(sizes))
    assert server.seen[0].body == b"".join(chunks)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (reply(403, ERRORS), RestoreDeniedError),
        (reply(400, ERRORS), RestoreRefusedError),
        (reply(404, ERRORS), RestoreRefusedError),
        (reply(413, b"<html>too large</html>"), RestoreRefusedError),
        (reply(500, ERRORS), RestoreRefusedError),
        (reply(307, b"", "Location: http://127.0.0.1:1/v1/sys/storage/raft/snapshot"), LeaderLostError),
        (reply(429, ERRORS), LeaderLostError),
        (reply(472), LeaderLostError),
        (reply(473), LeaderLostError),
        (reply(503, ERRORS), LeaderLostError),
        # Somebody in between, who does not know either.
        (reply(500, b"<html>oops</html>"), RestoreUnknownError),
        (reply(502), RestoreUnknownError),
        (reply(503, b"upstream connect error or disconnect/reset before headers"), RestoreUnknownError),
        (reply(504, b"<html>time-out</html>"), RestoreUnknownError),
        (reply(202), RestoreUnknownError),
        (Script(()), RestoreUnknownError),
        (Script((), End.RESET), RestoreUnknownError),
        (Script((b"HTTP/1.1 20",)), RestoreUnknownError),
        (Script((b"SSH-2.0-OpenSSH\r\n",)), RestoreUnknownError),
        (Script((b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\n{",)), RestoreRefusedError),
    ],
)
def test_answers(script: Script, expected: type[BaoBackupError], tmp_path: Path) -> None:
    """Each answer to a whole body is the one error that it means."""
    assert type(failure(script, tmp_path)) is expected


def test_the_servers_words(tmp_path: Path) -> None:
    """A refusal is passed on in the server's words, unless they repeat the token."""
    assert "it answers 400, the server's words" in failure(reply(400, ERRORS), tmp_path).why
    told = reply(400, b'{"errors":["what is %s?"]}' % TOKEN.encode())
    assert "it answers 400" in failure(told, tmp_path).why


def test_a_snapshot_that_the_server_cannot_read_is_no_matter_of_keys(tmp_path: Path) -> None:
    """Only where it tells of other keys a person is shown the way by force."""
    assert "--force" in failure(reply(400, ERRORS), tmp_path).hint
    error = failure(reply(500, ERRORS), tmp_path)
    assert "--force" not in error.hint
    assert "look at the server's log" in error.hint


@pytest.mark.parametrize(
    "script",
    [
        Script(reply(500, ERRORS).pieces, End.HOLD, reads=100_000),
        Script((), End.RESET, reads=100_000),
    ],
    ids=["in its own words", "without a word"],
)
def test_a_server_that_reads_no_longer(script: Script, tmp_path: Path) -> None:
    """Vault and OpenBao read a request for 30 s, and then give up: a person is told of the option."""
    with ScriptedServer({PLAIN: script}) as server:
        site = Site(server, tmp_path, long=0.0)
        with pytest.raises((RestoreRefusedError, RestoreCutOffError)) as caught:
            site.restore(endless(), 1 << 30)
    assert "http_read_timeout" in caught.value.hint
    assert caught.value.hint.startswith("nothing was applied")


@pytest.mark.parametrize("path", [PLAIN, FORCE])
def test_the_policy_that_is_missing(path: str, tmp_path: Path) -> None:
    """A denial names the line for the very path that was used."""
    line = f'path "{path.removeprefix("/v1/")}" {{ capabilities = ["update"] }}'
    assert line in failure(reply(403, ERRORS), tmp_path / ".", path=path).hint


def test_no_answer_in_time(tmp_path: Path) -> None:
    """A server that has all of it and says nothing leaves the outcome unknown."""
    error = failure(Script((), End.HOLD), tmp_path, answer=0.3)
    assert type(error) is RestoreUnknownError
    assert "no answer within 0.3 s" in error.why


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a connection nothing was sent, and the source is closed."""
    with ScriptedServer({}) as server:
        site = Site(server, tmp_path)
    closed = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            yield BODY
        finally:
            closed.set()

    chunks = source()
    next(chunks)
    with pytest.raises(LeaderLostError, match="connection refused"):
        site.restore(chunks)
    assert closed.is_set()


def test_no_login(tmp_path: Path) -> None:
    """A restore without a login is a defect of the caller."""
    with ScriptedServer({}) as server:
        bao = HttpBao(settings_for(server.url, folder=tmp_path))
        with pytest.raises(InternalError):
            bao.restore(Leader(address=server.url), pieces(), len(BODY), force=False)


def raising(after: int) -> Iterator[bytes]:
    """A source that turns out bad after so many bytes, even behind the last one."""
    for start in range(0, after, 10_000):
        yield BODY[start : min(start + 10_000, after)]
    raise SourceError


@pytest.mark.parametrize("after", [0, 1, HELD_BACK, 150_000, len(BODY) - 1, len(BODY)])
def test_a_source_that_raises(after: int, tmp_path: Path) -> None:
    """Its exception surfaces, and the server never has the last 64 KiB, not even when all was read."""
    with ScriptedServer({PLAIN: ACCEPTED}) as server:
        site = Site(server, tmp_path)
        with pytest.raises(SourceError):
            site.restore(raising(after))
        got = site.received()
    assert len(got) <= max(0, len(BODY) - HELD_BACK)
    assert BODY.startswith(got)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (lambda: pieces(BODY[:-1]), "ended at 299999 of 300000 bytes"),
        (lambda: pieces(BODY[:10]), "ended at 10 of 300000 bytes"),
        (lambda: iter(()), "ended at 0 of 300000 bytes"),
        (lambda: pieces(BODY + b"x"), "goes on behind the 300000 bytes"),
        (lambda: pieces(BODY + b"x" * 500_000), "goes on behind the 300000 bytes"),
    ],
)
def test_a_source_of_another_size(source: Callable[[], Iterator[bytes]], why: str, tmp_path: Path) -> None:
    """One that is shorter or longer than announced is cut off before the server has its end."""
    with ScriptedServer({PLAIN: ACCEPTED}) as server:
        site = Site(server, tmp_path)
        with pytest.raises(RestoreCutOffError, match=why):
            site.restore(source())
        assert len(site.received()) <= len(BODY) - HELD_BACK


def endless() -> Iterator[bytes]:
    """More than any buffer between two programs holds."""
    for _ in range(1 << 10):
        yield bytes(1 << 20)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(403, ERRORS).pieces, RestoreDeniedError),
        (reply(400, ERRORS).pieces, RestoreRefusedError),
        (reply(413).pieces, RestoreRefusedError),
        (reply(307).pieces, LeaderLostError),
        (reply(503).pieces, LeaderLostError),
        (reply(502).pieces, LeaderLostError),
        (reply(204).pieces, RestoreUnknownError),
    ],
)
def test_an_answer_in_mid_body(
    answer: tuple[bytes, ...], expected: type[BaoBackupError], tmp_path: Path
) -> None:
    """A server that answers before it has all is heard, and the rest is not sent."""
    with ScriptedServer({PLAIN: Script(answer, End.HOLD, reads=100_000)}) as server:
        site = Site(server, tmp_path)
        with pytest.raises(expected) as caught:
            site.restore(endless(), 1 << 30)
    assert type(caught.value) is expected


@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
def test_the_connection_ends_in_mid_body(end: End, tmp_path: Path) -> None:
    """Without an answer it was cut off, and nothing was applied."""
    with ScriptedServer({PLAIN: Script((), end, reads=100_000)}) as server:
        site = Site(server, tmp_path)
        with pytest.raises(RestoreCutOffError, match=r"after [0-9]+ bytes"):
            site.restore(endless(), 1 << 30)


def test_a_server_that_takes_no_more(tmp_path: Path) -> None:
    """Writes have a limit: who takes no byte for so long is not waited for."""
    with ScriptedServer({PLAIN: Script((), End.HOLD, reads=100_000)}) as server:
        site = Site(server, tmp_path, stall=0.3)
        with pytest.raises(RestoreCutOffError, match=r"took no byte for 0\.3 s after [0-9]+ bytes"):
            site.restore(endless(), 1 << 30)


def interrupted(site: Site, chunks: Iterator[bytes], size: int) -> BaoBackupError:
    """What an interrupt from another thread makes of a call that hangs; it ends at once."""
    timer = threading.Timer(0.5, site.bao.interrupt)
    begun = time.monotonic()
    timer.start()
    with pytest.raises(BaoBackupError) as caught:
        site.restore(chunks, size)
    timer.join()
    assert time.monotonic() - begun < 30
    assert "this side closed the connection" in caught.value.why
    return caught.value


def test_interrupted_in_mid_body(tmp_path: Path) -> None:
    """An interrupt while the body goes out cuts it off."""
    with ScriptedServer({PLAIN: Script((), End.HOLD, reads=100_000)}) as server:
        site = Site(server, tmp_path, stall=60)
        assert type(interrupted(site, endless(), 1 << 30)) is RestoreCutOffError


def test_interrupted_before_the_answer(tmp_path: Path) -> None:
    """An interrupt behind the last byte leaves the outcome unknown."""
    with ScriptedServer({PLAIN: Script((), End.HOLD)}) as server:
        site = Site(server, tmp_path, answer=60)
        assert type(interrupted(site, pieces(), len(BODY))) is RestoreUnknownError


def test_interrupted_between_two_chunks(tmp_path: Path) -> None:
    """An interrupt while the source is slow takes hold at its next chunk, and the end never goes out."""
    with ScriptedServer({PLAIN: ACCEPTED}) as server:
        site = Site(server, tmp_path)

        def source() -> Iterator[bytes]:
            yield BODY[:200_000]
            site.bao.interrupt()
            yield BODY[200_000:]

        with pytest.raises(RestoreCutOffError, match="this side closed"):
            site.restore(source())
        assert len(site.received()) <= len(BODY) - HELD_BACK
