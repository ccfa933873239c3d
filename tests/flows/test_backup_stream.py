"""What befalls the stream: cut off, stalled, spoilt, its leader gone. Nothing of it is ever visible."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.archives import prove
from tests.flows.site import EARLIER, KEY, NODES, PIECE, QUICK, Site, snapshot

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, NodeState
from bao_backup.adapters.memory_bao.snapshot import MemorySnapshot
from bao_backup.core.errors import (
    ArchiveError,
    ArchiveTruncatedError,
    BaoBackupError,
    LeaderError,
    LeaderLostError,
    SnapshotCutOffError,
    SnapshotStalledError,
)
from bao_backup.core.model import Leader, VerifyLevel

SIZE = len(snapshot(2))
#: Around the first and the last byte, at the borders of chunks, and in between.
OFFSETS = sorted(
    {0, 1, 9, 10, 11, PIECE - 1, PIECE, PIECE + 1, SIZE - 9, SIZE - 8, SIZE - 2, SIZE - 1, SIZE}
    | set(range(100, SIZE, SIZE // 40))
)
CUT = SnapshotCutOffError("read the snapshot", "reset by peer")
SPOILT = SnapshotStalledError("read the snapshot", "no byte for 60 s")


def refused(site: Site, *faults: BaoFault, kind: type[BaoBackupError]) -> BaoBackupError:
    """A run that must fail in this way, and leave nothing."""
    flow = site.flow((), faults)
    with pytest.raises(kind) as caught:
        flow.take()
    assert site.visible() == [EARLIER, f"{EARLIER}.json"]
    site.check()
    assert site.cluster.tokens == {}, "the token was revoked"
    assert isinstance(site.bao, MemoryBao)
    assert all(stream.closed for stream in site.bao.streams), "every stream was closed"
    return caught.value


def test_all_goes_well() -> None:
    """The bytes are the server's, the receipt says what they are, nobody holds a token any more."""
    site = Site()
    taken = site.run()
    assert site.body(KEY) == site.archive
    receipt, contents = taken.receipt, prove(site.archive)
    assert (receipt.size, receipt.sha256, receipt.snapshot) == (SIZE, contents.sha256, contents.meta)
    assert (receipt.cluster.id, receipt.cluster.server_version) == ("memory", "2.4.4")
    assert (receipt.verification.level, taken.tries, taken.found) == (VerifyLevel.HEAD, 1, False)
    assert (receipt.started, receipt.finished) == (site.clock.now(), site.clock.now())
    assert site.cluster.tokens == {}
    site.check()


def test_the_time_of_the_data_is_that_of_the_stream_which_succeeded() -> None:
    """Not of when the run began to look for a leader, nor of a try that failed: durations keep the former."""
    site = Site()
    began = site.clock.now()

    class Slow(MemoryBao):
        """A minute until it tells who leads, and half a second until a stream begins."""

        def find_leader(self) -> Leader:
            site.clock.pass_(60)
            return super().find_leader()

        def snapshot(self, leader: Leader) -> MemorySnapshot:
            site.clock.pass_(0.5)
            return super().snapshot(leader)

    faults = [BaoFault(method="snapshot", after=PIECE, error=CUT)]
    receipt = site.run(bao=Slow(site.cluster, faults)).receipt
    assert receipt.started == began
    assert receipt.taken == receipt.stream_started == began + timedelta(seconds=121)
    site.check()


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_stream_that_is_cut_off_is_tried_again_from_the_start(offset: int) -> None:
    """At whatever byte, also behind the last one; the second try makes the backup."""
    site = Site()
    taken = site.flow((), [BaoFault(method="snapshot", after=offset, error=CUT)]).take()
    assert taken.tries == 2
    assert site.body(KEY) == site.archive
    site.check()


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_stream_that_is_always_cut_off_fails_and_leaves_nothing(offset: int) -> None:
    """Three tries; the reason is the stream's, not the archive's."""
    site = Site()
    error = refused(
        site, BaoFault(method="snapshot", after=offset, error=CUT, times=3), kind=SnapshotCutOffError
    )
    assert (error.exit_code, error.reason) == (4, "SnapshotCutOff")


@pytest.mark.parametrize("offset", [each for each in OFFSETS if each < SIZE])
def test_a_stream_that_ends_early_as_if_all_were_well_is_no_snapshot(offset: int) -> None:
    """A proxy that ends it cleanly cannot make a backup of a part."""
    site = Site()
    whole, site.archive = site.archive, site.archive[:offset]
    error = refused(site, kind=ArchiveTruncatedError)
    assert (error.exit_code, error.reason) == (6, "ArchiveTruncated")
    site.archive = whole
    site.run()
    site.check()


@pytest.mark.parametrize("offset", [0, 1, 3, *range(10, SIZE, SIZE // 50), SIZE - 8, SIZE - 1])
def test_one_wrong_byte_anywhere_is_no_snapshot(offset: int) -> None:
    """Three tries of the same, and nothing is visible."""
    site = Site()
    spoilt = bytearray(site.archive)
    spoilt[offset] ^= 0x20
    site.archive = bytes(spoilt)
    error = refused(site, kind=ArchiveError)
    assert error.exit_code == 6


def test_one_wrong_byte_once_costs_one_try() -> None:
    """A good stream after a bad one makes the backup."""
    site = Site()
    good = site.archive
    site.archive = good[:5000] + b"\0\0" + good[5002:]

    def mend() -> None:
        site.archive = good

    site.reporter.at_words = ("try 1 failed", mend)
    assert site.run().tries == 2
    assert site.body(KEY) == good


def test_bytes_behind_the_end_are_no_snapshot() -> None:
    """Somebody put two streams together."""
    site = Site()
    site.archive += site.archive
    refused(site, kind=ArchiveError)


@pytest.mark.parametrize("offset", [0, PIECE, SIZE // 2, SIZE])
def test_a_stall_is_noticed_and_tried_again(offset: int) -> None:
    """No byte for too long is as bad as the connection's end."""
    site = Site()
    taken = site.flow((), [BaoFault(method="snapshot", after=offset, stall=True)]).take()
    assert taken.tries == 2
    error = refused(
        Site(), BaoFault(method="snapshot", after=offset, stall=True, times=3), kind=SnapshotStalledError
    )
    assert (error.exit_code, error.reason) == (4, "SnapshotStalled")


@pytest.mark.parametrize("offset", [0, PIECE, SIZE // 2, SIZE - 1])
def test_the_leader_dies_in_mid_stream_and_another_takes_over(offset: int) -> None:
    """The new leader is found, with the same login, and the backup is of one stream alone."""
    site = Site()
    dies = BaoFault(method="snapshot", after=offset, elects=NODES[2], error=CUT)
    taken = site.flow((), [dies]).take()
    assert taken.tries == 2
    assert isinstance(site.bao, MemoryBao)
    asked = [(method, address) for method, address in site.bao.calls if method != "find_leader"]
    assert asked == [
        ("login", NODES[0]),
        ("snapshot", NODES[0]),
        ("snapshot", NODES[2]),
        ("revoke", NODES[2]),
    ]
    assert site.cluster.tokens == {}
    site.check()


def test_the_leader_steps_down_quietly_in_mid_stream() -> None:
    """Its connection ends when it leads no more; an election takes a while."""
    site = Site()

    def elect_nobody() -> None:
        site.cluster.elect("")

    def elect_the_next() -> None:
        site.cluster.elect(NODES[1])

    site.reporter.at_bytes = (5000, elect_nobody)
    site.reporter.at_words = ("waiting for a leader", elect_the_next)
    assert site.run().tries == 2
    assert any(words.startswith("waiting for a leader") for words in site.reporter.words)
    assert any(words.startswith(f"the leader is {NODES[1]}") for words in site.reporter.words)
    site.check()


def test_all_nodes_are_sealed_in_mid_stream() -> None:
    """The run waits as long as it may, and then says that there is no leader, and what each node says."""
    site = Site()
    site.reporter.at_bytes = (5000, lambda: site.cluster.set_all(NodeState.SEALED))
    site.reporter.at_words = ("waiting for a leader", lambda: site.clock.pass_(QUICK.leader_wait))
    flow = site.flow()
    with pytest.raises(LeaderError) as caught:
        flow.take()
    assert (caught.value.exit_code, caught.value.reason) == (3, "NoLeader")
    assert "https://bao-0:8200 sealed" in caught.value.why
    assert flow.warnings == ("the login token was not revoked: it is not the leader any more",)
    assert KEY not in site.visible()


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_the_last_try_decides_the_reason(tries: int) -> None:
    """Each try may fail in its own way; the reason is that of the last one."""
    site = Site()
    faults = [
        BaoFault(method="snapshot", call=1, after=100, error=CUT),
        BaoFault(method="snapshot", call=2, after=200, error=SPOILT),
        BaoFault(method="snapshot", call=3, error=LeaderLostError("read", "503")),
    ][:tries]
    flow = site.flow((), faults)
    if tries < 3:
        assert flow.take().tries == tries + 1
    else:
        with pytest.raises(LeaderLostError):
            flow.take()


def test_progress_is_told() -> None:
    """Whom it asks, where to, and what it tries again, in words."""
    site = Site()
    site.flow((), [BaoFault(method="snapshot", after=100, error=CUT)]).take()
    leader = f"the leader is {NODES[0]}, version 2.4.4"
    streaming = f"streaming into memory://bucket/{KEY}"
    again = "try 1 failed (reset by peer); trying again"
    assert site.reporter.words == [leader, streaming, again, leader, streaming]
