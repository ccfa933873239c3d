"""The runtimes of restores that the contract is held against; a new one joins with a line in `RUNTIMES`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from tests.contracts.kubernetes_restores import on_api_in_memory, on_kubernetes
from tests.core.documents import document, restore_document

from bao_backup.adapters.memory_runtime import MemoryRestores, MemoryRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.model import Outcome, Result
from bao_backup.core.observed import Emit
from bao_backup.core.spec import parse_cluster
from bao_backup.ports import RestoreRuntime, Runtime

T = TypeVar("T")
#: The document's name, its cluster's, and the run's.
NAME, CLUSTER, RUN = "back", "bao", "restore-back"
KEY = "default/bao/2026-11-22T02-00-00Z-0123abcd.snap"
SAFETY = "default/bao/pre-restore-2026-11-23T02-00-00Z-0123abcd.snap"


class RestoreStage(Protocol):
    """A runtime with one cluster, `bao`, and one restore of it, `back`, and the world around them."""

    @property
    def runtime(self) -> RestoreRuntime: ...

    @property
    def clusters(self) -> Runtime:
        """The runtime that it goes with."""

    @property
    def namespace(self) -> str:
        """Where both are."""

    @property
    def uid(self) -> str:
        """What the restore is named by."""

    @property
    def cluster_uid(self) -> str:
        """What the cluster is named by."""

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Call a method of a port."""

    def ask(self, name: str = NAME, **spec: object) -> str:
        """Somebody asks for (another) restore, with these fields in `spec`; answers with its uid."""

    def remove_document(self, uid: str) -> None:
        """Somebody deletes the restore."""

    def remove_cluster(self) -> None:
        """Somebody deletes the cluster's document, and all that belongs to it goes."""

    def begun(self) -> int:
        """How many runs were really made so far."""

    def end(self, *, well: bool) -> None:
        """The run `restore-back` ends: well, with KEY and SAFETY; or after a while without a word."""

    def remove_run(self) -> None:
        """Somebody removes the run `restore-back`, whatever became of it."""

    def told(self, uid: str) -> list[Emit]:
        """What people were told at the restore."""

    def again(self) -> None:
        """The manager was killed and is started again: both runtimes are new ones with the same world."""


class InMemory:
    """The shipped runtime in memory."""

    namespace, cluster_uid = "default", "default/bao"

    def __init__(self) -> None:
        clock = SystemClock()
        self._asked = 0
        self.clusters = MemoryRuntime(clock)
        self.runtime = MemoryRestores(self.clusters, clock)
        self.clusters.put_document(parse_cluster(document({"metadata.name": CLUSTER}), strict=True))
        self.uid = self.ask()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def ask(self, name: str = NAME, **spec: object) -> str:
        self._asked += 1
        changes = {"metadata.name": name, "metadata.uid": f"u-{self._asked}", "spec.cluster": CLUSTER}
        given = {f"spec.{field}": value for field, value in spec.items()}
        return self.runtime.put_document(restore_document({**changes, **given}))

    def remove_document(self, uid: str) -> None:
        self.runtime.remove_document(uid)

    def remove_cluster(self) -> None:
        self.clusters.remove_document(self.cluster_uid)

    def begun(self) -> int:
        return len(self.runtime.made)

    def end(self, *, well: bool) -> None:
        now = datetime.now(UTC)
        result = Result(
            outcome=Outcome.SUCCEEDED,
            reason="RestoreSucceeded",
            message="done",
            exit_code=0,
            key=KEY,
            size=5,
            safety_key=SAFETY,
            started=now - timedelta(seconds=1),
            finished=now,
        )
        self.clusters.end_restore(self.cluster_uid, RUN, result if well else None)

    def remove_run(self) -> None:
        del self.clusters.restore_runs(self.namespace, CLUSTER)[RUN]

    def told(self, uid: str) -> list[Emit]:
        return self.runtime.events(uid)

    def again(self) -> None:
        """Nobody's memory outlives it: it goes on as it is."""


@contextmanager
def in_memory(_: pytest.FixtureRequest, _folder: Path) -> Iterator[RestoreStage]:
    """The runtime in memory."""
    yield InMemory()


#: Each gives a stage, from the test's request and a folder of its own.
RUNTIMES = [in_memory, on_api_in_memory, pytest.param(on_kubernetes, marks=pytest.mark.servers)]


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.__name__)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RestoreStage]:
    """Each runtime in turn, with one cluster and one restore."""
    opened: AbstractContextManager[RestoreStage] = request.param(request, tmp_path)
    with opened as there:
        yield there
