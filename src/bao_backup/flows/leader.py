"""Waits for a cluster's leader."""

from __future__ import annotations

from bao_backup.core.errors import LeaderError
from bao_backup.core.model import Leader
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter

#: The longest pause between two looks, in seconds.
LONGEST_PAUSE = 5.0


def wait_for_leader(
    bao: Bao, *, clock: Clock, stop: Stop, reporter: Reporter, pause: float, longest: float
) -> Leader:
    """Ask until there is a leader.

    Args:
        bao: the cluster.
        clock: for how long was waited.
        stop: ends the wait; before it would, the wait ends with what the servers said.
        reporter: told once for each new reason to wait.
        pause: seconds between the first looks; they become longer.
        longest: seconds of waiting.

    Raises LeaderError when the wait is over, or at once where waiting does not help.
    """
    begun = clock.monotonic()
    told = ""
    while True:
        try:
            leader = bao.find_leader()
        except LeaderError as error:
            waited = clock.monotonic() - begun
            nap = min(max(pause, waited / 10), LONGEST_PAUSE)
            remaining = stop.remaining
            out_of_time = remaining is not None and remaining <= nap
            if not error.transient or waited >= longest or out_of_time:
                raise
            if error.why != told:
                reporter.say(f"waiting for a leader: {error.why} (up to {longest:g} s)")
                told = error.why
            stop.wait(nap)
        else:
            reporter.say(f"the leader is {leader.address}, version {leader.version or 'unknown'}")
            return leader
