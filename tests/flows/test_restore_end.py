"""How a restore ends after its submission: done, sealed, or unknown; and how it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace
from tests.flows.restore_site import RestoreSite, SmallChunks, hours
from tests.flows.site import EARLIER, NODES, PREFIX

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, NodeState
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import (
    BaoBackupError,
    DeadlineError,
    InterruptedRunError,
    RestoreUnknownError,
)
from bao_backup.core.model import Stored
from bao_backup.core.restore_errors import RestoreRefusedError, RestoreSealedError
from bao_backup.core.restore_outcome import Restored
from bao_backup.core.restore_settings import Wanted
from bao_backup.flows.restore_server import GIB
from bao_backup.flows.stop import Stop

TOKEN = BaoSettings(addresses=NODES, auth=BaoAuth(method=AuthMethod.TOKEN, token_file="/token"))  # a path


def unknown(site: RestoreSite, *faults: BaoFault, bao: MemoryBao | None = None) -> RestoreUnknownError:
    """A restore of which nobody knows how it ended; every look takes a second."""
    with pytest.raises(RestoreUnknownError) as caught:
        site.run(bao=bao or site.slow(*faults))
    assert (caught.value.exit_code, caught.value.reason) == (9, "RestoreUnknown")
    assert site.cluster.submissions == 1
    assert len(site.way_back()) == 1
    return caught.value


# --- the answer was lost ------------------------------------------------------------------------


def test_an_answer_that_was_lost_is_found_out() -> None:
    """The server took it: it does not know the login any more."""
    site = RestoreSite()
    site.run((), [BaoFault(method="restore", lost_answer=True)])
    site.check(data="old", submissions=1, safety=True)
    assert "the answer was lost: asking the server what became of it" in site.reporter.words


def test_an_answer_that_was_lost_with_the_snapshot_stays_unknown() -> None:
    """The server has what it had, and shows it: a person is told, and nothing is sent again."""
    site = RestoreSite()
    error = unknown(site, BaoFault(method="restore", after=len(site.old)))
    assert "the server's answer was lost, and after 60 s of looking at it" in error.why
    assert "still knows the login of this restore, as before it" in error.why
    site.check(data="new", submissions=1, safety=True)


def test_an_index_that_moves_is_no_proof_of_what_was_not_accepted() -> None:
    """Other writes move it, too."""
    site = RestoreSite()
    token = site.cluster.grant()

    class Writing(MemoryBao):
        def nodes(self):  # type: ignore[no-untyped-def]
            site.clock.pass_(1)
            site.cluster.applied_index += 1
            return super().nodes()

    bao = Writing(site.cluster, [BaoFault(method="restore", after=len(site.old))], token=token)
    with pytest.raises(RestoreUnknownError, match="shows no change"):
        site.run(bao=bao, login=TOKEN)
    assert (site.data(), site.cluster.submissions) == ("new", 1)


# --- accepted, and then -------------------------------------------------------------------------


def test_accepted_is_not_applied() -> None:
    """The leader dies before it applies it: the next one has what was there, and knows the login."""
    site = RestoreSite()
    site.cluster.applies = False

    class Dying(MemoryBao):
        def restore(self, *args, **more) -> None:  # type: ignore[no-untyped-def]
            super().restore(*args, **more)
            site.cluster.elect(NODES[1])

        def nodes(self):  # type: ignore[no-untyped-def]
            site.clock.pass_(1)
            return super().nodes()

    error = unknown(site, bao=Dying(site.cluster))
    assert "the server took the snapshot, and after 60 s" in error.why
    assert f"{NODES[1]} leads, and still knows the login" in error.why
    site.check(data="new", submissions=1, safety=True)


def test_a_big_snapshot_is_waited_for_longer() -> None:
    """Five minutes more for each GiB of the state, whatever the server's disk is."""
    site = RestoreSite()
    site.cluster.applies = False
    with site.flow(bao=site.slow(seconds=20)) as flow:
        proposal = flow.prove()
        contents = proposal.contents
        big = replace(contents, meta=replace(contents.meta, size=7 * GIB - 1))
        with pytest.raises(RestoreUnknownError, match="after 1860 s of looking at it"):
            flow.carry_out(replace(proposal, contents=big))


def test_another_leader_with_the_snapshots_data_is_an_end_as_good() -> None:
    """The one that was sent it died after it had applied it."""
    site = RestoreSite()

    class Electing(MemoryBao):
        def nodes(self):  # type: ignore[no-untyped-def]
            if site.cluster.applied:
                site.cluster.elect(NODES[2])
                site.cluster.states[NODES[0]] = NodeState.UNREACHABLE
            return super().nodes()

    restored = site.run(bao=Electing(site.cluster))
    assert restored.leader.address == NODES[2]
    assert restored.warnings == (
        f"{NODES[0]} takes no part now (connection refused): it follows when it is back",
    )
    site.check(data="old", submissions=1, safety=True)


def test_a_configured_token_leaves_a_doubt() -> None:
    """Then the Raft index alone tells, which a person is told; the token stays."""
    site = RestoreSite()
    site.cluster.forgets_tokens = False
    token = site.cluster.grant()
    restored = site.run(bao=MemoryBao(site.cluster, token=token), login=TOKEN)
    (doubt,) = restored.warnings
    assert "seen from the Raft index, 100 before and 102 now alone" in doubt
    assert (site.data(), site.cluster.submissions, set(site.cluster.tokens)) == ("old", 1, {token})


def test_another_cluster_id_leaves_no_doubt() -> None:
    """Also where the token is a configured one."""
    site = RestoreSite()
    site.cluster.forgets_tokens = False
    site.cluster.restored_cluster_id = "another"
    restored = site.run(bao=MemoryBao(site.cluster, token=site.cluster.grant()), login=TOKEN)
    assert restored.warnings == ()
    assert restored.leader.cluster_id == "another"


def test_a_login_that_outlives_the_restore_leaves_it_unknown() -> None:
    """Whatever kept it: the hint says what it proves."""
    site = RestoreSite()
    site.cluster.forgets_tokens = False
    error = unknown(site)
    assert "batch token" in error.hint
    assert site.data() == "old"
    assert site.cluster.tokens == {}


def test_a_batch_token_leaves_a_doubt_and_not_the_unknown() -> None:
    """The server keeps it nowhere, and knows it afterwards as before: that is no sign of the old data."""
    site = RestoreSite()
    site.cluster.forgets_tokens, site.cluster.batch_tokens = False, True
    (doubt,) = site.run().warnings
    assert "seen from the Raft index, 100 before and 102 now alone" in doubt
    assert (site.data(), site.cluster.submissions) == ("old", 1)


def test_a_configured_token_of_after_the_backup_leaves_no_doubt() -> None:
    """The server does not know it any more."""
    site = RestoreSite()
    restored = site.run(bao=MemoryBao(site.cluster, token=site.cluster.grant()), login=TOKEN)
    assert restored.warnings == ()
    assert (site.data(), site.cluster.submissions) == ("old", 1)


def test_a_standby_that_is_sealed_afterwards_is_to_be_unsealed() -> None:
    """The leader has the data: that is done, and what is left to do is said."""
    site = RestoreSite()

    class Sealing(MemoryBao):
        def nodes(self):  # type: ignore[no-untyped-def]
            if site.cluster.applied:
                site.cluster.states[NODES[2]] = NodeState.SEALED
            return super().nodes()

    restored = site.run(bao=Sealing(site.cluster))
    assert restored.next_steps[0] == f"unseal {NODES[2]} with the unseal keys of the time of the backup"


def test_the_node_that_was_sent_it_is_sealed_while_another_leads() -> None:
    """Whose data that one has is for a person to see."""
    site = RestoreSite()

    class Sealing(MemoryBao):
        def nodes(self):  # type: ignore[no-untyped-def]
            if site.cluster.applied:
                site.cluster.elect(NODES[1])
                site.cluster.states[NODES[0]] = NodeState.SEALED
            return super().nodes()

    with pytest.raises(RestoreSealedError) as caught:
        site.run(bao=Sealing(site.cluster))
    assert f"look at the data at {NODES[1]}" in caught.value.hint
    assert site.cluster.submissions == 1


# --- told to end --------------------------------------------------------------------------------

#: What is asked to end the run when these words are said, and how it ends.
PHASES: dict[str, tuple[str, type[BaoBackupError], str, int, bool]] = {
    "while it is proven": ("proving", InterruptedRunError, "new", 0, False),
    "when the server is looked at": ("the leader is", InterruptedRunError, "new", 0, False),
    "at the safety backup": ("backing up what is there", InterruptedRunError, "new", 0, False),
    "behind the safety backup": ("the way back is", InterruptedRunError, "new", 0, True),
    "at the submission": ("sending", InterruptedRunError, "new", 1, True),
    "when it is accepted": ("the server takes it", RestoreUnknownError, "old", 1, True),
    "when it is applied": ("waiting for the server", RestoreUnknownError, "old", 1, True),
}


@pytest.mark.parametrize(("words", "kind", "data", "submissions", "safety"), PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("how", ["a signal", "the deadline"])
def test_a_restore_is_told_to_end(
    words: str, kind: type[BaoBackupError], data: str, submissions: int, safety: bool, how: str
) -> None:
    """Before the submission that is a clean end; after it nobody knows, and says so."""
    site = RestoreSite()
    end = end_by(site, how)
    site.reporter.at_words = (words, end)
    with pytest.raises(kind) as caught:
        site.run()
    expected = DeadlineError if how == "the deadline" and kind is InterruptedRunError else kind
    assert type(caught.value) is expected
    for _ in range(5):
        site.cluster.look()
    assert (site.data(), site.cluster.submissions) == (data, submissions)
    assert bool(site.way_back()) == safety
    assert (site.last.safety_key != "") == safety  # type: ignore[union-attr]
    assert site.cluster.tokens == {}


def end_by(site: RestoreSite, how: str) -> Callable[[], object]:
    """What ends a run."""
    if how == "a signal":
        return lambda: site.stop.ask("ended by SIGTERM")
    site.stop = Stop(site.clock, seconds=1000)
    return lambda: site.clock.pass_(2000)


@pytest.mark.parametrize("reading", [1, 2])
def test_a_signal_in_the_middle_of_a_reading(reading: int) -> None:
    """The second reading is the submission: the server gets no end of it."""
    site = RestoreSite()

    def first() -> None:
        if reading == 2:
            site.reporter.at_words = ("sending", second)
        else:
            site.stop.ask("ended by SIGTERM")

    def second() -> None:
        site.reporter.at_bytes = (1000, lambda: site.stop.ask("ended by SIGTERM"))

    site.reporter.at_bytes = (1000, first)
    with pytest.raises(InterruptedRunError, match="SIGTERM"):
        site.run()
    site.check(data="new", submissions=reading - 1, safety=reading == 2)


def test_a_signal_at_the_last_byte() -> None:
    """It is read, and not given out yet: the server gets no end of it."""
    site = RestoreSite()
    site.reporter.at_words = (
        "sending",
        lambda: setattr(
            site.reporter, "at_bytes", (len(site.old), lambda: site.stop.ask("ended by SIGTERM"))
        ),
    )
    with pytest.raises(InterruptedRunError):
        site.run()
    site.check(data="new", submissions=1, safety=True)


def test_a_source_that_gives_no_byte_does_not_keep_a_run_from_its_end() -> None:
    """The submission is cut off, whatever the store does: it may hang for minutes."""
    site = RestoreSite()
    hangs = threading.Event()

    class Hanging(SmallChunks):
        def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
            for number, chunk in enumerate(site.store.get(key, etag=etag)):
                if key == EARLIER and site.cluster.submissions and number == 3:
                    site.stop.ask("ended by SIGTERM")
                    hangs.wait(60)
                yield chunk

        def head(self, key: str) -> Stored:
            return site.store.head(key)

    with pytest.raises(InterruptedRunError, match="SIGTERM"):
        site.run(store=Hanging())
    assert not hangs.is_set()
    hangs.set()
    site.check(data="new", submissions=1, safety=True)


def test_a_server_that_takes_no_byte_does_not_keep_a_run_from_its_end() -> None:
    """The connection is cut, and the run says that it was told to end."""
    site = RestoreSite()
    site.reporter.at_words = (
        "sending",
        lambda: setattr(site.reporter, "at_bytes", (2000, lambda: site.stop.ask("ended by SIGTERM"))),
    )
    with pytest.raises(InterruptedRunError):
        site.run((), [BaoFault(method="restore", after=2000, stall=True)])
    site.check(data="new", submissions=1, safety=True)


def test_a_settled_end_is_told_though_the_run_must_end() -> None:
    """The last look shows it: what is known is said."""
    site = RestoreSite()
    looks = 0

    class Last(MemoryBao):
        def nodes(self):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += bool(site.cluster.submissions)
            if looks == 4:
                site.stop.ask("ended by SIGTERM")
            return super().nodes()

    assert isinstance(site.run(bao=Last(site.cluster)), Restored)
    site.check(data="old", submissions=1, safety=True)


# --- started twice ------------------------------------------------------------------------------


@pytest.mark.parametrize("reached", ["the way back is", "sending", "the server takes it"])
def test_a_second_start_of_the_same_run_sends_nothing(reached: str) -> None:
    """Kubernetes may start a pod twice: where the first one ended, at the earliest, nobody knows."""
    site = RestoreSite()
    site.reporter.at_words = (reached, lambda: site.stop.ask("ended by SIGTERM"))
    with pytest.raises((InterruptedRunError, RestoreUnknownError)):
        site.run(accepted=hours(2), restore="back")
    for _ in range(5):
        site.cluster.look()
    first, sent = site.way_back(), site.cluster.submissions
    site.stop, site.reporter.at_words = Stop(site.clock), None
    site.clock.pass_(100)
    with pytest.raises(RestoreUnknownError, match="another start of this run") as caught:
        site.run(accepted=hours(2), restore="back")
    assert caught.value.exit_code == 9
    assert site.cluster.submissions == sent
    assert site.last is not None
    assert site.way_back() == first == [site.last.safety_key]
    assert site.last.submitted is False


def test_a_second_start_whose_latest_is_another_sends_nothing_either() -> None:
    """A backup came in between: it is the same restore all the same."""
    site = RestoreSite()
    latest = {"accepted": hours(2), "restore": "back", "wanted": Wanted(latest=True)}
    site.reporter.at_words = ("the server takes it", lambda: site.stop.ask("ended by SIGTERM"))
    with pytest.raises(RestoreUnknownError):
        site.run(**latest)
    for _ in range(5):
        site.cluster.look()
    site.backup(f"{PREFIX}/2026-11-22T01-30-00Z-00000009.snap")
    site.stop, site.reporter.at_words = Stop(site.clock), None
    with pytest.raises(RestoreUnknownError, match="another start of this run"):
        site.run(**latest)
    assert site.cluster.submissions == 1
    assert len(site.way_back()) == 1


def test_a_second_start_begins_anew_where_the_first_one_had_no_way_back_yet() -> None:
    """Nothing can have been sent then."""
    site = RestoreSite()
    site.reporter.at_words = ("backing up what is there", lambda: site.stop.ask("ended by SIGTERM"))
    with pytest.raises(InterruptedRunError):
        site.run(accepted=hours(2))
    site.stop, site.reporter.at_words = Stop(site.clock), None
    site.run(accepted=hours(2))
    site.check(data="old", submissions=1, safety=True)


def test_a_person_may_try_again_within_the_same_second() -> None:
    """What was refused is tried with force at once: that is another restore, with a way back of its own."""
    site = RestoreSite()
    site.cluster.refuses = "400, other keys"
    with pytest.raises(RestoreRefusedError):
        site.run()
    site.cluster.refuses = ""
    site.clock.pass_(0.001)
    site.run(force=True)
    assert site.data() == "old"
    assert len(site.way_back()) == 2
