"""The faults of the cluster in memory take hold where they are placed, and nowhere else."""

from __future__ import annotations

import pytest

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster
from bao_backup.core.errors import (
    LeaderError,
    LeaderLostError,
    LoginError,
    SnapshotCutOffError,
    SnapshotError,
    SnapshotStalledError,
)

ONE, TWO = "https://bao-0.test:8200", "https://bao-1.test:8200"
BODY = bytes(range(256)) * 10


def cluster() -> MemoryCluster:
    """Two nodes; the archive comes in uneven parts."""
    return MemoryCluster(lambda: [BODY[:100], b"", BODY[100:]], (ONE, TWO))


def test_no_fault() -> None:
    """Without faults the archive arrives whole, and the calls are told in order."""
    bao = MemoryBao(cluster())
    leader = bao.find_leader()
    bao.login(leader)
    assert b"".join(bao.snapshot(leader)) == BODY
    bao.revoke(leader)
    assert bao.calls == [("find_leader", ""), ("login", ONE), ("snapshot", ONE), ("revoke", ONE)]
    assert bao.cluster.tokens == {}


def test_the_kth_call() -> None:
    """A fault befalls the calls that it names: here the second and third."""
    fault = BaoFault(method="find_leader", call=2, times=2, error=LeaderError("find", "an election"))
    bao = MemoryBao(cluster(), [fault])
    assert bao.find_leader().address == ONE
    for _ in range(2):
        with pytest.raises(LeaderError, match="an election"):
            bao.find_leader()
    assert bao.find_leader().address == ONE


@pytest.mark.parametrize("after", [0, 1, 99, 100, 101, len(BODY)])
def test_after_so_many_bytes(after: int) -> None:
    """A stream gives exactly so many bytes, and then fails; the next one is whole."""
    error = SnapshotCutOffError("read", "the connection ended")
    bao = MemoryBao(cluster(), [BaoFault(method="snapshot", after=after, error=error)])
    leader = bao.find_leader()
    bao.login(leader)
    got: list[bytes] = []
    with pytest.raises(SnapshotCutOffError) as caught:
        got.extend(bao.snapshot(leader))
    assert caught.value is error
    assert b"".join(got) == BODY[:after]
    assert b"".join(bao.snapshot(leader)) == BODY


def test_an_election_in_mid_stream() -> None:
    """When another node is elected the stream is cut, and the old leader serves nothing any more."""
    bao = MemoryBao(cluster(), [BaoFault(method="snapshot", after=500, elects=TWO)])
    leader = bao.find_leader()
    bao.login(leader)
    with pytest.raises(SnapshotError, match="after 500 bytes"):
        list(bao.snapshot(leader))
    with pytest.raises(LeaderLostError):
        bao.snapshot(leader)
    after = bao.find_leader()
    assert after.address == TWO
    assert b"".join(bao.snapshot(after)) == BODY


def test_an_election_before_the_login() -> None:
    """An election at a call makes that very call fail."""
    bao = MemoryBao(cluster(), [BaoFault(method="login", elects="")])
    leader = bao.find_leader()
    with pytest.raises(LeaderLostError):
        bao.login(leader)
    with pytest.raises(LeaderError, match="standby"):
        bao.find_leader()


def test_a_lost_answer() -> None:
    """A call whose answer is lost has taken effect: the token exists, and nobody knows it."""
    fault = BaoFault(method="login", lost_answer=True, error=LoginError("log in", "no answer"))
    bao = MemoryBao(cluster(), [fault])
    with pytest.raises(LoginError):
        bao.login(bao.find_leader())
    assert len(bao.cluster.tokens) == 1


def test_a_stall() -> None:
    """A stream that stalls ends with its limit."""
    bao = MemoryBao(cluster(), [BaoFault(method="snapshot", after=5, stall=True)], stall_seconds=0.05)
    leader = bao.find_leader()
    bao.login(leader)
    with pytest.raises(SnapshotStalledError, match=r"0\.05 s, after 5 bytes"):
        list(bao.snapshot(leader))
    assert bao.streams[0].stalled.is_set()
