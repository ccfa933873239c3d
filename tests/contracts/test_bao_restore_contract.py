"""What every Bao promises of a restore: in memory, over HTTP to the development server, and to a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contracts.baos import Cluster, InDevelopment, InMemory, InVault, Rights
from tests.harness.certificates import Authority
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster

from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import InternalError, LeaderLostError
from bao_backup.core.model import Leader, Node, NodeState, Seal
from bao_backup.core.restore_errors import RestoreCutOffError, RestoreDeniedError, RestoreRefusedError
from bao_backup.ports import Bao

PATHS = ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"]
#: As a store gives them.
CHUNK = 1 << 20


class SourceError(Exception):
    """What a source raises."""


def open_and_log_in(cluster: Cluster, rights: Rights = Rights.RESTORE) -> tuple[Bao, Leader]:
    """The port with a login."""
    bao = cluster.open(rights=rights)
    leader = bao.find_leader()
    bao.login(leader)
    return bao, leader


def chunks(archive: bytes, *, then: Exception | None = None) -> Iterator[bytes]:
    """An archive, and an error behind it.

    The last chunk is a small one: a server may take what comes before it for enough.
    """
    for start in range(0, len(archive) - 8, CHUNK):
        yield archive[start : min(start + CHUNK, len(archive) - 8)]
    yield archive[-8:]
    if then is not None:
        raise then


def restore(bao: Bao, leader: Leader, archive: bytes, *, force: bool = False) -> None:
    """Send a whole archive."""
    bao.restore(leader, chunks(archive), len(archive), force=force)


def look(bao: Bao, what: str, wanted: Callable[[tuple[Node, ...]], bool]) -> None:
    """Ask the nodes until they are what is wanted."""
    wait_until(what, lambda: wanted(bao.nodes()), seconds=60, every=0.05)


def leads(nodes: tuple[Node, ...]) -> bool:
    """Whether somebody does."""
    return any(node.state is NodeState.ACTIVE for node in nodes)


def unchanged(bao: Bao, leader: Leader, cluster: Cluster, value: str) -> None:
    """Nothing was applied: some looks later the same leader has the same value, and knows the login."""
    for _ in range(5):
        nodes = bao.nodes()
        assert [node.address for node in nodes if node.state is NodeState.ACTIVE] == [leader.address]
    assert cluster.read() == value
    assert bao.knows_login(leader)


class RestoreContract:
    """The suite; each kind of cluster joins with a class and a fixture."""

    def test_what_was_there_comes_back(self, cluster: Cluster) -> None:
        """The value of the backup's time is back, the index has moved on, and the login is forgotten."""
        cluster.write("old")
        bao, leader = open_and_log_in(cluster)
        archive = b"".join(bao.snapshot(leader))
        cluster.write("new")
        bao, leader = open_and_log_in(cluster)
        assert bao.knows_login(leader)
        before = max(node.applied_index for node in bao.nodes())
        restore(bao, leader, archive)
        look(bao, "the old value", lambda nodes: leads(nodes) and cluster.read() == "old")
        leader = bao.find_leader()
        assert not bao.knows_login(leader)
        assert max(node.applied_index for node in bao.nodes()) >= before + 2
        bao, leader = open_and_log_in(cluster)
        assert bao.knows_login(leader)
        assert b"".join(bao.snapshot(leader))

    def test_other_keys(self, cluster: Cluster) -> None:
        """A snapshot of other keys is refused in the server's words; with force it is taken, and seals.

        All nodes are sealed then, tell their seal all the same, and have the other cluster's value once
        they are unsealed with its key.
        """
        cluster.write("mine")
        archive = cluster.foreign("theirs")
        bao, leader = open_and_log_in(cluster)
        with pytest.raises(RestoreRefusedError, match="different set of unseal keys"):
            restore(bao, leader, archive)
        unchanged(bao, leader, cluster, "mine")
        restore(bao, leader, archive, force=True)
        look(bao, "all to seal", lambda nodes: {node.state for node in nodes} == {NodeState.SEALED})
        assert bao.seal(leader) == Seal(type="shamir", shares=1, threshold=1)
        with pytest.raises(LeaderLostError):
            bao.knows_login(leader)
        cluster.unseal_foreign()
        assert cluster.read() == "theirs"
        found = bao.find_leader()
        assert found.cluster_id
        assert found.cluster_id != leader.cluster_id

    @pytest.mark.parametrize("force", [False, True])
    def test_corrupt(self, cluster: Cluster, *, force: bool) -> None:
        """A snapshot with a wrong byte is refused, with force, too, and nothing changes."""
        cluster.write("there")
        bao, leader = open_and_log_in(cluster)
        archive = bytearray(b"".join(bao.snapshot(leader)))
        archive[len(archive) // 2] ^= 0xFF
        with pytest.raises(RestoreRefusedError):
            restore(bao, leader, bytes(archive), force=force)
        unchanged(bao, leader, cluster, "there")

    @pytest.mark.parametrize("part", [0.5, 1.0])
    @pytest.mark.parametrize("force", [False, True])
    def test_a_source_that_turns_out_bad(self, cluster: Cluster, *, force: bool, part: float) -> None:
        """Its error surfaces, and nothing is applied, even when the whole body was read before it."""
        cluster.write("old")
        bao, leader = open_and_log_in(cluster)
        archive = b"".join(bao.snapshot(leader))
        cluster.write("new")
        bad = SourceError()
        source = chunks(archive[: int(len(archive) * part)], then=bad)
        with pytest.raises(SourceError) as caught:
            bao.restore(leader, source, len(archive), force=force)
        assert caught.value is bad
        unchanged(bao, leader, cluster, "new")

    @pytest.mark.parametrize("off", [-1, 1])
    def test_a_source_of_another_size(self, cluster: Cluster, off: int) -> None:
        """A source that ends a byte early, or a byte late, is cut off, and nothing is applied."""
        cluster.write("old")
        bao, leader = open_and_log_in(cluster)
        archive = b"".join(bao.snapshot(leader))
        cluster.write("new")
        with pytest.raises(RestoreCutOffError):
            bao.restore(leader, chunks(archive), len(archive) - off, force=False)
        unchanged(bao, leader, cluster, "new")

    @pytest.mark.parametrize("force", [False, True])
    def test_denied(self, cluster: Cluster, *, force: bool) -> None:
        """A login that may only take backups may not restore; the error shows the line that it needs."""
        cluster.write("there")
        bao, leader = open_and_log_in(cluster, Rights.GOOD)
        archive = b"".join(bao.snapshot(leader))
        with pytest.raises(RestoreDeniedError, match="403") as caught:
            restore(bao, leader, archive, force=force)
        assert f'path "{PATHS[force]}" {{ capabilities = ["update"] }}' in caught.value.message
        unchanged(bao, leader, cluster, "there")

    def test_capabilities(self, cluster: Cluster) -> None:
        """The login's capabilities are told for each path, so that a denial is known beforehand."""
        bao, leader = open_and_log_in(cluster)
        given = bao.capabilities(leader, PATHS)
        assert given is not None
        assert "update" in given[PATHS[0]]
        assert "update" in given[PATHS[1]]
        bao, leader = open_and_log_in(cluster, Rights.GOOD)
        assert bao.capabilities(leader, PATHS) == {
            PATHS[0]: frozenset({"read"}),
            PATHS[1]: frozenset({"deny"}),
        }

    def test_a_login_that_may_not_even_ask(self, cluster: Cluster) -> None:
        """Where the login may not ask what it may, nobody knows."""
        bao = cluster.open(AuthMethod.TOKEN, Rights.BARE)
        leader = bao.find_leader()
        bao.login(leader)
        assert bao.capabilities(leader, PATHS) is None

    def test_sealed(self, cluster: Cluster) -> None:
        """A server that was sealed since is no leader any more; it tells its seal, and that it is sealed."""
        bao, leader = open_and_log_in(cluster)
        archive = b"".join(bao.snapshot(leader))
        assert leads(bao.nodes())
        cluster.seal()
        with pytest.raises(LeaderLostError):
            restore(bao, leader, archive)
        with pytest.raises(LeaderLostError):
            bao.capabilities(leader, PATHS)
        assert bao.seal(leader).threshold == 1
        assert {node.state for node in bao.nodes()} == {NodeState.SEALED}

    def test_stopped(self, cluster: Cluster) -> None:
        """A server that is gone is a lost leader, and unreachable."""
        bao, leader = open_and_log_in(cluster)
        archive = b"".join(bao.snapshot(leader))
        cluster.stop()
        with pytest.raises(LeaderLostError, match="connection refused"):
            restore(bao, leader, archive)
        with pytest.raises(LeaderLostError):
            bao.seal(leader)
        assert {node.state for node in bao.nodes()} == {NodeState.UNREACHABLE}
        assert [node.address for node in bao.nodes()] == list(cluster.addresses)

    def test_no_login(self, cluster: Cluster) -> None:
        """A restore without a login is a defect of the caller."""
        bao = cluster.open()
        with pytest.raises(InternalError):
            restore(bao, bao.find_leader(), b"x")

    def test_nodes(self, cluster: Cluster) -> None:
        """Each address is told as what it is: the leader that was found is active, the others stand by."""
        bao = cluster.open()
        leader = bao.find_leader()
        nodes = bao.nodes()
        assert [node.address for node in nodes] == list(cluster.addresses)
        assert [node.leader for node in nodes if node.state is NodeState.ACTIVE] == [leader]
        others = {node.state for node in nodes if node.address != leader.address}
        assert others <= {NodeState.STANDBY}
        assert all(node.applied_index > 0 for node in nodes)


class TestInMemory(RestoreContract):
    """The shipped cluster in memory."""

    @pytest.fixture
    def cluster(self) -> Cluster:
        """Two nodes."""
        return InMemory()


class TestInDevelopment(RestoreContract):
    """Development servers, through HttpBao."""

    @pytest.fixture
    def cluster(self, tmp_path: Path, authority: Authority) -> Iterator[Cluster]:
        """Three nodes."""
        cluster = InDevelopment(tmp_path, authority)
        yield cluster
        cluster.end()


@pytest.fixture(scope="module")
def clusters(
    servers_folder: Path, vault_binary: Path, authority: Authority
) -> Iterator[tuple[VaultCluster, VaultCluster]]:
    """Two of one node with different keys: the first is restored into, and may end with the other's."""
    folder = servers_folder / f"{vault_binary.name}-restore"
    with (
        VaultCluster(folder / "target", vault_binary, authority=authority) as target,
        VaultCluster(folder / "source", vault_binary, authority=authority) as source,
    ):
        target.fill(2 << 20)
        yield target, source


@pytest.mark.servers
class TestInVault(RestoreContract):
    """A real Vault or OpenBao, through HttpBao."""

    @pytest.fixture
    def cluster(self, tmp_path: Path, clusters: tuple[VaultCluster, VaultCluster]) -> Iterator[Cluster]:
        """One node, unsealed."""
        target, source = clusters
        target.heal()
        cluster = InVault(tmp_path, target, source)
        yield cluster
        cluster.end()
