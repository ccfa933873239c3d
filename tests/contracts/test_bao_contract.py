"""What every Bao promises: in memory, over HTTP to the development server, and to a real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.contracts.baos import Cluster, InDevelopment, InMemory, InVault, Rights
from tests.harness.certificates import Authority
from tests.harness.vault import VaultCluster

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import (
    InternalError,
    LeaderError,
    LeaderLostError,
    LoginError,
    SnapshotCutOffError,
    SnapshotDeniedError,
    SnapshotStalledError,
)
from bao_backup.core.model import Contents
from bao_backup.ports import Bao

MIB = 1 << 20
#: Far above what it takes, and far below every limit that would end a read by itself.
AT_ONCE = 3.0
TRADED = [AuthMethod.JWT, AuthMethod.KUBERNETES, AuthMethod.APPROLE, AuthMethod.USERPASS]


def read(bao: Bao) -> Contents:
    """One whole snapshot, proven only after all of its chunks were there."""
    leader = bao.find_leader()
    chunks = list(bao.snapshot(leader))
    assert {type(chunk) for chunk in chunks} == {bytes}
    assert max(len(chunk) for chunk in chunks) <= MIB
    reader = ArchiveReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


class BaoContract:
    """The suite; each kind of cluster joins with a class and a fixture."""

    def test_finds_the_leader(self, cluster: Cluster) -> None:
        """The leader is one of the configured addresses, and says its version."""
        leader = cluster.open().find_leader()
        assert leader.address in cluster.addresses
        assert leader.version
        assert leader.cluster_id

    def test_finds_the_next_leader(self, cluster: Cluster) -> None:
        """After an election another address leads, and the login of before serves there, too."""
        bao = cluster.open()
        before = bao.find_leader()
        bao.login(before)
        cluster.step_down()
        assert bao.find_leader().address != before.address
        assert read(bao).inventory.entries > 0

    def test_tells_its_time(self, cluster: Cluster) -> None:
        """The leader tells its time, in UTC, without a login."""
        bao = cluster.open()
        told = bao.server_time(bao.find_leader())
        assert told is not None
        assert abs(datetime.now(UTC) - told) < timedelta(seconds=30)

    def test_no_leader_when_sealed(self, cluster: Cluster) -> None:
        """Where all are sealed, the error names each address, and says so."""
        bao = cluster.open()
        cluster.seal()
        with pytest.raises(LeaderError) as caught:
            bao.find_leader()
        for address in cluster.addresses:
            assert f"{address} sealed" in caught.value.why

    def test_no_leader_when_stopped(self, cluster: Cluster) -> None:
        """Where nobody answers, the error names each address, and says so."""
        bao = cluster.open()
        cluster.stop()
        with pytest.raises(LeaderError) as caught:
            bao.find_leader()
        for address in cluster.addresses:
            assert f"{address} connection refused" in caught.value.why

    @pytest.mark.parametrize("method", AuthMethod)
    def test_login(self, cluster: Cluster, method: AuthMethod) -> None:
        """Each way of logging in leads to a whole snapshot."""
        bao = cluster.open(method)
        bao.login(bao.find_leader())
        contents = read(bao)
        assert contents.size > 0
        assert contents.meta.index > 0

    @pytest.mark.parametrize("method", TRADED)
    def test_login_refused(self, cluster: Cluster, method: AuthMethod) -> None:
        """Wrong credentials are a LoginError that does not repeat them."""
        bao = cluster.open(method, Rights.WRONG)
        with pytest.raises(LoginError) as caught:
            bao.login(bao.find_leader())
        assert "refused" in caught.value.why
        assert "wrong" not in caught.value.message

    def test_denied(self, cluster: Cluster) -> None:
        """A token without the right gets SnapshotDeniedError, which shows the policy that is needed."""
        bao = cluster.open(AuthMethod.TOKEN, Rights.WEAK)
        leader = bao.find_leader()
        bao.login(leader)
        with pytest.raises(SnapshotDeniedError, match="403") as caught:
            bao.snapshot(leader)
        assert 'path "sys/storage/raft/snapshot"' in caught.value.message

    def test_no_login(self, cluster: Cluster) -> None:
        """A snapshot without a login is a defect of the caller."""
        bao = cluster.open()
        with pytest.raises(InternalError):
            bao.snapshot(bao.find_leader())

    def test_revoke(self, cluster: Cluster) -> None:
        """A token that was obtained is gone after it was revoked; to revoke twice is no error."""
        bao = cluster.open()
        leader = bao.find_leader()
        before = cluster.tokens()
        bao.login(leader)
        assert cluster.tokens() == before + 1
        bao.revoke(leader)
        assert cluster.tokens() == before
        bao.revoke(leader)
        with pytest.raises(InternalError):
            bao.snapshot(leader)

    def test_a_former_leader(self, cluster: Cluster) -> None:
        """Who leads no more serves no snapshot: LeaderLostError."""
        bao = cluster.open()
        leader = bao.find_leader()
        bao.login(leader)
        cluster.step_down()
        with pytest.raises(LeaderLostError):
            bao.snapshot(leader)

    def test_a_stall(self, cluster: Cluster) -> None:
        """A stream that gives no byte for the stall limit ends with SnapshotStalledError."""
        bao = cluster.open_stalling(0.3)
        leader = bao.find_leader()
        bao.login(leader)
        with pytest.raises(SnapshotStalledError, match=r"no byte for 0\.3 s"):
            list(bao.snapshot(leader))

    def test_close_from_another_thread(self, cluster: Cluster) -> None:
        """To close a stream ends a read under way at once, with SnapshotCutOffError."""
        bao = cluster.open_stalling(60)
        leader = bao.find_leader()
        bao.login(leader)
        stream = bao.snapshot(leader)
        caught: list[BaseException] = []

        def drain() -> None:
            try:
                list(stream)
            except SnapshotCutOffError as error:
                caught.append(error)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        cluster.wait_until_stalled(stream)
        begun = time.monotonic()
        stream.close()
        reader.join(AT_ONCE)
        assert time.monotonic() - begun < AT_ONCE
        assert len(caught) == 1
        assert "this side closed" in str(caught[0])
        stream.close()

    def test_close_before_reading(self, cluster: Cluster) -> None:
        """A stream that nobody has read from may be closed, and then gives nothing."""
        bao = cluster.open()
        leader = bao.find_leader()
        bao.login(leader)
        stream = bao.snapshot(leader)
        stream.close()
        with pytest.raises(SnapshotCutOffError):
            list(stream)

    def test_a_configured_token_stays(self, cluster: Cluster) -> None:
        """A token that was configured is not ours to revoke: it opens the next login as well."""
        bao = cluster.open(AuthMethod.TOKEN)
        leader = bao.find_leader()
        bao.login(leader)
        before = cluster.tokens()
        bao.revoke(leader)
        assert cluster.tokens() == before
        bao.login(leader)
        assert read(bao).size > 0


class TestInMemory(BaoContract):
    """The shipped cluster in memory."""

    @pytest.fixture
    def cluster(self) -> Cluster:
        """Two nodes."""
        return InMemory()


class TestInDevelopment(BaoContract):
    """Development servers, through HttpBao."""

    @pytest.fixture
    def cluster(self, tmp_path: Path, authority: Authority) -> Iterator[Cluster]:
        """Three nodes."""
        cluster = InDevelopment(tmp_path, authority)
        yield cluster
        cluster.end()


@pytest.mark.servers
class TestInVault(BaoContract):
    """A real Vault or OpenBao, through HttpBao."""

    @pytest.fixture
    def cluster(self, tmp_path: Path, vault_cluster: VaultCluster) -> Iterator[Cluster]:
        """Three nodes."""
        cluster = InVault(tmp_path, vault_cluster)
        yield cluster
        cluster.end()
