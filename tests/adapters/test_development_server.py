"""What the development server does beside answering single calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.adapters.clients import settings_for

from bao_backup.adapters.bao import HttpBao
from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer, serve_development
from bao_backup.core.archive import ArchiveReader
from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import LeaderError, SnapshotCutOffError
from bao_backup.core.model import Contents, Leader
from bao_backup.ports import SnapshotStream

MIB = 1 << 20


@pytest.fixture
def cluster() -> DevelopmentCluster:
    """One node, with a secret."""
    cluster = DevelopmentCluster()
    cluster.write("app/1", {"password": "before"})
    return cluster


@pytest.fixture
def server(cluster: DevelopmentCluster) -> Iterator[DevelopmentServer]:
    """It serves."""
    with DevelopmentServer(cluster) as server:
        yield server


def begin(server: DevelopmentServer, folder: Path) -> SnapshotStream:
    """A snapshot as root."""
    (folder / "token").write_text(server.cluster.root_token, encoding="utf-8")
    bao = HttpBao(settings_for(server.address, folder=folder, method=AuthMethod.TOKEN))
    leader = bao.find_leader()
    bao.login(leader)
    return bao.snapshot(leader)


def prove(archive: bytes) -> Contents:
    """What the archive reader says."""
    reader = ArchiveReader()
    reader.feed(archive)
    return reader.finish()


def restore(server: DevelopmentServer, archive: bytes, path: str = "snapshot") -> int:
    """The status of an upload."""
    url = f"{server.address}/v1/sys/storage/raft/{path}"
    request = Request(url, archive, {"X-Vault-Token": server.cluster.root_token}, method="POST")
    with urlopen(request, timeout=10) as answer:
        status: int = answer.status
        return status


def test_inventory(server: DevelopmentServer, tmp_path: Path) -> None:
    """A snapshot reads like a real one: areas, seal, barrier term, version; no secret in plain."""
    archive = b"".join(begin(server, tmp_path))
    contents = prove(archive)
    areas = {area.name.partition("/")[0] for area in contents.inventory.areas}
    assert {"core", "logical", "sys"} <= areas
    assert contents.inventory.seal is not None
    assert contents.inventory.seal.threshold == 1
    assert contents.inventory.barrier_term == 1
    assert contents.inventory.server_version == "2.4.4"
    assert contents.meta.index == server.cluster.index
    assert [each.id for each in contents.meta.servers] == ["node0"]


@pytest.mark.parametrize("padding", [0, 1, 64 << 10, 3 * MIB + 1])
def test_padding(padding: int, tmp_path: Path) -> None:
    """A snapshot can be made as large as wanted, and does not compress to nothing."""
    with DevelopmentServer(DevelopmentCluster(padding=padding)) as server:
        archive = b"".join(begin(server, tmp_path))
    contents = prove(archive)
    assert padding <= contents.inventory.size < padding * 1.01 + 10_000
    assert contents.size > padding


def test_restore(server: DevelopmentServer, tmp_path: Path) -> None:
    """A snapshot that is put back brings the secrets of its time back."""
    archive = b"".join(begin(server, tmp_path))
    server.cluster.write("app/1", {"password": "after"})
    server.cluster.write("app/2", {"password": "later"})
    assert restore(server, archive) == 204
    assert {path: secret.data for path, secret in server.cluster.secrets.items()} == {
        "app/1": {"password": "before"}
    }


def test_restore_of_another_cluster(server: DevelopmentServer, tmp_path: Path) -> None:
    """A snapshot of another cluster is refused, and nothing changes."""
    with DevelopmentServer(DevelopmentCluster()) as other:
        archive = b"".join(begin(other, tmp_path))
    with pytest.raises(OSError, match="400"):
        restore(server, archive)
    assert server.cluster.secrets["app/1"].data == {"password": "before"}


def test_a_stopped_server_comes_back(server: DevelopmentServer, tmp_path: Path) -> None:
    """It may be stopped and started again on its port, and knows what it knew."""
    address = server.address
    assert b"".join(begin(server, tmp_path))
    server.stop()
    with pytest.raises(LeaderError, match="connection refused"):
        begin(server, tmp_path)
    server.start()
    assert server.address == address
    assert b"".join(begin(server, tmp_path))
    assert "app/1" in server.cluster.secrets


def test_rate(tmp_path: Path) -> None:
    """Snapshots go at the rate that is set, from the moment that it is set."""
    with DevelopmentServer(DevelopmentCluster(padding=2 * MIB, level=0)) as server:
        server.rate = 4 * MIB
        begun = time.monotonic()
        b"".join(begin(server, tmp_path))
        assert time.monotonic() - begun > 0.45


@pytest.mark.parametrize("way", ["stop", "seal"])
def test_a_stream_is_cut(way: str, tmp_path: Path) -> None:
    """A server that is stopped or sealed does not finish its snapshots."""
    with DevelopmentServer(DevelopmentCluster(padding=8 * MIB)) as server:
        server.rate = 2 * MIB
        stream = iter(begin(server, tmp_path))
        next(stream)
        if way == "stop":
            server.stop()
        else:
            server.cluster.seal(server.node)
        with pytest.raises(SnapshotCutOffError):
            list(stream)


def test_a_majority_leads(tmp_path: Path) -> None:
    """Two of three nodes have a leader, one alone has none."""
    cluster = DevelopmentCluster(3)
    servers = [DevelopmentServer(cluster, number) for number in range(3)]
    for server in servers:
        server.start()
    try:
        addresses = [server.address for server in servers]
        bao = HttpBao(settings_for(*addresses, folder=tmp_path))
        assert bao.find_leader().address == addresses[0]
        servers[0].stop()
        assert bao.find_leader().address == addresses[1]
        servers[1].stop()
        with pytest.raises(LeaderError, match="standby"):
            bao.find_leader()
        servers[0].start()
        assert bao.find_leader().address in (addresses[0], addresses[2])
    finally:
        for server in servers:
            server.stop()


def test_serve(tmp_path: Path) -> None:
    """The command says where it listens and how to log in, and ends when it is told to."""
    lines: list[str] = []
    said, stop = threading.Event(), threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if "curl" in line:
            said.set()

    thread = threading.Thread(target=serve_development, kwargs={"say": say, "stop": stop, "port": 0})
    thread.start()
    try:
        assert said.wait(10)
        address = lines[0].rpartition(" ")[2]
        user, password = next(line for line in lines if "userpass" in line).split()[1::2]
        (tmp_path / "username").write_text(user, encoding="utf-8")
        (tmp_path / "password").write_text(password, encoding="utf-8")
        bao = HttpBao(settings_for(address, folder=tmp_path, method=AuthMethod.USERPASS))
        bao.login(Leader(address=address))
        assert prove(b"".join(bao.snapshot(Leader(address=address)))).size > 0
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert address.startswith("http://127.0.0.1:")


def test_a_restore_brings_tokens_and_policies_back(server: DevelopmentServer, tmp_path: Path) -> None:
    """All that the cluster knew is as it was: a token that is younger is none any more, an older one is."""
    older = server.cluster.grant(("default",))
    archive = b"".join(begin(server, tmp_path))
    younger = server.cluster.grant(("default",))
    server.cluster.revoke(older)
    server.cluster.policies["later"] = {}
    index = server.cluster.index
    assert restore(server, archive) == 204
    assert older in server.cluster.tokens
    assert younger not in server.cluster.tokens
    assert "later" not in server.cluster.policies
    assert server.cluster.index > index


def test_a_forced_restore_of_another_cluster(server: DevelopmentServer, tmp_path: Path) -> None:
    """With force it is taken, and seals: only the key of the other cluster opens it, and then all is its."""
    cluster = server.cluster
    other = DevelopmentCluster()
    other.write("app/9", {"password": "theirs"})
    with DevelopmentServer(other) as source:
        archive = b"".join(begin(source, tmp_path))
    assert restore(server, archive, path="snapshot-force") == 204
    assert [node.sealed for node in cluster.nodes] == [True]
    for wrong in (cluster.unseal_key, "not base64!", ""):
        assert not cluster.unseal(server.node, wrong)
    assert cluster.unseal(server.node, other.unseal_key)
    assert (cluster.id, cluster.name) == (other.id, other.name)
    assert cluster.root_token == other.root_token
    assert cluster.secrets["app/9"].data == {"password": "theirs"}
    assert prove(b"".join(begin(server, tmp_path))).inventory.entries > 0


def test_a_slow_restore(server: DevelopmentServer, tmp_path: Path) -> None:
    """It is answered at once, and until it is applied the leader answers nothing more, as a real one."""
    cluster = server.cluster
    archive = b"".join(begin(server, tmp_path))
    cluster.write("app/1", {"password": "after"})
    cluster.apply_seconds = 2.0
    assert restore(server, archive) == 204
    assert not cluster.settled.is_set()
    assert cluster.secrets["app/1"].data == {"password": "after"}
    with urlopen(f"{server.address}/v1/sys/health", timeout=10) as answer:
        assert answer.status == 200
    assert cluster.settled.is_set()
    assert cluster.secrets["app/1"].data == {"password": "before"}
