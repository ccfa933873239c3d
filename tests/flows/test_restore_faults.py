"""A fault at every call that a restore makes, one by one: before it has an effect, and after.

Always asked: what the server has now, how often something was sent to it, and whether there is a way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import pytest
from tests.flows.restore_site import RestoreSite, snapshot
from tests.flows.site import EARLIER, NODES, PIECE

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao
from bao_backup.adapters.memory_bao import Method as BaoMethod
from bao_backup.adapters.memory_store import Fault, FaultyStore
from bao_backup.adapters.memory_store import Method as StoreMethod
from bao_backup.core.errors import (
    BaoBackupError,
    LeaderError,
    LeaderLostError,
    LoginError,
    RestoreUnknownError,
    ServerUntrustedError,
    SnapshotDeniedError,
    StorageError,
    StoredDiffersError,
)
from bao_backup.core.model import Leader
from bao_backup.core.restore_errors import (
    RestoreCutOffError,
    RestoreDeniedError,
    RestoreRefusedError,
    SafetyBackupError,
)
from bao_backup.core.storage_errors import StorageDeniedError, StorageUnavailableError
from bao_backup.flows.restore_source import RestoreSource

#: Why each call of the source is made.
SOURCE = [
    "get",  # its receipt
    "head",  # one immutable object
    "get",  # the proof
    "get",  # what is sent
]
SAFETY = ["get", "sweep", "put", "get", "head", "create", "head"]
BAO = [
    "find_leader",
    "seal",
    "login",
    "capabilities",
    "nodes",
    # a person says yes; the safety backup
    "find_leader",
    "knows_login",
    "snapshot",
    # who leads now, and what is there before
    "find_leader",
    "knows_login",
    "nodes",
    "knows_login",
    "restore",
    # what became of it: silent at the first look, settled at the fourth
    "nodes",
    "nodes",
    "knows_login",
    "nodes",
    "knows_login",
    "nodes",
    "knows_login",
    # the login is not known any more: there is nothing to revoke
    "find_leader",
    "knows_login",
]
SUBMISSION = BAO.index("restore")


class Call(NamedTuple):
    """The so-manyeth call of a method."""

    place: int
    method: str
    number: int


def calls(methods: list[str]) -> list[Call]:
    """Each with its number among those of its method."""
    return [Call(place, method, methods[: place + 1].count(method)) for place, method in enumerate(methods)]


def name(call: Call) -> str:
    """For people."""
    return f"{call.method} {call.number}"


def test_a_restore_calls_what_this_file_makes_fail() -> None:
    """So that a call that is added is not forgotten here."""
    site = RestoreSite()
    assert site.run().warnings == ()
    assert [method for method, _ in site.faulty.calls] == SOURCE
    assert [method for method, _ in site.safety.calls] == SAFETY
    assert [method for method, _ in site.bao.calls] == BAO
    site.check(data="old", submissions=1, safety=True)


@pytest.mark.parametrize("call", calls(SOURCE), ids=name)
@pytest.mark.parametrize("kind", [StorageUnavailableError, StorageDeniedError])
def test_the_source_fails(call: Call, kind: type[StorageError]) -> None:
    """That ends the restore with that very reason; the server never has a whole body.

    A call that gives bytes fails at once, at its first byte, and in its middle.
    """
    for after in (None, 1, 1000) if call.method == "get" else (None,):
        site = RestoreSite()
        method = cast("StoreMethod", call.method)
        with pytest.raises(kind):
            site.run([Fault(method, kind("try", "told to fail"), call=call.number, after=after)])
        sent = call.place == len(SOURCE) - 1
        site.check(data="new", submissions=int(sent), safety=sent)


@pytest.mark.parametrize("call", calls(SAFETY), ids=name)
@pytest.mark.parametrize("lost_answer", [False, True], ids=["before", "after"])
def test_the_place_of_the_safety_backup_fails(call: Call, lost_answer: bool) -> None:
    """Without a way back nothing is sent; that leftovers may not be looked for is a warning only."""
    site = RestoreSite()
    error = StorageDeniedError("try", "told to fail")
    fault = Fault(cast("StoreMethod", call.method), error, call=call.number, lost_answer=lost_answer)
    if call.method == "sweep":
        restored = site.run(safety_faults=[fault])
        assert restored.warnings == (
            "safety backup: leftovers of killed runs were not looked for: told to fail",
        )
        site.check(data="old", submissions=1, safety=True)
        return
    with pytest.raises(SafetyBackupError, match="told to fail") as caught:
        site.run(safety_faults=[fault])
    assert (caught.value.exit_code, caught.value.reason) == (4, "SafetyBackupFailed")
    assert site.data() == "new"
    assert (site.cluster.submissions, site.cluster.applied, site.cluster.tokens) == (0, [], {})


LOST = LeaderLostError("ask", "it stepped down")
#: Which fault of a call of the cluster's is met how: None means that the restore still is done.
BAO_FAULTS: dict[str, tuple[BaoMethod, int, BaoBackupError, type[BaoBackupError] | None]] = {
    "no leader at first": ("find_leader", 1, LeaderError("find", "an election"), None),
    "a certificate that does not verify": (
        "find_leader",
        1,
        ServerUntrustedError("find", "expired"),
        ServerUntrustedError,
    ),
    "no leader for the safety backup": ("find_leader", 2, LeaderError("find", "an election"), None),
    "another certificate for the safety backup": (
        "find_leader",
        2,
        ServerUntrustedError("find", "expired"),
        SafetyBackupError,
    ),
    "no leader before the submission": ("find_leader", 3, LeaderError("find", "an election"), None),
    "the leader lost at the seal": ("seal", 1, LOST, None),
    "the leader lost at the login": ("login", 1, LOST, None),
    "a login that is refused": ("login", 1, LoginError("log in", "403"), LoginError),
    "the leader lost at the capabilities": ("capabilities", 1, LOST, None),
    "the leader lost at the safety backup's login": ("knows_login", 1, LOST, None),
    "a snapshot that is denied": ("snapshot", 1, SnapshotDeniedError("read", "403"), SafetyBackupError),
    "the leader lost at the snapshot": ("snapshot", 1, LOST, None),
    "the leader lost before the submission": ("knows_login", 2, LOST, None),
    "a leader that does not say before whether it knows the login": ("knows_login", 3, LOST, None),
    "a submission that is denied": ("restore", 1, RestoreDeniedError("send", "403"), RestoreDeniedError),
    "a submission that is refused": ("restore", 1, RestoreRefusedError("send", "400"), RestoreRefusedError),
    "the leader lost at the submission": ("restore", 1, LOST, LeaderLostError),
    "the leader lost at the first look": ("knows_login", 4, LOST, None),
    "the leader lost at the last look": ("knows_login", 6, LOST, None),
    "no leader at the end": ("find_leader", 4, LeaderError("find", "an election"), None),
}


@pytest.mark.parametrize(("method", "call", "error", "kind"), BAO_FAULTS.values(), ids=BAO_FAULTS)
def test_the_cluster_fails_once(
    method: BaoMethod, call: int, error: BaoBackupError, kind: type[BaoBackupError] | None
) -> None:
    """What changes nothing is tried again; a submission never is."""
    site = RestoreSite()
    fault = BaoFault(method=method, call=call, error=error)
    if kind is None:
        site.run((), [fault])
        site.check(data="old", submissions=1, safety=True)
        return
    with pytest.raises(kind):
        site.run((), [fault])
    began = method == "restore"
    assert [each for each, _ in site.bao.calls].count("restore") == int(began)
    site.check(data="new", submissions=0, safety=began)


@pytest.mark.parametrize("call", [call for call in calls(BAO) if call.method != "restore"], ids=name)
@pytest.mark.parametrize("lost_answer", [False, True], ids=["before", "after"])
def test_the_executor_dies_at_a_call_of_the_cluster(call: Call, lost_answer: bool) -> None:
    """As by SIGKILL: what was sent whole is applied, what was not is not; and it was sent once."""
    site = RestoreSite()
    method = cast("BaoMethod", call.method)
    fault = BaoFault(method=method, call=call.number, error=_Killed(), lost_answer=lost_answer)
    with pytest.raises(_Killed):
        site.run((), [fault])
    submitted = call.place > SUBMISSION
    for _ in range(5):
        site.cluster.look()
    assert site.data() == ("old" if submitted else "new")
    assert site.cluster.submissions == int(submitted)
    assert bool(site.way_back()) == (call.place >= BAO.index("find_leader", 6))


@pytest.mark.parametrize("after", [0, 1, 1000, -1])
def test_the_connection_breaks_in_mid_submission(after: int) -> None:
    """Nothing was applied, the person is told so, and it is not sent again."""
    site = RestoreSite()
    at = after if after >= 0 else len(site.old) - 1
    with pytest.raises(RestoreCutOffError) as caught:
        site.run((), [BaoFault(method="restore", after=at)])
    assert "nothing was applied" in caught.value.hint
    site.check(data="new", submissions=1, safety=True)


def test_another_leader_in_mid_submission() -> None:
    """The election cuts it off; the new leader has what was there, and is sent nothing."""
    site = RestoreSite()
    elects = BaoFault(method="restore", after=1000, elects="https://bao-1:8200")
    with pytest.raises(RestoreCutOffError):
        site.run((), [elects])
    site.check(data="new", submissions=1, safety=True)


class Spoiling(FaultyStore):
    """A store in which the object is another one from its so-manyeth reading on."""

    def __init__(self, site: RestoreSite, body: bytes, reading: int, *, etag_stays: bool) -> None:
        super().__init__(site.store)
        self._site = site
        self._body = body
        self._reading = reading
        self._etag_stays = etag_stays
        self._read = 0

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        self._read += key == EARLIER
        if key == EARLIER and self._read == self._reading:
            self._site.store.put(EARLIER, iter([self._body]))
        return super().get(key, etag=None if self._etag_stays else etag)


def spoilt(site: RestoreSite) -> dict[str, bytes]:
    """What may stand in the place of the backup."""
    flipped = bytearray(site.old)
    flipped[len(flipped) // 2] ^= 1
    header = bytearray(site.old)
    header[4] ^= 1  # the time in gzip's header, which no checksum covers
    return {
        "cut off in its middle": site.old[: len(site.old) // 2],
        "cut off by a byte": site.old[:-1],
        "a byte changed": bytes(flipped),
        "a byte changed that only the digest covers": bytes(header),
        "bytes behind it": site.old + b"\0",
        "another backup": site.new,
        "no snapshot": b"hello",
        "nothing": b"",
    }


SPOILT = list(spoilt(RestoreSite()))


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_the_backup_is_refused_before_the_server_hears_of_it(what: str) -> None:
    """The receipt, or the archive itself, tells."""
    site = RestoreSite()
    source = Spoiling(site, spoilt(site)[what], 1, etag_stays=True)
    with pytest.raises(BaoBackupError) as caught:
        site.run(store=source)
    assert caught.value.exit_code == 6
    assert site.bao.calls == []
    assert (site.data(), site.cluster.submissions, site.way_back()) == ("new", 0, [])


@pytest.mark.parametrize("what", SPOILT)
@pytest.mark.parametrize("etag_stays", [True, False], ids=["unseen", "with another ETag"])
def test_what_changes_between_proof_and_stream_is_cut_off(what: str, etag_stays: bool) -> None:
    """Whatever the store says of it: the server never has the end of it, and applies nothing."""
    site = RestoreSite()
    source = Spoiling(site, spoilt(site)[what], 2, etag_stays=etag_stays)
    with pytest.raises(BaoBackupError) as caught:
        site.run(store=source)
    assert caught.value.exit_code == (6 if etag_stays else 5)
    assert (site.data(), site.cluster.applied) == ("new", [])
    assert site.cluster.submissions == 1
    assert len(site.way_back()) == 1
    assert site.cluster.tokens == {}


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("a byte changed that only the digest covers", 0),
        ("the last byte changed", None),
        ("another backup, and more behind it", 0),
        ("longer", None),
    ],
)
def test_what_is_read_again_is_known_for_what_was_proven_before_it_is_given_out(
    what: str, most: int | None
) -> None:
    """A server takes a whole snapshot also when more comes behind it: a sum at the end would be too late."""
    site = RestoreSite()
    site.store.put(EARLIER, iter([snapshot(6, padding=600)]))
    site.store.delete(f"{EARLIER}.json")
    source = RestoreSource(site.settings(), site.store, stop=site.stop, reporter=site.reporter, block=PIECE)
    proven, was = source.prove(), site.body(EARLIER)
    body = {
        "a byte changed that only the digest covers": was[:4] + bytes([was[4] ^ 1]) + was[5:],
        "the last byte changed": was[:-1] + bytes([was[-1] ^ 1]),
        "another backup, and more behind it": site.new + was[len(site.new) :],
        "longer": was + b"x" * PIECE,
    }[what]
    stored = site.store.put(EARLIER, iter([body]))
    given: list[bytes] = []
    with pytest.raises(StoredDiffersError):
        given.extend(source.again(stored, proven.contents))
    out = b"".join(given)
    assert was.startswith(out)
    assert len(out) < len(was)
    assert most is None or len(out) <= most
    assert not source.whole


@pytest.mark.parametrize("call", [1, 2], ids=["before the proposal", "before the submission"])
def test_another_leader_between_two_questions(call: int) -> None:
    """What is proposed, and what is sent, is about one leader: it is asked again."""
    site = RestoreSite()
    with site.flow((), [BaoFault(method="nodes", call=call, elects=NODES[1])]) as flow:
        proposal = flow.prove()
        active = [node.address for node in proposal.nodes if node.leader is not None]
        assert active == [proposal.leader.address]
        assert flow.carry_out(proposal).leader.address == NODES[1]
    site.check(data="old", submissions=1, safety=True)
    assert any(words.startswith("the leader was lost") for words in site.reporter.words)


def test_a_leader_that_is_lost_again_and_again_ends_the_restore() -> None:
    """After three tries."""
    site = RestoreSite()
    with pytest.raises(LeaderLostError):
        site.run((), [BaoFault(method="seal", error=LOST, times=1000)])
    assert [method for method, _ in site.bao.calls].count("seal") == 3
    site.check(data="new", submissions=0, safety=False)


@pytest.mark.parametrize("whole", [False, True])
def test_a_defect_in_mid_submission(whole: bool) -> None:
    """Once the end was given out nobody knows what the server has: then that is said of the server."""
    site = RestoreSite()

    class Broken(MemoryBao):
        def restore(self, leader: Leader, chunks: Iterator[bytes], size: int, *, force: bool) -> None:
            del leader, size, force
            site.cluster.submissions += 1
            next(chunks)
            if whole:
                list(chunks)
            raise ZeroDivisionError

    with pytest.raises(RestoreUnknownError if whole else ZeroDivisionError):
        site.run(bao=Broken(site.cluster))
    site.check(data="new", submissions=1, safety=True)


class _Killed(BaseException):
    """The end of the process."""
