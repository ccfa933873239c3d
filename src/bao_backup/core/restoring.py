"""What the manager sees of one OpenBaoRestore at one moment, and what it may do about it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from bao_backup.core.errors import Problem
from bao_backup.core.model import Value
from bao_backup.core.observed import Emit, ForgetRun, Observed, Run
from bao_backup.core.restore_spec import OpenBaoRestore, RestoreStatus
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import OperationLock


class ObservedRestore(Value, frozen=True, kw_only=True):
    """All that `step_restore` decides from, besides the time."""

    namespace: str
    name: str
    uid: str
    generation: int = 0
    #: None when the document is not valid; `problems` then says why.
    document: OpenBaoRestore | None = None
    problems: tuple[Problem, ...] = ()
    status: RestoreStatus = RestoreStatus()
    #: When the document was made: the older of two comes first.
    created: datetime
    #: It is being deleted, and something keeps it a while.
    leaving: bool = False
    #: What `step` would see of its cluster; None when there is no document of that name.
    cluster: Observed | None = None
    #: The cluster's document, or where that is wrong, what this restore needs of it; None: that is wrong,
    #: too, and `cluster_problems` then says why.
    cluster_document: OpenBaoCluster | None = None
    cluster_problems: tuple[Problem, ...] = ()
    #: The run that was started for this very document (by uid), until it is forgotten.
    run: Run | None = None
    #: A run of the same name that was not: of an earlier document of this name, or of another manager.
    namesake: Run | None = None


class RestoreVersions(NamedTuple):
    """What a write compares with; opaque to whoever carries them from `observe` to a write."""

    restore: str
    #: Empty when there is no cluster.
    cluster: str


class StartRestore(Value, frozen=True, kw_only=True, tag=True):
    """Make the run of that name, unless it exists already; it is held, and does nothing yet."""

    name: str


class ReleaseRun(Value, frozen=True, kw_only=True, tag=True):
    """Let the held run of that uid begin: what became of one that is gone nobody can say from here on."""

    name: str
    uid: str


class DiscardRun(Value, frozen=True, kw_only=True, tag=True):
    """Remove the run of this name that is held, or the finished one of an earlier document of this name."""

    name: str


RestoreAction = StartRestore | ReleaseRun | ForgetRun | DiscardRun | Emit


class RestoreDecision(Value, frozen=True, kw_only=True):
    """First the status is written, and what it says is told; then the lock; then the actions, in order.

    A crash anywhere between is harmless: the next step sees what was done and decides the rest again.
    """

    status: RestoreStatus
    #: What people are told once the status is written, whatever becomes of the lock.
    events: tuple[Emit, ...] = ()
    #: What the cluster's operation lock shall be; as it was observed when it is not to change.
    lock: OperationLock | None
    actions: tuple[RestoreAction, ...] = ()
    #: When to look again though nothing happened; None: only when something does.
    wake: datetime | None = None
