"""The runtimes that the contract is held against; a new one joins with a line in `RUNTIMES`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from msgspec.structs import replace
from tests.contracts.kubernetes_runtime import on_kubernetes
from tests.harness.process import wait_until
from tests.manager.site import UID, Site

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.memory_runtime import MemoryRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.check import CheckReport, result_of
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.model import Outcome, Result, Trigger
from bao_backup.core.observed import Emit, Health, StartRun
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import OpenBaoCluster, parse_cluster
from bao_backup.ports import Runtime

T = TypeVar("T")
SLOT = datetime(2026, 11, 22, 2, tzinfo=UTC)
HEALTHY = Health(ready=True)


class Stage(Protocol):
    """A runtime with one configured cluster, `bao`, and the world around it."""

    @property
    def runtime(self) -> Runtime: ...

    @property
    def namespace(self) -> str:
        """Where the cluster is."""

    @property
    def uid(self) -> str:
        """What the runtime names it by."""

    @property
    def asks_health(self) -> bool:
        """Whether the manager asks the server itself."""

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Call a method of the port."""

    def change_document(self) -> None:
        """Somebody edits the document."""

    def ask(self) -> str:
        """Somebody asks for a manual run; answers with the request's value."""

    def begun(self) -> int:
        """How many runs were really started so far."""

    def end(self, run: StartRun, *, well: bool) -> None:
        """The run ends: well, or without a word."""

    def end_check(self, name: str) -> None:
        """The check of this name ends, by its executor's own word."""

    def told(self) -> list[Emit]:
        """What people were told."""

    def again(self) -> None:
        """The manager was killed and is started again: `runtime` is a new one with the same world."""


class InMemory:
    """The shipped runtime in memory."""

    namespace, uid, asks_health = "default", UID, True

    def __init__(self, site: Site) -> None:
        self._document = parse_cluster(site.document(), strict=True)
        self.runtime = MemoryRuntime(SystemClock(), lambda _: HEALTHY)
        self.runtime.put_document(self._document)

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def change_document(self) -> None:
        backup = self._document.spec.backup
        assert backup is not None
        spec = replace(self._document.spec, backup=replace(backup, schedule="0 3 * * *"))
        self.runtime.put_document(replace(self._document, spec=spec))

    def ask(self) -> str:
        self.runtime.ask(UID, "please")
        return "please"

    def begun(self) -> int:
        return len(self.runtime.started)

    def end(self, run: StartRun, *, well: bool) -> None:
        now = datetime.now(UTC)
        result = Result(
            outcome=Outcome.SUCCEEDED,
            reason="BackupSucceeded",
            message="done",
            exit_code=0,
            key=run.key,
            started=now - timedelta(seconds=1),
            finished=now,
        )
        self.runtime.end(UID, run.name, result if well else None)

    def end_check(self, name: str) -> None:
        self.runtime.end(UID, name, proven(datetime.now(UTC)))

    def told(self) -> list[Emit]:
        return self.runtime.events(UID)

    def again(self) -> None:
        """Nobody's memory outlives it: it goes on as it is."""


class OnThisMachine:
    """The embedded manager's: runs are processes, held by their server until they may end."""

    namespace, uid, asks_health = "default", UID, True

    def __init__(self, site: Site) -> None:
        self._site = site
        self._told: list[Emit] = []
        site.server.rate = 1
        self.runtime = self._open()

    def _open(self) -> LocalRuntime:
        runtime = LocalRuntime(
            self._site.state,
            clock=SystemClock(),
            check=lambda _: None,
            environment=self._environment,
            health=lambda _: HEALTHY,
            tell=lambda _, event: self._told.append(event),
        )
        runtime.take_documents([self._site.document()], [])
        return runtime

    def _environment(self, document: OpenBaoCluster, run: StartRun) -> dict[str, str]:
        settings = settings_from_document(document, str(self._site.secrets))
        return to_environment(replace(settings, key=run.key, slot=run.slot))

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def change_document(self) -> None:
        self.runtime.take_documents([self._site.document(schedule="0 3 * * *")], [])

    def ask(self) -> str:
        return self._site.ask()

    def begun(self) -> int:
        wait_until(
            "each run to say its pid",
            lambda: len(self._site.run_pids()) == len(self._site.run_logs()),
            seconds=10,
        )
        return len(self._site.run_logs())

    def end(self, run: StartRun, *, well: bool) -> None:
        folder = self.runtime.executors.folder_of(UID, run.name)
        wait_until("the stream to begin", lambda: "streaming" in folder.log_file.read_text(), seconds=10)
        if well:
            self._site.server.rate = 0
        else:
            os.kill(folder.claimed_by() or 0, signal.SIGKILL)
        wait_until("the run's end", lambda: UID in self.runtime.poll(), seconds=10)

    def end_check(self, name: str) -> None:
        assert name.startswith("check-")
        wait_until("the check's end", lambda: UID in self.runtime.poll(), seconds=20)

    def told(self) -> list[Emit]:
        return self._told

    def again(self) -> None:
        self.runtime.close()
        self.runtime = self._open()


@contextmanager
def in_memory(_: pytest.FixtureRequest, folder: Path) -> Iterator[Stage]:
    """The runtime in memory; the server is named in the document, and never asked."""
    with DevelopmentServer(DevelopmentCluster()) as server:
        yield InMemory(Site(folder, server))


@contextmanager
def on_this_machine(_: pytest.FixtureRequest, folder: Path) -> Iterator[Stage]:
    """The embedded manager's."""
    with DevelopmentServer(DevelopmentCluster(padding=1 << 20, level=1)) as server:
        site = Site(folder, server)
        stage = OnThisMachine(site)
        try:
            yield stage
        finally:
            site.end_runs()
            stage.runtime.close()


#: Each gives a stage, from the test's request and a folder of its own.
RUNTIMES = [in_memory, on_this_machine, pytest.param(on_kubernetes, marks=pytest.mark.servers)]


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.__name__)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Each runtime in turn, with one cluster."""
    with request.param(request, tmp_path) as opened:
        yield opened


def proven(now: datetime) -> Result:
    """What the executor of a check says where nothing is wrong."""
    return result_of(CheckReport(namespace="default", name="bao", lines=()), started=now, finished=now)


def a_run(name: str = "backup-bao-20261122-020000", digits: str = "0123abcd") -> StartRun:
    """What a decision starts."""
    key = f"default/bao/2026-11-22T02-00-00Z-{digits}.snap"
    return StartRun(name=name, key=key, slot=SLOT, trigger=Trigger.SCHEDULED, number=1)
