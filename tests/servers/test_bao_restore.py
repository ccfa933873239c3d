"""What a real cluster of three nodes does with a snapshot that it is sent, and what its nodes say of it.

The facts behind docs/decisions/0017-how-a-restore-ends.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
from tests.harness.certificates import Authority
from tests.harness.client import connect
from tests.harness.errors import HarnessError
from tests.harness.logins import create_token
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import LeaderError, LeaderLostError
from bao_backup.core.model import Leader, NodeState
from bao_backup.core.restore_errors import RestoreCutOffError

pytestmark = pytest.mark.servers

PATH = "sys/storage/raft/snapshot"
PIECE = 64 << 10


class Site:
    """Three nodes to restore into, one of other keys, and a client for the three."""

    def __init__(self, folder: Path, target: VaultCluster, source: VaultCluster) -> None:
        self.target, self.source = target, source
        self._token = folder / "token"
        assert target.ca_file is not None
        auth = BaoAuth(method=AuthMethod.TOKEN, token_file=str(self._token))
        settings = BaoSettings(addresses=tuple(target.addresses), auth=auth, ca_file=str(target.ca_file))
        self.bao = HttpBao(settings)

    def log_in(self) -> Leader:
        """With a token that no snapshot of before knows."""
        self._token.write_text(create_token(self.target, ["root"]), encoding="utf-8")
        leader = self.bao.find_leader()
        self.bao.login(leader)
        return leader

    def snapshot(self) -> bytes:
        """What is there now."""
        return b"".join(self.bao.snapshot(self.log_in()))

    def write(self, value: str) -> None:
        """Have this value."""
        self.target.write_secret("value", {"value": value})

    def read(self) -> str:
        """The value that is there, as soon as a leader says it."""
        wait_until("a leader that answers", lambda: self._read() is not None, seconds=60)
        return self._read() or ""

    def _read(self) -> str | None:
        try:
            return (self.target.read_secret("value") or {}).get("value")
        except HarnessError:
            return None

    def knows_login(self) -> bool:
        """What the leader says, as soon as there is one."""
        end = time.monotonic() + 60
        while True:
            try:
                return self.bao.knows_login(self.bao.find_leader())
            except (LeaderError, LeaderLostError):
                assert time.monotonic() < end
                time.sleep(0.1)


@pytest.fixture(scope="module")
def clusters(
    servers_folder: Path, vault_binary: Path, authority: Authority
) -> Iterator[tuple[VaultCluster, VaultCluster]]:
    """The three, and the one with other keys; 4 MiB are in each, which do not compress."""
    folder = servers_folder / f"{vault_binary.name}-restores"
    with (
        VaultCluster(folder / "target", vault_binary, count=3, authority=authority) as target,
        VaultCluster(folder / "source", vault_binary, authority=authority) as source,
    ):
        target.fill(4 << 20)
        yield target, source


@pytest.fixture
def site(tmp_path: Path, clusters: tuple[VaultCluster, VaultCluster]) -> Site:
    """All nodes serve."""
    target, source = clusters
    target.heal()
    return Site(tmp_path, target, source)


def pieces(archive: bytes) -> Iterator[bytes]:
    """In chunks."""
    for start in range(0, len(archive), PIECE):
        yield archive[start : start + PIECE]


def test_three_nodes(site: Site) -> None:
    """All have what was restored; the leader stays, says nothing meanwhile, and knows the login no more."""
    site.write("old")
    archive = site.snapshot()
    site.write("new")
    leader = site.log_in()
    before = {node.address: node.applied_index for node in site.bao.nodes()}
    site.bao.restore(leader, pieces(archive), len(archive), force=False)
    begun = time.monotonic()
    assert not site.knows_login()
    assert site.bao.find_leader().address == leader.address
    assert site.read() == "old"
    wait_until(
        "all nodes to apply it",
        lambda: all(node.applied_index >= before[node.address] + 2 for node in site.bao.nodes()),
        seconds=30,
    )
    assert time.monotonic() - begun > 4, "it waits 5 s for its followers: less would need another limit"


@pytest.mark.parametrize("seconds", [0.0, 0.8, 3.0])
def test_the_leader_dies_after_its_answer(site: Site, seconds: float) -> None:
    """To be accepted is not to be applied; whatever came of it, the login tells which it is."""
    site.write("old")
    archive = site.snapshot()
    site.write("new")
    leader = site.log_in()
    node = site.target.leader()
    assert node.url == leader.address
    site.bao.restore(leader, pieces(archive), len(archive), force=False)
    time.sleep(seconds)
    site.target.kill(node)
    known = site.knows_login()
    assert site.bao.find_leader().address != leader.address
    assert site.read() == ("new" if known else "old")


def test_the_leader_dies_in_mid_body(site: Site) -> None:
    """Who never had the end applies nothing, and neither does the next leader."""
    site.write("old")
    archive = site.snapshot()
    site.write("new")
    leader = site.log_in()
    node = site.target.leader()

    def source() -> Iterator[bytes]:
        yield archive[: len(archive) // 2]
        site.target.kill(node)
        yield archive[len(archive) // 2 :]

    with pytest.raises((RestoreCutOffError, LeaderLostError)):
        site.bao.restore(leader, source(), len(archive), force=False)
    assert site.knows_login()
    assert site.read() == "new"


def test_a_standby_takes_none(site: Site) -> None:
    """A standby sends elsewhere, and nobody follows with the token."""
    archive = site.snapshot()
    site.log_in()
    standby = Leader(address=site.target.standbys()[0].url)
    with pytest.raises(LeaderLostError, match="307"):
        site.bao.restore(standby, pieces(archive), len(archive), force=False)
    assert site.knows_login()


def test_a_snapshot_without_its_last_bytes_is_applied(site: Site) -> None:
    """The reason to hold back the end: a server does not look at what stands behind the last member."""
    site.write("old")
    archive = site.snapshot()
    site.write("new")
    site.log_in()
    node = site.target.leader()
    connection = connect(node.url, node.context, timeout=1)
    connection.putrequest("POST", f"/v1/{PATH}")
    connection.putheader("X-Vault-Token", site.target.root_token)
    connection.putheader("Content-Length", str(len(archive)))
    connection.endheaders()
    connection.send(archive[:-8])
    with pytest.raises((OSError, HTTPException)):
        connection.getresponse()
    connection.close()
    wait_until("the old value", lambda: site.read() == "old", seconds=60)
    assert not site.knows_login()


def test_other_keys_seal_three_nodes(site: Site) -> None:
    """With force it is taken, and all nodes seal; the key of the snapshot's time unseals them.

    The cluster that the snapshot is of must be gone by then: a standby would ask it, and be told that
    it is none of its nodes.
    """
    site.write("mine")
    site.source.write_secret("value", {"value": "theirs"})
    source = site.source.leader()
    connection = connect(source.url, source.context)
    connection.request("GET", f"/v1/{PATH}", headers={"X-Vault-Token": site.source.root_token})
    archive = connection.getresponse().read()
    connection.close()
    site.source.stop()
    leader = site.log_in()
    site.bao.restore(leader, pieces(archive), len(archive), force=True)
    wait_until(
        "all nodes to seal",
        lambda: {node.state for node in site.bao.nodes()} == {NodeState.SEALED},
        seconds=60,
    )
    assert site.bao.seal(leader).threshold == 1
    refused = site.target.nodes[0].request("PUT", "sys/unseal", {"key": site.target.unseal_key})
    assert refused.status == 400
    site.target.unseal_key, site.target.root_token = site.source.unseal_key, site.source.root_token
    site.target.heal()
    assert site.read() == "theirs"
    found = site.bao.find_leader()
    assert found.cluster_id not in ("", leader.cluster_id)
    site.log_in()
    assert len([node for node in site.bao.nodes() if node.state is NodeState.STANDBY]) == 2
