"""What the manager sees of one cluster at one moment, and what it may do about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from bao_backup.core.errors import Problem
from bao_backup.core.model import Result, Trigger, Value
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, OperationLock


class RunState(StrEnum):
    """Where a run is."""

    UNFINISHED = "Unfinished"
    FINISHED = "Finished"


class Run(Value, frozen=True, kw_only=True):
    """One try to fill a slot, as its runtime (a Job, a child process) shows it."""

    name: str
    state: RunState
    #: Whether this program started it; False for the existing operator's.
    ours: bool = True
    #: What its executor said, or the runtime's own account where it said nothing (`NoResult`).
    result: Result | None = None
    #: What its runtime tells it from a later one of this name by, where that matters: a Job's uid.
    uid: str = ""
    #: It was made, and waits to be released: nothing of it has begun. Only restores' runs are held.
    held: bool = False
    #: A restore's that was released, and that somebody suspended since: it does not end by itself.
    suspended: bool = False


class Health(Value, frozen=True, kw_only=True):
    """What a runtime that can ask `sys/health` was told."""

    ready: bool
    #: A reason for machines, and the words for people, when not ready.
    reason: str = ""
    message: str = ""


class UnfinishedRestore(Value, frozen=True, kw_only=True):
    """An OpenBaoRestore of the cluster that may still write to it."""

    name: str
    created: datetime


class Observed(Value, frozen=True, kw_only=True):
    """All that `step` decides from, besides the time."""

    namespace: str
    name: str
    uid: str
    generation: int = 0
    #: None when the document is not valid; `problems` then says why.
    document: OpenBaoCluster | None = None
    problems: tuple[Problem, ...] = ()
    status: BackupStatus = BackupStatus()
    lock: OperationLock | None = None
    #: The restores of this cluster whose end is not in their status, but for those that were deleted
    #: before they had a run; None where there are no documents of restores, so that nothing can be said
    #: of a restore's lock.
    restores: tuple[UnfinishedRestore, ...] | None = None
    #: Backups, of any manager, until they are forgotten.
    runs: tuple[Run, ...] = ()
    #: Restores' runs, of any manager, until they are forgotten; their documents may be gone.
    restore_runs: tuple[Run, ...] = ()
    #: Checks of the configuration, until they are forgotten. They hinder nothing.
    check_runs: tuple[Run, ...] = ()
    #: The value of a request for a manual run; empty when there is none.
    trigger: str = ""
    #: Whether the runtime can ask the server itself; `health` is None until it did.
    can_ask_health: bool = False
    health: Health | None = None
    #: Whether the manager's limit on runs at once leaves room for one more.
    room: bool = True
    #: The manager is about to end: it takes in the ends of runs, and starts none.
    stopping: bool = False

    @property
    def restore(self) -> str:
        """The name of the unfinished restore whose turn it is; empty when there is none."""
        first = min(self.restores or (), key=lambda restore: (restore.created, restore.name), default=None)
        return first.name if first is not None else ""

    @property
    def unfinished_restore_run(self) -> str:
        """The name of a restore's run that is under way; empty when there is none."""
        return next((run.name for run in self.restore_runs if run.state is RunState.UNFINISHED), "")


class StartRun(Value, frozen=True, kw_only=True, tag=True):
    """Start the run of that name, unless it exists already."""

    name: str
    key: str
    slot: datetime
    trigger: Trigger
    number: int


class StartCheck(Value, frozen=True, kw_only=True, tag=True):
    """Start the check of that name, unless it exists already."""

    name: str


class ForgetRun(Value, frozen=True, kw_only=True, tag=True):
    """The run's result is in the status: its traces may go (after the history that is kept)."""

    name: str


class ClearTrigger(Value, frozen=True, kw_only=True, tag=True):
    """Clear the request for a manual run, if it still has this value."""

    value: str


class AskHealth(Value, frozen=True, kw_only=True, tag=True):
    """Ask the server's health, and decide again with the answer."""


class Emit(Value, frozen=True, kw_only=True, tag=True):
    """Tell people: an event on Kubernetes, a log line elsewhere."""

    reason: str
    message: str
    warning: bool = False


Action = StartRun | StartCheck | ForgetRun | ClearTrigger | AskHealth | Emit


class Decision(Value, frozen=True, kw_only=True):
    """First the status (and lock) is written, then the actions are carried out, in order.

    A crash between the two is harmless: the next step sees the status without its effect and
    decides the same actions again.
    """

    status: BackupStatus
    lock: OperationLock | None
    actions: tuple[Action, ...] = ()
    #: When to look again though nothing happened; None: only when something does.
    wake: datetime | None = None
