"""What the client makes of small answers: capabilities, seal, login, and what the nodes are."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.adapters.clients import TOKEN, logged_in, settings_for
from tests.adapters.scripted import End, Script, ScriptedServer, reply

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.errors import InternalError, LeaderLostError
from bao_backup.core.model import Leader, NodeState, Seal

CAPABILITIES, SEAL = "/v1/sys/capabilities-self", "/v1/sys/seal-status"
HEALTH, LEADER, LOOKUP = "/v1/sys/health", "/v1/sys/leader", "/v1/auth/token/lookup-self"
PATHS = ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"]
#: What says: not the leader, or not now.
LOST = [reply(307), reply(429), reply(473), reply(500), reply(503), Script(()), Script((b"no HTTP\r\n",))]
FOUND = {PATHS[0]: ["read", "update"], PATHS[1]: ["deny"]}
DENIED = reply(403, b'{"errors":["permission denied"]}')


def told(body: object, status: int = 200) -> Script:
    """A JSON answer."""
    return reply(status, json.dumps(body).encode(), "Content-Type: application/json")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (told({"data": FOUND}), {PATHS[0]: {"read", "update"}, PATHS[1]: {"deny"}}),
        (told({**FOUND, "data": FOUND}), {PATHS[0]: {"read", "update"}, PATHS[1]: {"deny"}}),
        (told(FOUND), {PATHS[0]: {"read", "update"}, PATHS[1]: {"deny"}}),
        (told({"data": {PATHS[0]: ["root"]}}), {PATHS[0]: {"root"}, PATHS[1]: {"deny"}}),
        (DENIED, None),
        (reply(404), None),
    ],
)
def test_capabilities(script: Script, expected: object, tmp_path: Path) -> None:
    """Each path has the server's words; a path that it leaves out is denied; None where it says nothing."""
    with ScriptedServer({CAPABILITIES: script}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        assert bao.capabilities(leader, PATHS) == expected
    (seen,) = server.seen
    assert json.loads(seen.body) == {"paths": PATHS}
    assert seen.headers["x-vault-token"] == TOKEN


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (told({"server_time_utc": 1795000000}), datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        (
            reply(200, b"{}", "Date: Wed, 18 Nov 2026 11:06:40 GMT"),
            datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC),
        ),
        (reply(200, b"{}", "Date: yesterday"), None),
        (told({"server_time_utc": 10**18}), None),
        (told({"server_time_utc": "now"}), None),
    ],
)
def test_its_time(script: Script, expected: object, tmp_path: Path) -> None:
    """A node's clock is what it says, else what its answer is dated with; no token is sent for that."""
    with ScriptedServer({HEALTH: script}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        assert bao.server_time(leader) == expected
    (seen,) = server.seen
    assert "x-vault-token" not in seen.headers


@pytest.mark.parametrize("script", LOST)
def test_who_cannot_say(script: Script, tmp_path: Path) -> None:
    """A node that does not serve any more is a lost leader, for each of the questions; no token is told."""
    with ScriptedServer({CAPABILITIES: script, SEAL: script, LOOKUP: script}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        for ask in (lambda: bao.capabilities(leader, PATHS), lambda: bao.seal(leader)):
            with pytest.raises(LeaderLostError):
                ask()
        with pytest.raises(LeaderLostError) as caught:
            bao.knows_login(leader)
    assert TOKEN not in caught.value.message


def test_silence(tmp_path: Path) -> None:
    """A node that hangs, as one does that applies a snapshot, is a lost leader after the limit."""
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    with ScriptedServer({LOOKUP: Script((), End.HOLD)}) as server:
        bao = HttpBao(settings_for(server.url, folder=tmp_path, connect_seconds=0.2))
        bao.login(Leader(address=server.url))
        with pytest.raises(LeaderLostError, match=r"no answer within 0\.2 s"):
            bao.knows_login(Leader(address=server.url))


def test_no_login(tmp_path: Path) -> None:
    """What needs a login is a defect of the caller without one."""
    with ScriptedServer({}) as server:
        bao, leader = HttpBao(settings_for(server.url, folder=tmp_path)), Leader(address=server.url)
        with pytest.raises(InternalError):
            bao.capabilities(leader, PATHS)
        with pytest.raises(InternalError):
            bao.knows_login(leader)
    assert server.seen == []


@pytest.mark.parametrize("sealed", [True, False])
def test_seal(*, sealed: bool, tmp_path: Path) -> None:
    """The seal is told by a node that is sealed, too, and needs no token."""
    status = {"type": "shamir", "initialized": True, "sealed": sealed, "t": 3, "n": 5}
    with ScriptedServer({SEAL: told(status)}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        assert bao.seal(leader) == Seal(type="shamir", shares=5, threshold=3)
    assert "x-vault-token" not in server.seen[0].headers


@pytest.mark.parametrize("script", [reply(200), told({"t": "three"}), reply(404)])
def test_no_seal(script: Script, tmp_path: Path) -> None:
    """What is no answer of OpenBao is none."""
    with ScriptedServer({SEAL: script}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        with pytest.raises(LeaderLostError, match="not as OpenBao does"):
            bao.seal(leader)


@pytest.mark.parametrize(("script", "known"), [(told({"data": {}}), True), (DENIED, False)])
def test_knows_login(script: Script, *, known: bool, tmp_path: Path) -> None:
    """A token that may look at itself is known; one that is refused is not."""
    with ScriptedServer({LOOKUP: script}) as server:
        bao, leader = logged_in(server.url, tmp_path)
        assert bao.knows_login(leader) is known


def health(*, sealed: bool = False, standby: bool = False) -> dict[str, object]:
    """The body of a `sys/health`."""
    return {"sealed": sealed, "standby": standby, "version": "2.4.4", "cluster_id": "id"}


@pytest.mark.parametrize(
    ("script", "state", "index"),
    [
        (told(health()), NodeState.ACTIVE, 42),
        (told(health(standby=True), 429), NodeState.STANDBY, 42),
        (told(health(standby=True), 473), NodeState.STANDBY, 42),
        (told(health(standby=True), 474), NodeState.STANDBY, 42),
        (told(health(standby=True), 472), NodeState.OTHER, 0),
        (told(health(sealed=True, standby=True), 503), NodeState.SEALED, 0),
        (told(health(sealed=True), 501), NodeState.NOT_INITIALISED, 0),
        (told(health(sealed=True), 530), NodeState.OTHER, 0),
        # A proxy in between.
        (reply(503, b"<html>no server is available</html>"), NodeState.OTHER, 0),
        (reply(429), NodeState.OTHER, 0),
        (reply(200), NodeState.OTHER, 0),
        (reply(404), NodeState.OTHER, 0),
        (Script(()), NodeState.UNREACHABLE, 0),
    ],
)
def test_nodes(script: Script, state: NodeState, index: int, tmp_path: Path) -> None:
    """Each answer of a node is a state, and those that serve tell the index that they have applied."""
    scripts = {HEALTH: script, LEADER: told({"raft_applied_index": 42})}
    with ScriptedServer(scripts) as server:
        (node,) = HttpBao(settings_for(server.url, folder=tmp_path)).nodes()
    assert (node.address, node.ip) == (server.url, "127.0.0.1")
    assert (node.state, node.applied_index) == (state, index)
    assert node.said
    assert (node.leader is not None) is (state is NodeState.ACTIVE)


@pytest.mark.parametrize("script", [reply(404), reply(503), Script(()), told({"raft_applied_index": "x"})])
def test_no_index(script: Script, tmp_path: Path) -> None:
    """A node that does not tell its index is what it is all the same."""
    with ScriptedServer({HEALTH: told(health()), LEADER: script}) as server:
        (node,) = HttpBao(settings_for(server.url, folder=tmp_path)).nodes()
    assert (node.state, node.applied_index) == (NodeState.ACTIVE, 0)


@pytest.mark.parametrize(
    ("said", "leadership"),
    [
        ({"leader_address": "https://a:8200", "active_time": "T"}, "https://a:8200 since T"),
        ({"leader_address": "", "active_time": "T"}, ""),
        ({"leader_address": "https://a:8200"}, ""),
    ],
)
def test_who_leads_since_when(said: dict[str, object], leadership: str, tmp_path: Path) -> None:
    """As the node itself says it; empty where it does not say both."""
    with ScriptedServer({HEALTH: told(health()), LEADER: told(said)}) as server:
        (node,) = HttpBao(settings_for(server.url, folder=tmp_path)).nodes()
    assert node.leadership == leadership


def test_nodes_in_order(tmp_path: Path) -> None:
    """They are told in the order of the addresses; one that hangs, or is not there, is unreachable."""
    active = {HEALTH: told(health()), LEADER: told({"raft_applied_index": 7})}
    with ExitStack() as stack:
        silent = stack.enter_context(ScriptedServer({HEALTH: Script((), End.HOLD)}))
        first = stack.enter_context(ScriptedServer(active))
        with ScriptedServer({}) as gone:
            pass
        addresses = (silent.url, gone.url, first.url, "http://no-such-name.invalid:8200")
        settings = settings_for(*addresses, folder=tmp_path, connect_seconds=0.5)
        nodes = HttpBao(settings).nodes()
    assert [node.address for node in nodes] == list(addresses)
    unreachable = NodeState.UNREACHABLE
    assert [node.state for node in nodes] == [unreachable, unreachable, NodeState.ACTIVE, unreachable]
    assert "no answer within 0.5 s" in nodes[0].said
    assert "connection refused" in nodes[1].said
    assert nodes[2].leader is not None
    assert nodes[2].applied_index == 7
