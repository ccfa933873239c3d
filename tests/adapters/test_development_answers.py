"""The development server answers as a real OpenBao 2.4.4 was seen to answer: every recorded call."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from email.message import Message
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.adapters.recorded import Recorded, recorded

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.core.archive import ArchiveReader

CALLS = recorded()
#: What differs from server to server, and from call to call: only its type is compared.
VARYING = {
    "accessor",
    "active_time",
    "address",
    "client_token",
    "cluster_id",
    "cluster_name",
    "created_time",
    "entity_id",
    "last_index",
    "last_term",
    "leader_address",
    "leader_cluster_address",
    "raft_applied_index",
    "raft_committed_index",
    "request_id",
    "server_time_utc",
    "stable_since",
    "version",
}


@pytest.fixture
def server(call: Recorded) -> Iterator[DevelopmentServer]:
    """A server in the state in which the recorded one was at that call."""
    cluster = DevelopmentCluster(initialised="uninitialised" not in call.name)
    cluster.logins.users["backup"] = "fixture-password"
    cluster.logins.app_roles["77be5c5e-db40-48b5-0c15-34dbdedfe919"] = "47bb6caf-c149-6112-0ac0-7301db1534a2"
    cluster.write("app/7", {"value": "fixture-7"})
    with DevelopmentServer(cluster) as server:
        if call.name.endswith(" sealed"):
            cluster.seal(server.node)
        yield server


def token_for(call: Recorded, cluster: DevelopmentCluster) -> str:
    """The token that the recorded call was made with, or its like."""
    if not call.with_token:
        return ""
    if "wrong token" in call.name:
        return "s.wrong"
    if "may not" in call.name:
        return cluster.grant(("nothing",))
    if call.name in ("snapshot", "revoke-self", "capabilities-self", "snapshot after revoke"):
        token = cluster.grant(("default", "snapshot"))
        if "after" in call.name:
            cluster.revoke(token)
        return token
    return cluster.root_token


def body_for(call: Recorded, server: DevelopmentServer) -> bytes:
    """The recorded body; for a restore a snapshot of this very server, cut or whole as recorded."""
    if call.body is None:
        return b""
    if not call.name.startswith("restore"):
        return json.dumps(call.body).encode()
    snapshot = ask(server, "GET", call.path, server.cluster.root_token)[2]
    return {
        "restore": snapshot,
        "restore of a cut snapshot": snapshot[: len(snapshot) // 2],
        "restore of something else": b"something else".ljust(500),
    }[call.name]


def ask(
    server: DevelopmentServer, method: str, path: str, token: str, body: bytes = b""
) -> tuple[int, Message, bytes]:
    """One call: the answer's status, headers and body."""
    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, {"X-Vault-Token": token} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def compare(real: Any, ours: Any, key: str) -> None:
    """The same keys, the same types, and the same values but for what varies."""
    assert type(ours) is type(real), key
    if isinstance(real, dict):
        assert set(ours) == set(real), key
        for each in real:
            compare(real[each], ours[each], each)
    elif isinstance(real, list):
        assert len(ours) == len(real), key
        for one, other in zip(real, ours, strict=True):
            compare(one, other, key)
    elif key not in VARYING:
        assert ours == real, key


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_as_recorded(call: Recorded, server: DevelopmentServer) -> None:
    """Status, headers, the body's shape, and every value that does not vary, are the real server's."""
    token, sent = token_for(call, server.cluster), body_for(call, server)
    status, headers, body = ask(server, call.method, call.path, token, sent)
    assert status == call.status
    assert {name: headers[name] for name in call.headers} == call.headers
    if call.headers.get("Content-Type") == "application/gzip":
        reader = ArchiveReader()
        reader.feed(body)
        assert reader.finish().inventory.entries > 0
    else:
        compare(call.answer or None, json.loads(body) if body else None, "body")
