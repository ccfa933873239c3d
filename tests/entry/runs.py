"""A run of the executor at a site in memory, with a file for its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.flows.site import KEY, SLOT, Site

from bao_backup.adapters.memory_bao import MemoryBao
from bao_backup.adapters.system import SystemClock
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.model import Result, Trigger
from bao_backup.core.result import decode_result
from bao_backup.core.settings import RunSettings
from bao_backup.core.storage import StoreSettings
from bao_backup.entry.executor import Ended, Ports, run_backup
from bao_backup.ports import Bao, Clock, Store

SECRET = "hvs.do-not-tell"
SETTINGS = RunSettings(
    namespace="default",
    name="prod",
    key=KEY,
    slot=SLOT,
    trigger=Trigger.MANUAL,
    bao=BaoSettings(addresses=("https://bao-0:8200",), auth=BaoAuth(method=AuthMethod.TOKEN)),
    store=StoreSettings(provider="memory"),
)


class Run:
    """One run at a site, with a file for its result."""

    def __init__(self, folder: Path, name: str = "result.json") -> None:
        self.site = Site()
        self.file = folder / name
        self.store: Store = self.site.store
        self.bao: Bao = MemoryBao(self.site.cluster)
        self.settings = SETTINGS
        self.clock: Clock = SystemClock()

    def end(self, load: Callable[[], RunSettings] | None = None) -> Ended:
        """How it ended."""
        return run_backup(
            load or (lambda: self.settings),
            environment={"AWS_SECRET_ACCESS_KEY": SECRET},
            result_file=self.file,
            reporter=self.site.reporter,
            ports=Ports(self._open, lambda _settings: self.bao, lambda: self.clock),
        )

    @property
    def written(self) -> Result:
        """What is in its file."""
        result = decode_result(self.file.read_bytes())
        assert result is not None
        return result

    def _open(self, settings: RunSettings, environment: Mapping[str, str]) -> Store:
        assert settings == self.settings
        assert environment["AWS_SECRET_ACCESS_KEY"] == SECRET
        return self.store
