"""How the active node is found among addresses that are up, down, sealed, silent, or not OpenBao."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from tests.adapters.clients import settings_for
from tests.adapters.scripted import HEALTHY, End, Script, ScriptedServer, reply

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.connection import parse_address
from bao_backup.core.errors import ConfigurationError, InternalError, LeaderError, SnapshotError
from bao_backup.core.model import Leader

HEALTH = "/v1/sys/health"
ACTIVE = reply(200, HEALTHY)
SILENT = Script((), End.HOLD)


def find(folder: Path, *scripts: Script, connect_seconds: float = 5.0) -> int:
    """Which of the servers leads; raises as `find_leader` does."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer({HEALTH: script})) for script in scripts]
        urls = [server.url for server in servers]
        bao = HttpBao(settings_for(*urls, folder=folder, connect_seconds=connect_seconds))
        return urls.index(bao.find_leader().address)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_active_one(position: int, tmp_path: Path) -> None:
    """It is found wherever it stands in the list."""
    scripts = [reply(429, b"{}"), reply(503, b"{}")]
    scripts.insert(position, ACTIVE)
    assert find(tmp_path, *scripts) == position


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (reply(429), "standby"),
        (reply(472), "DR secondary"),
        (reply(473), "performance standby"),
        (reply(501), "not initialised"),
        (reply(503), "sealed"),
        (reply(530), "removed from the cluster"),
        (reply(302, b"", "Location: http://127.0.0.1:1/"), "answers 302"),
        (reply(502), "answers 502"),
        (reply(400), r"answers 400 \(it may want https\)"),
        (reply(200, b"<html>welcome</html>"), "answers 200, but not as OpenBao does"),
        (reply(200, b'{"sealed":false,"standby":true}'), "answers 200, but not as OpenBao does"),
        (reply(200, b"[1]"), "answers 200, but not as OpenBao does"),
        (Script(()), "it closed the connection without an answer"),
        (Script((b"SSH-2.0-OpenSSH_9.2\r\n",)), "its answer is not HTTP"),
        (Script((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,)), "its answer is not HTTP"),
    ],
)
def test_each_state_by_its_name(script: Script, said: str, tmp_path: Path) -> None:
    """What is not the active node is named, in words, with its address."""
    with pytest.raises(LeaderError, match=rf"http://127\.0\.0\.1:\d+ {said}") as caught:
        find(tmp_path, script)
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message


def test_refused_and_unknown(tmp_path: Path) -> None:
    """Nobody listens, or no such name: said for each address, in the order of the configuration."""
    bao = HttpBao(settings_for("https://127.0.0.1:1", "https://no-such-host.invalid:8200", folder=tmp_path))
    with pytest.raises(LeaderError) as caught:
        bao.find_leader()
    first, second = caught.value.why.split(", ")
    assert first == "https://127.0.0.1:1 connection refused"
    assert second == "https://no-such-host.invalid:8200 its name does not resolve"


def test_the_silent_do_not_hold_it_up(tmp_path: Path) -> None:
    """An active node is found at once, however many others say nothing."""
    begun = time.monotonic()
    assert find(tmp_path, SILENT, SILENT, ACTIVE, SILENT, connect_seconds=60) == 2
    assert time.monotonic() - begun < 30


def test_the_silent_do_not_add_up(tmp_path: Path) -> None:
    """To wait for ten takes as long as to wait for one."""
    begun = time.monotonic()
    with pytest.raises(LeaderError) as caught:
        find(tmp_path, *[SILENT] * 10, connect_seconds=0.5)
    assert caught.value.why.count("no answer within 0.5 s") == 10
    assert time.monotonic() - begun < 0.5 * 5


def test_a_name(tmp_path: Path) -> None:
    """A host name is resolved; the leader says which of its IP addresses answered."""
    with ScriptedServer({HEALTH: ACTIVE}) as server:
        address = f"http://localhost:{server.port}"
        leader = HttpBao(settings_for(address, folder=tmp_path)).find_leader()
    assert (leader.address, leader.ip) == (address, "127.0.0.1")
    assert server.seen[0].headers["host"] == f"localhost:{server.port}"


def test_a_name_stands_for_all_its_addresses(tmp_path: Path) -> None:
    """A Service's name is asked at every IP address behind it, and the token goes to the active one."""
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return hosts

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(ScriptedServer({HEALTH: reply(429)}))
        servers = [first]
        for host, script in zip(hosts[1:3], [ACTIVE, reply(503)], strict=True):
            more = ScriptedServer({HEALTH: script}, host=host, port=first.port)
            servers.append(stack.enter_context(more))
        bao = HttpBao(settings_for(f"http://bao.test:{first.port}", folder=tmp_path), resolve)
        leader = bao.find_leader()
        assert leader.ip == "127.0.0.2"
        (tmp_path / "token").write_text("s.token", encoding="utf-8")
        bao.login(leader)
        with pytest.raises(SnapshotError, match=rf"http://bao\.test:{first.port} \(127\.0\.0\.2\)"):
            bao.snapshot(leader)
        assert [seen.path for seen in servers[1].seen] == [HEALTH, "/v1/sys/storage/raft/snapshot"]
        servers[1].scripts[HEALTH] = reply(429)
        with pytest.raises(LeaderError) as caught:
            bao.find_leader()
    said = caught.value.why.replace(f"http://bao.test:{first.port} ", "")
    assert sorted(said.split(", ")) == [
        "(127.0.0.1) standby",
        "(127.0.0.2) standby",
        "(127.0.0.3) sealed",
        "(127.0.0.4) connection refused",
    ]
    assert asked == ["bao.test", "bao.test"]


def test_no_token_elsewhere(tmp_path: Path) -> None:
    """A leader that is none of the configured addresses gets no connection."""
    with ScriptedServer({}) as elsewhere:
        bao = HttpBao(settings_for("http://127.0.0.1:1", folder=tmp_path))
        (tmp_path / "token").write_text("s.token", encoding="utf-8")
        leader = Leader(address=elsewhere.url)
        bao.login(leader)
        with pytest.raises(InternalError, match="none of the configured addresses"):
            bao.snapshot(leader)
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bao:8200",
        "ftp://bao:21",
        "https://",
        "https://bao:port",
        "https://bao:99999",
        "https://bao:0",
        "https://bao:8200/v1",
        "https://bao:8200?x=1",
        "https://[::1",
    ],
)
def test_wrong_addresses(address: str, tmp_path: Path) -> None:
    """What is not scheme, host and port is refused before anything is asked."""
    with pytest.raises(ConfigurationError, match="server address"):
        HttpBao(settings_for(address, folder=tmp_path))


def test_no_password_in_an_address() -> None:
    """Credentials in an address are refused, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        parse_address("https://root:s.secret@bao:8200")
    assert "s.secret" not in caught.value.message


def test_no_address(tmp_path: Path) -> None:
    """At least one address is needed."""
    with pytest.raises(ConfigurationError, match="none"):
        HttpBao(settings_for(folder=tmp_path))
