"""`status.backup` and `status.operationLock`: what the manager remembers and tells.

Field names are the existing operator's where it has them; ours are optional additions.
"""

from __future__ import annotations

from msgspec.structs import replace

from bao_backup.core.model import Moment, Trigger, Value

LOCK_HOLDER = "openbaocluster/backup"


class OperationLock(Value, frozen=True, kw_only=True):
    """One of Backup, Restore, Upgrade at a time."""

    operation: str
    holder: str
    message: str = ""
    acquired_at: Moment | None = None
    renewed_at: Moment | None = None


class Condition(Value, frozen=True, kw_only=True):
    """A condition as Kubernetes knows them."""

    type: str
    #: "True", "False" or "Unknown"
    status: str
    reason: str
    message: str
    last_transition_time: Moment
    observed_generation: int = 0


class SuccessfulBackup(Value, frozen=True, kw_only=True):
    """The last backup that was really proven, from its run's own result."""

    time: Moment
    key: str
    size: int
    sha256: str
    #: in words, e.g. "1m12s"
    duration: str
    raft_index: int
    trigger: Trigger


class Attempt(Value, frozen=True, kw_only=True):
    """The try at a slot that is under way, waits for its retry, or was the last one."""

    name: str
    key: str
    slot: Moment
    trigger: Trigger
    number: int = 1
    accepted: Moment
    #: A failure of its slot is in `consecutiveFailures` already.
    counted: bool = False
    #: When to try this slot again, after a failure.
    retry_at: Moment | None = None
    #: Nothing more happens for this slot.
    settled: bool = False

    @property
    def under_way(self) -> bool:
        """Whether a run of it was started and its end is not in the status yet."""
        return not self.settled and self.retry_at is None


class ObservedSchedule(Value, frozen=True, kw_only=True):
    """The schedule that slots are counted by, and since when: a change invents no slot."""

    expression: str
    time_zone: str
    since: Moment


class Waiting(Value, frozen=True, kw_only=True):
    """A slot (or a person's request) that is due and may not start yet, and why."""

    slot: Moment
    trigger: Trigger = Trigger.SCHEDULED
    reason: str
    message: str


class CheckAttempt(Value, frozen=True, kw_only=True):
    """The check of the configuration that is under way, or was the last one."""

    name: str
    #: 8 hex digits of what was checked: `spec.backup` and `spec.connection`.
    digits: str
    accepted: Moment
    #: Its end is in the condition.
    settled: bool = False


class BackupStatus(Value, frozen=True, kw_only=True):
    """`status.backup`. Times, sizes and names come from results, never from when somebody looked."""

    last_backup_time: Moment | None = None
    last_attempt_time: Moment | None = None
    #: The slot that was last attempted, or missed: it is not due again.
    last_attempt_scheduled_time: Moment | None = None
    last_backup_size: int = 0
    last_backup_duration: str = ""
    last_backup_name: str = ""
    next_scheduled_backup: Moment | None = None
    consecutive_failures: int = 0
    successful_backups: int = 0
    last_failure_reason: str = ""
    last_failure_message: str = ""
    last_failure_time: Moment | None = None
    last_successful_backup: SuccessfulBackup | None = None
    #: The value that last asked for a manual run.
    last_handled_manual_trigger: str = ""
    #: Accepted, and the annotation (or request) that asked is still to be cleared.
    accepted_trigger: str = ""
    attempt: Attempt | None = None
    #: A slot's attempt whose retry waits until the manual run is over that `attempt` is.
    deferred: Attempt | None = None
    waiting: Waiting | None = None
    schedule: ObservedSchedule | None = None
    check: CheckAttempt | None = None
    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((c for c in self.conditions if c.type == type_), None)


def with_condition(status: BackupStatus, new: Condition) -> BackupStatus:
    """The status with this condition; its transition time only moves when its status changes."""
    return replace(status, conditions=conditions_with(status.conditions, new))


def conditions_with(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """The conditions with this one; its transition time only moves when its status changes."""
    old = next((c for c in conditions if c.type == new.type), None)
    if old is not None and old.status == new.status:
        new = replace(new, last_transition_time=old.last_transition_time)
    others = (c for c in conditions if c.type != new.type)
    return tuple(sorted((*others, new), key=lambda c: c.type))
