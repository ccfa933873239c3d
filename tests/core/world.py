"""A world of one cluster in memory, for tests of the manager's decisions: it does what they say.

It is a faithful `Runtime` for the real `reconcile`: saves by version, starts runs once by name, and
forgets them. On demand any action is lost, or the manager dies at any point. After each whole round
it checks what must always hold.
"""

from __future__ import annotations

from collections.abc import Coroutine
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace
from tests.core.documents import document
from tests.core.results import result_of

from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.observed import (
    Action,
    ClearTrigger,
    Emit,
    ForgetRun,
    Health,
    Observed,
    Run,
    RunState,
    StartCheck,
    StartRun,
    UnfinishedRestore,
)
from bao_backup.core.operation_lock import lock_in_force
from bao_backup.core.spec import OpenBaoCluster, parse_cluster
from bao_backup.core.status import LOCK_HOLDER, BackupStatus, OperationLock
from bao_backup.core.step import step
from bao_backup.flows.manage import reconcile

T = TypeVar("T")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
READY = Health(ready=True)
LOGIN = {"spec.backup.tokenSecretRef": {"name": "token"}}


def at(clock: str, day: int = 22) -> datetime:
    """A time of 22 November 2026, or of another day of that month: "02:00", "02:00:30"."""
    return datetime.fromisoformat(f"2026-11-{day:02}T{clock}+00:00")


class Died(Exception):  # noqa: N818 - what happened to the manager
    """The manager was killed at this point."""


class World:
    """One cluster, its runs, and a manager that may die. Its schedule is hourly unless it is said."""

    def __init__(self, *, start: datetime = MIDNIGHT, **changes: Any) -> None:
        self.now = start
        self.content = document({"spec.backup.schedule": "0 * * * *", "status.phase": "Running", **LOGIN})
        self.document: OpenBaoCluster | None = None
        self.problems: tuple[Problem, ...] = ()
        self.status, self.version = BackupStatus(), 0
        self.lock: OperationLock | None = None
        self.runs: dict[str, Run] = {}
        self.checks: dict[str, Run] = {}
        self.generation = 0
        #: None: nobody knows of restores.
        self.restores: tuple[UnfinishedRestore, ...] | None = None
        self.restore_runs: tuple[Run, ...] = ()
        self.forgotten: set[str] = set()
        self.began: dict[str, datetime] = {}
        #: Every run that really began, in order.
        self.started: list[StartRun] = []
        self.events: list[Emit] = []
        self.trigger = ""
        self.room = True
        self.health: Health | None = None
        self.wake: datetime | None = None
        #: The manager dies at this call of the world in its next round, from 0; None: it lives.
        self.dies_at: int | None = None
        #: Actions of these types do not happen.
        self.lost: tuple[type[Action], ...] = ()
        self._calls = 0
        self._answered: Health | None = None
        self.edit(**changes)

    # --- what people and the outer world do ----------------------------------------------------

    def edit(self, *, keep_last: bool = False, **changes: Any) -> None:
        """Change the document: `suspend=True` is spec.backup.suspend, `spec__paused=True` spec.paused.

        Where it is not valid any more there is no document, or with `keep_last` the one before.
        """
        self.generation += 1
        paths = {
            name.replace("__", ".") if "__" in name else f"spec.backup.{name}": value
            for name, value in changes.items()
        }
        for path, value in paths.items():
            *parents, last = path.split(".")
            place = self.content
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = deepcopy(value)
        try:
            self.document, self.problems = parse_cluster(self.content, strict=True), ()
        except DocumentError as error:
            self.problems = error.problems
            self.document = self.document if keep_last else None

    def finish(self, *, reason: str = "", after: timedelta = MINUTE, said: bool = True, **more: Any) -> None:
        """The unfinished run of ours ends `after` its begin: well, or for a `reason`; or it says nothing."""
        name = self.unfinished
        began = self.began[name]
        self.now = max(self.now, began + after)
        result = result_of(next(s for s in self.started if s.name == name), began, after, reason, **more)
        self.runs[name] = Run(name=name, state=RunState.FINISHED, result=result if said else None)

    def theirs(self, name: str, state: RunState = RunState.UNFINISHED) -> None:
        """A run of another manager."""
        self.runs[name] = Run(name=name, state=state, ours=False)

    # --- what tests look at --------------------------------------------------------------------

    @property
    def unfinished(self) -> str:
        """The name of the one unfinished run of ours."""
        (name,) = (run.name for run in self.runs.values() if run.ours and run.state is RunState.UNFINISHED)
        return name

    @property
    def names(self) -> list[str]:
        """The names of all runs that began."""
        return [run.name for run in self.started]

    def told(self, reason: str) -> list[str]:
        """The messages of all events of this reason."""
        return [event.message for event in self.events if event.reason == reason]

    # --- the manager ---------------------------------------------------------------------------

    def until(self, moment: datetime) -> None:
        """Let time pass, with a round now, at each wake, and at the end."""
        self.settle()
        for _ in range(100_000):
            if self.wake is None or self.wake > moment:
                break
            self.now = self.wake
            self.settle()
        else:
            raise AssertionError("it wakes again and again")
        self.now = max(self.now, moment)
        self.settle()

    def settle(self) -> None:
        """Rounds until nothing changes, as when each change is noticed at once."""
        for _ in range(5):
            before = self._counts()
            self.round()
            if self._counts() == before:
                self.check()
                return
        raise AssertionError("it does not settle")

    def _counts(self) -> tuple[object, ...]:
        return self.version, len(self.started), len(self.checks), len(self.forgotten), self.trigger

    def round(self) -> None:
        """One round of the manager, which may die in it."""
        self._calls, self._answered = 0, None
        self.wake = _finish(reconcile(self, _Clock(self), "uid"))
        assert self.wake is None or self.wake > self.now, "a wake that is not in the future never ends"

    def round_or_death(self) -> bool:
        """One round; whether the manager lived through it. It lives again afterwards."""
        try:
            self.round()
        except Died:
            return False
        finally:
            self.dies_at = None
        return True

    def check(self) -> None:
        """What must hold whenever the manager has done all that it wants."""
        mine = [run for run in self.runs.values() if run.ours and run.name not in self.forgotten]
        assert sum(run.state is RunState.UNFINISHED for run in mine) <= 1, "two runs at once"
        assert len(set(self.names)) == len(self.started), "a run began twice"
        attempt = self.status.attempt
        held = self.lock is not None and self.lock.holder == LOCK_HOLDER
        others = self.lock is not None and not held
        under_way = attempt is not None and attempt.under_way
        foreign = any(not r.ours and r.state is RunState.UNFINISHED for r in self.runs.values())
        assert held == under_way or others or foreign, "the lock is held just while an attempt is under way"
        if self.health is None:
            again = step(self._observe(), self.now)
            assert (again.status, again.lock) == (self.status, self.lock), "deciding again changes nothing"
            needed = [a for a in again.actions if not isinstance(a, self.lost)]
            assert not needed, "nothing is left to do"

    # --- what the port promises ----------------------------------------------------------------

    async def observe(self, _uid: str) -> tuple[Observed, str]:
        self._call()
        observed = self._observe()
        #: What the round decides from; when it asked the health, it observes again after that.
        self.seen = replace(observed, health=self._answered)
        return observed, str(self.version)

    async def ask_health(self, _uid: str) -> Health:
        self._call()
        self._answered = self.health or READY
        return self._answered

    async def save(self, _uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        self._call()
        if version != str(self.version):
            return False
        if self.lock is not None and self.lock.holder != LOCK_HOLDER:
            assert lock == lock_in_force(self._observe()), "another holder's lock was touched"
        self.status, self.lock, self.version = status, lock, self.version + 1
        return True

    async def start(self, _uid: str, run: StartRun) -> None:
        self._act(run)

    async def start_check(self, _uid: str, run: StartCheck) -> None:
        self._act(run)

    async def forget(self, _uid: str, run: ForgetRun) -> None:
        self._act(run)

    async def clear_trigger(self, _uid: str, request: ClearTrigger) -> None:
        self._act(request)

    async def emit(self, _uid: str, event: Emit) -> None:
        self._act(event)

    def _act(self, action: Action) -> None:
        self._call()
        if isinstance(action, self.lost):
            return
        match action:
            case StartRun() if action.name not in self.runs:
                self.runs[action.name] = Run(name=action.name, state=RunState.UNFINISHED)
                self.began[action.name] = self.now
                self.started.append(action)
            case StartCheck() if action.name not in self.checks:
                self.checks[action.name] = Run(name=action.name, state=RunState.UNFINISHED)
            case ForgetRun():
                self.forgotten.add(action.name)
            case ClearTrigger() if action.value == self.trigger:
                self.trigger = ""
            case Emit():
                self.events.append(action)
            case _:
                pass  # it happened before

    def _call(self) -> None:
        if self._calls == self.dies_at:
            raise Died
        self._calls += 1

    def _observe(self) -> Observed:
        return Observed(
            namespace="default",
            name="prod",
            uid="uid",
            generation=self.generation,
            document=self.document,
            problems=self.problems,
            status=self.status,
            lock=self.lock,
            restores=self.restores,
            restore_runs=self.restore_runs,
            runs=tuple(run for run in self.runs.values() if run.name not in self.forgotten),
            check_runs=tuple(run for run in self.checks.values() if run.name not in self.forgotten),
            trigger=self.trigger,
            can_ask_health=self.health is not None,
            room=self.room,
        )


class _Clock:
    """The time of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.now

    def monotonic(self) -> float:
        return self._world.now.timestamp()


def _finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise AssertionError("it waits for something")
