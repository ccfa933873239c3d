"""Proves a configuration from where it runs, before the first slot: the server, the store, the clocks.

It takes no snapshot, and leaves nothing behind: neither a probe nor a token.
"""

from __future__ import annotations

from collections.abc import Callable

from bao_backup.core.check import CheckReport, Line, judge_slot
from bao_backup.core.check_store import WantedOfStore
from bao_backup.core.model import Value
from bao_backup.core.schedule import Schedule
from bao_backup.flows.check_lines import Lines
from bao_backup.flows.check_server import ServerCheck
from bao_backup.flows.check_store import StoreCheck
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter, Store


class CheckOrder(Value, frozen=True, kw_only=True):
    """What is to be proven."""

    namespace: str
    name: str
    wanted: WantedOfStore
    #: What tells the probes of two checks apart: at most 32 bits.
    number: int
    #: How long to wait for a leader, in seconds.
    leader_wait: float = 0.0
    #: The login is by a token that somebody put there, which the server may not know.
    configured_token: bool = False
    #: None: it is not known here.
    schedule: Schedule | None = None
    suspended: bool = False


class CheckFlow:
    """One check.

    Args:
        order: of what.
        connect: the server's port; raises BaoBackupError. None: nothing names a server.
        open_store: the store's port; raises BaoBackupError.
        clock, stop, reporter: as for each flow.
    """

    def __init__(
        self,
        order: CheckOrder,
        *,
        connect: Callable[[], Bao] | None,
        open_store: Callable[[], Store],
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
    ) -> None:
        self._order = order
        self._clock = clock
        self._lines = Lines(stop)
        self._server = ServerCheck(
            self._lines,
            connect,
            order.leader_wait,
            configured_token=order.configured_token,
            clock=clock,
            stop=stop,
            reporter=reporter,
        )
        self._store = StoreCheck(self._lines, open_store, order.wanted, order.number, clock)

    @property
    def report(self) -> CheckReport:
        """What was found so far."""
        return CheckReport(
            namespace=self._order.namespace, name=self._order.name, lines=tuple(self._lines.all)
        )

    def run(self) -> CheckReport:
        """Try everything. Raises InterruptedRunError after cleaning up; `report` has the lines so far."""
        self._server.run()
        self._store.run()
        self._lines.add(self._next_slot())
        return self.report

    def _next_slot(self) -> Line:
        now, schedule = self._clock.now(), self._order.schedule
        next_start = schedule.next_start(now) if schedule is not None else None
        return judge_slot(next_start, now, suspended=self._order.suspended)
