"""The lines of a check that are about the server: leader, clock, login, and what the login may do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from bao_backup.core.check import (
    Line,
    clock_offset,
    judge_capabilities,
    judge_server_clock,
    not_given_back,
    passed,
)
from bao_backup.core.errors import BaoBackupError, LeaderError
from bao_backup.core.model import Leader
from bao_backup.core.restore_checks import SNAPSHOT_PATH
from bao_backup.flows.check_lines import Lines
from bao_backup.flows.leader import wait_for_leader
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter

#: Seconds between the first looks for a leader.
PAUSE = 1.0
#: The lines, in their order.
NAMES = ("leader", "serverClock", "login", "snapshot", "revoke")


class ServerCheck:
    """Tries one server, and gives its token back."""

    def __init__(
        self,
        lines: Lines,
        connect: Callable[[], Bao] | None,
        leader_wait: float,
        *,
        configured_token: bool,
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
    ) -> None:
        self._lines = lines
        self._connect = connect
        self._leader_wait = leader_wait
        self._configured_token = configured_token
        self._clock = clock
        self._stop = stop
        self._reporter = reporter

    def run(self) -> None:
        """Add all of its lines. Raises InterruptedRunError."""
        if self._connect is None:
            self._lines.skip(NAMES, "nothing names a server here: only a document does")
            return
        found: list[tuple[Bao, Leader]] = []
        connect = self._connect

        def find() -> Line:
            bao = connect()
            leader = self._find_leader(bao)
            found.append((bao, leader))
            version = f", version {leader.version}" if leader.version else ""
            return passed("leader", f"{leader.address}{version}")

        self._lines.attempt("leader", find)
        if not found:
            self._lines.skip(NAMES[1:], "needs the leader")
            return
        ((bao, leader),) = found
        self._lines.attempt("serverClock", lambda: self._compare_clocks(bao, leader))
        self._try_login(bao, leader)

    def _find_leader(self, bao: Bao) -> Leader:
        return wait_for_leader(
            bao,
            clock=self._clock,
            stop=self._stop,
            reporter=self._reporter,
            pause=PAUSE,
            longest=self._leader_wait,
        )

    def _compare_clocks(self, bao: Bao, leader: Leader) -> Line:
        before = self._clock.now()
        theirs = bao.server_time(leader)
        return judge_server_clock(None if theirs is None else clock_offset(before, theirs, self._clock.now()))

    def _try_login(self, bao: Bao, leader: Leader) -> None:
        def login() -> Line:
            bao.login(leader)
            if self._configured_token:
                return passed("login", "a token is there; whether the server knows it, the next line tells")
            return passed("login", f"{leader.address} accepts it")

        if self._lines.attempt("login", login) is not None:
            self._lines.skip(NAMES[3:], "needs the login")
            return
        try:
            self._lines.attempt("snapshot", lambda: self._ask_rights(bao, leader))
        finally:
            self._lines.add(self._give_back(bao, leader))

    def _ask_rights(self, bao: Bao, leader: Leader) -> Line:
        found = bao.capabilities(leader, [SNAPSHOT_PATH])
        # A token that a login gave is known; one that was configured may be anything.
        known = found is not None or not self._configured_token or bao.knows_login(leader)
        return judge_capabilities(found, leader, known=known)

    def _give_back(self, bao: Bao, leader: Leader) -> Line:
        """Whatever came before; a leader that was lost meanwhile is looked for once."""
        try:
            with suppress(LeaderError):  # the one of before may still take it
                leader = bao.find_leader()
            bao.revoke(leader)
        except BaoBackupError as error:
            return not_given_back(error)
        return passed("revoke", "the login leaves no token behind")
