"""The faults of the cluster in memory take hold where they are placed, and nowhere else."""

from __future__ import annotations

import threading
from hashlib import sha256

import pytest
from tests.harness.process import wait_until

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, MemoryCluster
from bao_backup.core.archive_writer import build_archive
from bao_backup.core.errors import (
    LeaderError,
    LeaderLostError,
    LoginError,
    RestoreUnknownError,
    SnapshotCutOffError,
    SnapshotError,
    SnapshotStalledError,
)
from bao_backup.core.model import Leader, NodeState
from bao_backup.core.restore_errors import RestoreCutOffError, RestoreDeniedError, RestoreRefusedError

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


# --- restores ----------------------------------------------------------------------------------

ARCHIVE = b"".join(build_archive([(b"logical/1/%d" % each, bytes(40)) for each in range(50)]))
SUM = sha256(ARCHIVE).hexdigest()


def restoring(*faults: BaoFault, stall_seconds: float = 60.0) -> tuple[MemoryBao, Leader]:
    """A login that may restore."""
    bao = MemoryBao(cluster(), faults, stall_seconds=stall_seconds)
    leader = bao.find_leader()
    bao.login(leader)
    return bao, leader


def send(bao: MemoryBao, leader: Leader, *, force: bool = False) -> None:
    """The archive, in small chunks."""
    pieces = (ARCHIVE[start : start + 100] for start in range(0, len(ARCHIVE), 100))
    bao.restore(leader, pieces, len(ARCHIVE), force=force)


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_a_restore_is_applied_after_so_many_looks(looks: int) -> None:
    """It is accepted at once; until it is applied the leader is silent; then the archive is the new state."""
    bao, leader = restoring()
    bao.cluster.looks_until_applied = looks
    bao.cluster.forgets_tokens = True
    send(bao, leader)
    states = []
    while bao.cluster.applying:
        states.append(bao.nodes()[0].state)
    assert states == [NodeState.UNREACHABLE] * (looks - 1) + [NodeState.ACTIVE] * (looks > 0)
    assert bao.cluster.applied == [SUM]
    assert bao.cluster.submissions == 1
    assert not bao.knows_login(leader)
    bao.login(leader)
    assert b"".join(bao.snapshot(leader)) == ARCHIVE


def test_what_is_seen_while_it_is_applied() -> None:
    """Silent, the leader serves nothing; shown as active, it has what it had before."""
    bao, leader = restoring()
    bao.cluster.looks_until_applied = 9
    send(bao, leader)
    for ask in (bao.find_leader, lambda: bao.knows_login(leader), lambda: bao.seal(leader)):
        with pytest.raises((LeaderError, LeaderLostError)):
            ask()
    bao.cluster.while_applying = NodeState.ACTIVE
    assert bao.knows_login(leader)
    assert bao.nodes()[0].applied_index == 100
    assert bao.cluster.applied == []


def test_other_keys_seal() -> None:
    """A snapshot of other keys is refused without force, and with it seals every node."""
    bao, leader = restoring()
    bao.cluster.keys_differ = True
    with pytest.raises(RestoreRefusedError):
        send(bao, leader)
    send(bao, leader, force=True)
    bao.nodes()
    assert {node.state for node in bao.nodes()} == {NodeState.SEALED}
    assert bao.cluster.applied == [SUM]
    assert bao.seal(leader).threshold == 1


@pytest.mark.parametrize("applies", [True, False])
def test_an_answer_that_is_lost(*, applies: bool) -> None:
    """Who hears nothing after the last byte does not know, whether it is applied or not."""
    bao, leader = restoring(BaoFault(method="restore", lost_answer=True))
    bao.cluster.applies = applies
    with pytest.raises(RestoreUnknownError):
        send(bao, leader)
    for _ in range(3):
        bao.nodes()
    assert bao.cluster.applied == ([SUM] if applies else [])


@pytest.mark.parametrize("after", [0, 1, 100, len(ARCHIVE) - 1])
def test_a_restore_that_is_cut_off(after: int) -> None:
    """In mid-body nothing is applied, the source is closed, and the next try goes through."""
    bao, leader = restoring(BaoFault(method="restore", after=after, elects=TWO))
    with pytest.raises(RestoreCutOffError, match=f"after {after} bytes"):
        send(bao, leader)
    assert bao.cluster.leads(TWO)
    send(bao, bao.find_leader())
    assert bao.cluster.submissions == 2


def test_all_was_sent_and_nothing_taken() -> None:
    """A fault behind the last byte leaves the outcome unknown, and the server as it was."""
    bao, leader = restoring(BaoFault(method="restore", after=len(ARCHIVE)))
    with pytest.raises(RestoreUnknownError):
        send(bao, leader)
    assert not bao.cluster.applying
    assert bao.cluster.submissions == 1


def test_the_leader_is_lost_before() -> None:
    """A leader that steps down before the first byte has heard of nothing."""
    bao, leader = restoring(BaoFault(method="restore", elects=TWO))
    with pytest.raises(LeaderLostError):
        send(bao, leader)
    assert bao.cluster.submissions == 0


@pytest.mark.parametrize(
    ("after", "expected"), [(10, RestoreCutOffError), (len(ARCHIVE), RestoreUnknownError)]
)
def test_a_restore_that_stalls(after: int, expected: type[Exception]) -> None:
    """It ends at its limit, or when it is interrupted, as what the bytes that were sent make of it."""
    fault = BaoFault(method="restore", after=after, stall=True)
    bao, leader = restoring(fault, stall_seconds=0.05)
    with pytest.raises(expected, match=r"no byte for 0\.05 s"):
        send(bao, leader)
    bao, leader = restoring(fault)

    def interrupt_when_it_stalls() -> None:
        wait_until("the call", lambda: bool(bao.restores), seconds=10)
        assert bao.restores[-1].stalled.wait(10)
        bao.interrupt()

    thread = threading.Thread(target=interrupt_when_it_stalls)
    thread.start()
    with pytest.raises(expected, match="this side closed"):
        send(bao, leader)
    thread.join()


def test_rights_by_path() -> None:
    """Each path has its own right, and a login that may not ask learns nothing of them."""
    bao, leader = restoring()
    bao.cluster.capabilities = {"sys/storage/raft/snapshot": frozenset({"update"})}
    paths = ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"]
    assert bao.capabilities(leader, paths) == {paths[0]: frozenset({"update"}), paths[1]: frozenset({"deny"})}
    with pytest.raises(RestoreDeniedError) as caught:
        send(bao, leader, force=True)
    assert 'path "sys/storage/raft/snapshot-force"' in caught.value.hint
    bao.cluster.capabilities = None
    assert bao.capabilities(leader, paths) is None


def test_a_corrupt_archive_is_refused() -> None:
    """It reads what it gets, as a server does."""
    bao, leader = restoring()
    with pytest.raises(RestoreRefusedError, match="failed to read"):
        bao.restore(leader, iter([ARCHIVE[:-9]]), len(ARCHIVE) - 9, force=True)
    assert not bao.cluster.applying
