"""A world of clusters and restores in memory, with the real rounds of a manager that may die in any call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from msgspec.structs import replace
from tests.core.documents import document, restore_document

from bao_backup.adapters.memory_runtime import MemoryRestores, MemoryRuntime
from bao_backup.core.model import Outcome, Result
from bao_backup.core.naming import restore_run_name
from bao_backup.core.observed import Observed, RunState
from bao_backup.core.restore_spec import FINAL_PHASES, RestoreStatus
from bao_backup.core.restoring import ObservedRestore, ReleaseRun, StartRestore
from bao_backup.core.spec import parse_cluster
from bao_backup.core.status import OperationLock
from bao_backup.flows.manage import reconcile
from bao_backup.flows.manage_restore import reconcile_restore
from bao_backup.ports import RestoreRuntime, Runtime

T = TypeVar("T")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CLUSTER, BACK = "default/prod", "default/back"
SAFETY = "default/prod/pre-restore-2026-11-22T12-00-00Z-0123abcd.snap"
KEY = "default/prod/2026-11-21T02-00-00Z-0123abcd.snap"


class Died(Exception):  # noqa: N818 - what happened to the manager
    """The manager was killed at this point."""


class RestoreWorld:
    """One cluster `prod`, which is backed up at two o'clock, and no restore yet."""

    def __init__(self) -> None:
        self.time = NOON
        self.clusters = MemoryRuntime(self)
        self.restores = MemoryRestores(self.clusters, self)
        #: The manager dies at this call of a runtime, from 0 on; None: it lives.
        self.dies_at: int | None = None
        #: What somebody does just before a call of this name, once.
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.wake: datetime | None = None
        self.configure()

    # --- what people and the outer world do ----------------------------------------------------

    def configure(self, changes: dict[str, Any] | None = None) -> None:
        """The cluster's document is there, or is changed."""
        given = {
            "spec.backup.tokenSecretRef": {"name": "token"},
            "status.phase": "Running",
            **(changes or {}),
        }
        self.clusters.put_document(parse_cluster(document(given), strict=True))

    def ask(self, changes: dict[str, Any] | None = None) -> str:
        """Somebody asks for the restore `back`; answers with its uid."""
        return self.restores.put_document(restore_document(changes))

    def end(self, uid: str = BACK, reason: str = "", **more: Any) -> None:
        """The restore's run ends, well or for a reason."""
        result = self.good()
        if reason:
            failed = {"outcome": Outcome.FAILED, "reason": reason, "message": f"it failed: {reason}"}
            result = replace(result, exit_code=4, **failed)
        self.time += MINUTE
        self.restores.end(uid, replace(result, **more))

    def let_go(self, uid: str = BACK) -> None:
        """Somebody, and no manager, releases the restore's run."""
        run = self.seen(uid).run
        assert run is not None
        self._do(self.restores.release(uid, ReleaseRun(name=run.name, uid=run.uid)))

    def make_again(self, uid: str = BACK) -> None:
        """A manager that does not know yet that it leads no more makes the restore's run."""
        self._do(self.restores.start(uid, StartRestore(name=restore_run_name(self.seen(uid).name))))

    def remove_run(self) -> None:
        """Somebody removes the run `restore-back`, if it is there, whatever became of it."""
        self.clusters.restore_runs("default", "prod").pop("restore-back", None)

    def good(self) -> Result:
        """What a run says that began a second ago, and ends well in a minute."""
        return Result(
            outcome=Outcome.SUCCEEDED,
            reason="RestoreSucceeded",
            message="restored; unseal with the keys of then",
            exit_code=0,
            key=KEY,
            size=1_234_567,
            started=self.time + SECOND,
            finished=self.time + MINUTE,
        )

    def lock(self, lock: OperationLock | None) -> None:
        """Somebody else takes or gives back the cluster's lock."""
        _, version = self._do(self.clusters.observe(CLUSTER))
        assert self._do(self.clusters.save_lock(CLUSTER, version, lock))

    # --- what tests look at --------------------------------------------------------------------

    @property
    def holder(self) -> str:
        """Who holds the cluster's lock; empty when nobody does."""
        lock = self.clusters.lock(CLUSTER)
        return lock.holder if lock else ""

    @property
    def under_way(self) -> str:
        """The name of the restore's run that is under way, and not held; empty when there is none."""
        runs = self.cluster_seen().restore_runs
        return next((r.name for r in runs if r.state is RunState.UNFINISHED and not r.held), "")

    @property
    def names(self) -> list[str]:
        """The runs that really began, in order."""
        return [run.name for _, run in self.restores.started]

    def status(self, uid: str = BACK) -> RestoreStatus:
        """The restore's status as it was saved last."""
        return self.restores.status(uid)

    def told(self, uid: str = BACK) -> list[str]:
        """The reasons of the restore's events."""
        return [event.reason for event in self.restores.events(uid)]

    def seen(self, uid: str = BACK) -> ObservedRestore:
        """What a round would see of the restore."""
        return self._do(self.restores.observe(uid))[0]

    def cluster_seen(self) -> Observed:
        """What a round would see of the cluster."""
        return self._do(self.clusters.observe(CLUSTER))[0]

    # --- the manager ---------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time: the world is its own clock."""
        return self.time

    def monotonic(self) -> float:
        """Seconds."""
        return self.time.timestamp()

    def look(self, uid: str = BACK) -> None:
        """One round for a restore."""
        runtime = cast("RestoreRuntime", _Mortal(self, self.restores))
        self.wake = self._do(reconcile_restore(runtime, self, uid))

    def look_at_cluster(self) -> None:
        """One round for the cluster."""
        self._do(reconcile(cast("Runtime", _Mortal(self, self.clusters)), self, CLUSTER))

    def settle(self) -> None:
        """Rounds of everything, a second apart, until nothing changes."""
        for _ in range(12):
            before = self._all()
            for uid in self.restores.uids():
                self.look(uid)
            self.look_at_cluster()
            if self._all() == before:
                return
            self.time += SECOND
        raise AssertionError("it does not settle")

    def survived(self, look: Callable[[], None]) -> bool:
        """Whether the manager lived through a round; it lives again afterwards."""
        try:
            look()
        except Died:
            return False
        finally:
            self.dies_at = None
        return True

    def is_over(self, uid: str = BACK) -> bool:
        """Whether the restore has an end."""
        return self.status(uid).phase in FINAL_PHASES

    def _all(self) -> object:
        statuses = [self.status(uid) for uid in self.restores.uids()]
        return statuses, self.clusters.lock(CLUSTER), self.clusters.status(CLUSTER), self.cluster_seen()

    @staticmethod
    def _do(coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that never waits."""
        try:
            coroutine.send(None)
        except StopIteration as end:
            return cast("T", end.value)
        raise AssertionError("it waits for something")


class _Mortal:
    """A runtime whose manager is dead from the call `dies_at` on."""

    def __init__(self, world: RestoreWorld, runtime: object) -> None:
        self._world = world
        self._runtime = runtime
        self._calls = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method: Callable[..., Awaitable[Any]] = getattr(self._runtime, name)

        def call(*arguments: Any) -> Awaitable[Any]:
            if self._calls == self._world.dies_at:
                raise Died
            self._calls += 1
            self._world.meanwhile.pop(name, lambda: None)()
            return method(*arguments)

        return call
