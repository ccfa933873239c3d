"""The server of a restore, as its steps ask for it: its leader, and what to do when that is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bao_backup.core.errors import LeaderError, LeaderLostError
from bao_backup.core.model import Leader, Value
from bao_backup.core.restore_checks import nobody_leads
from bao_backup.flows.leader import wait_for_leader
from bao_backup.flows.restore_login import RestoreLogin
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Reporter

T = TypeVar("T")
GIB = 1024**3


class RestorePatience(Value, frozen=True, kw_only=True):
    """How long the flow goes on trying, in seconds; the run's deadline bounds all of it."""

    #: Looks at the server before the submission, each from the beginning.
    tries: int = 3
    pause: float = 1.0
    leader_wait: float = 300.0
    #: For a settled leader, after the submission: so long in any case, and so long for each whole GiB of
    #: the state. An idle machine takes 14 s for one (docs/benchmarks.md); a slow disk takes many times that.
    settle_wait: float = 600.0
    settle_wait_per_gib: float = 300.0

    def settling(self, size: int) -> float:
        """How long to wait for a settled leader of a snapshot whose state has so many bytes."""
        return self.settle_wait + self.settle_wait_per_gib * (size // GIB)


class RestoreServer:
    """The cluster, behind the one login to it.

    Attributes:
        bao: the port, with the shared login.
        patience: how long to go on trying.
    """

    def __init__(
        self,
        bao: RestoreLogin,
        *,
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
        patience: RestorePatience,
    ) -> None:
        self.bao = bao
        self.patience = patience
        self._clock = clock
        self._stop = stop
        self._reporter = reporter

    def find_leader(self) -> Leader:
        """Wait for it; LeaderError with what to do first, where the nodes wait for a person."""
        patience = self.patience
        try:
            return wait_for_leader(
                self.bao,
                clock=self._clock,
                stop=self._stop,
                reporter=self._reporter,
                pause=patience.pause,
                longest=patience.leader_wait,
            )
        except LeaderError as error:
            raise nobody_leads(self.bao.nodes(), error) from error

    def in_tries(self, act: Callable[[], T]) -> T:
        """An act that changes nothing: it begins again with the leader of now, when that one is lost."""
        tried = 1
        while True:
            try:
                return act()
            except LeaderLostError as error:
                if tried >= self.patience.tries:
                    raise
                self._reporter.say(f"the leader was lost ({error.why}); looking for it again")
                tried += 1
                self._stop.wait(self.patience.pause)
