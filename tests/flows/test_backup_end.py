"""A run that must end: by a signal or its deadline, in a wait, in mid-stream, and at any other point."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.flows.site import EARLIER, KEY, NODES, Site, snapshot

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao, NodeState
from bao_backup.adapters.memory_store import FaultyStore
from bao_backup.core.errors import DeadlineError, InterruptedRunError, LeaderError
from bao_backup.core.model import Leader, Stored, VerifyLevel
from bao_backup.flows.backup import Patience
from bao_backup.flows.stop import Stop

SIZE = len(snapshot(2))
STEPS_DOWN = BaoFault(method="snapshot", after=9, elects=NODES[1])


def ended(site: Site, *faults: BaoFault, verify: VerifyLevel = VerifyLevel.HEAD) -> InterruptedRunError:
    """A run that must be interrupted; whatever is visible then is whole, and nobody has a token."""
    flow = site.flow((), faults, verify=verify)
    with pytest.raises(InterruptedRunError) as caught:
        flow.take()
    site.check()
    assert caught.value.exit_code == 7
    assert site.cluster.tokens == {}
    return caught.value


@pytest.mark.parametrize("offset", [1, 512, SIZE // 2, SIZE - 600])
def test_a_signal_in_mid_stream(offset: int) -> None:
    """The upload is aborted, and the run says why it ended."""
    site = Site()
    site.reporter.at_bytes = (offset, lambda: site.stop.ask("ended by SIGTERM"))
    error = ended(site)
    assert KEY not in site.visible()
    assert (error.reason, error.why) == ("Interrupted", "ended by SIGTERM")


def test_a_signal_while_no_byte_comes() -> None:
    """The read that waits is woken: the run does not wait for the stall limit."""
    site = Site()
    flow = site.flow(
        bao=MemoryBao(site.cluster, [BaoFault(method="snapshot", after=1000, stall=True)], stall_seconds=600)
    )
    site.reporter.at_bytes = (
        1000,
        lambda: threading.Timer(0.05, site.stop.ask, ["ended by SIGTERM"]).start(),
    )
    with pytest.raises(InterruptedRunError):
        flow.take()
    assert KEY not in site.visible()


def test_a_signal_while_the_run_waits_for_a_leader() -> None:
    """The wait ends at once."""
    site = Site()
    site.cluster.set_all(NodeState.SEALED)
    site.reporter.at_words = ("waiting for a leader", lambda: site.stop.ask("ended by SIGINT"))
    assert ended(site).why == "ended by SIGINT"
    assert site.visible() == [EARLIER, f"{EARLIER}.json"]


@pytest.mark.parametrize("words", ["the leader is", "streaming into", "try 1 failed", "reading it back"])
def test_a_signal_at_a_named_point(words: str) -> None:
    """Before the login, before the first byte, between two tries, while it is read back."""
    site = Site()
    site.reporter.at_words = (words, lambda: site.stop.ask("ended by SIGTERM"))
    faults = [STEPS_DOWN] if words.startswith("try") else []
    ended(site, *faults, verify=VerifyLevel.FULL)
    assert f"{KEY}.json" not in site.visible()
    site.stop, site.reporter.at_words = Stop(site.clock), None
    site.run()
    site.check()


def test_a_signal_before_it_begins() -> None:
    """No login, no stream."""
    site = Site()
    site.stop.ask("ended by SIGTERM")
    ended(site)
    assert isinstance(site.bao, MemoryBao)
    assert [method for method, _ in site.bao.calls] == ["find_leader"]


def test_a_signal_after_the_last_byte_was_stored_lets_the_run_finish() -> None:
    """What is whole and proven is not thrown away: its receipt is a moment away."""
    site = Site()

    class LateSignal(FaultyStore):
        def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
            stored = super().put(key, chunks)
            site.stop.ask("ended by SIGTERM")
            return stored

    assert site.run(store=LateSignal(site.store)).receipt.key == KEY
    assert site.proven() == {EARLIER, KEY}
    site.check()


def test_the_deadline_in_mid_stream() -> None:
    """It is the run's own, so that it can still say what happened."""
    site = Site()
    site.stop = Stop(site.clock, seconds=60)
    site.reporter.at_bytes = (5000, lambda: site.clock.pass_(60))
    error = ended(site)
    assert isinstance(error, DeadlineError)
    assert (error.reason, error.why) == ("DeadlineExceeded", "its deadline of 60 s passed")
    assert KEY not in site.visible()


def test_the_deadline_between_two_tries() -> None:
    """No further try begins."""
    site = Site()
    site.stop = Stop(site.clock, seconds=60)
    site.reporter.at_words = ("try 1 failed", lambda: site.clock.pass_(60))
    error = ended(site, STEPS_DOWN)
    assert error.reason == "DeadlineExceeded"


def test_a_signal_between_two_leaders_revokes_the_token_at_the_new_one() -> None:
    """The old one is asked for nothing any more; nobody holds a token when the run is over."""
    site = Site()
    site.reporter.at_words = ("try 1 failed", lambda: site.stop.ask("ended by SIGTERM"))
    ended(site, STEPS_DOWN)
    assert isinstance(site.bao, MemoryBao)
    assert site.bao.calls[-1] == ("revoke", NODES[1])


def test_the_deadline_while_there_is_no_leader_is_the_lack_of_a_leader() -> None:
    """Exit code 3 tells what to look at; 7 would not."""
    site = Site()
    site.stop = Stop(site.clock, seconds=100)
    site.cluster.set_all(NodeState.UNREACHABLE)

    class Slow(MemoryBao):
        def find_leader(self) -> Leader:
            site.clock.pass_(99.99)
            return super().find_leader()

    flow = site.flow(bao=Slow(site.cluster), patience=Patience(pause=0.001, leader_wait=10_000))
    with pytest.raises(LeaderError) as caught:
        flow.take()
    assert caught.value.exit_code == 3
    assert site.visible() == [EARLIER, f"{EARLIER}.json"]
