"""A restore by the executor at a site in memory, with a file for its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.flows.restore_site import PLACE, RestoreSite

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao
from bao_backup.adapters.system import SystemClock
from bao_backup.core.model import Result
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import Place, RestoreSettings
from bao_backup.core.result import decode_result
from bao_backup.entry.restoring import RestoreEnded, RestorePorts, run_restore
from bao_backup.flows.restore_server import RestorePatience
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Store

SECRET = "hvs.do-not-tell"
QUICK = RestorePatience(tries=3, pause=0.001, leader_wait=0.3, settle_wait=0.3)


class RestoreRun:
    """One restore of the old data into the cluster that has the new."""

    def __init__(self, folder: Path) -> None:
        self.site = RestoreSite()
        self.file = folder / "result.json"
        self.bao: Bao = MemoryBao(self.site.cluster)
        self.store: Store = self.site.store
        self.clock: Clock = SystemClock()
        #: What a person, or a signal, does when the proposal is shown.
        self.on_proposal: Callable[[Proposal], object] = lambda _proposal: None
        self.held: list[str] = []
        self.opened: list[Place] = []

    def end(self, load: Callable[[], RestoreSettings] | None = None, **changes: Any) -> RestoreEnded:
        """How it ended; `changes` are to the settings."""

        def agree(proposal: Proposal, stop: Stop) -> None:
            self.on_proposal(proposal)
            stop.check()

        return run_restore(
            load or (lambda: self.site.settings(**changes)),
            environment={"AWS_SECRET_ACCESS_KEY": SECRET},
            result_file=self.file,
            reporter=self.site.reporter,
            agree=agree,
            hold=self._hold,
            ports=RestorePorts(self._open, lambda _settings: self.bao, QUICK, lambda: self.clock),
        )

    def befall(self, *faults: BaoFault) -> None:
        """Let this befall the server."""
        self.bao = MemoryBao(self.site.cluster, faults, stall_seconds=0.05)

    @property
    def written(self) -> Result:
        """What is in its file."""
        result = decode_result(self.file.read_bytes())
        assert result is not None
        return result

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self.held.append("taken")
        try:
            yield
        finally:
            self.held.append("given back")

    def _open(self, place: Place, environment: Mapping[str, str]) -> Store:
        assert place.store == PLACE.store
        assert environment["AWS_SECRET_ACCESS_KEY"] == SECRET
        self.opened.append(place)
        return self.store
