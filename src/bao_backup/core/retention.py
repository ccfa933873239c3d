"""Which backups to keep: (backups, policy, now) -> a plan that says why for each of them.

The rules, in this order, for each class of backups by itself (the ordinary ones and `pre-upgrade-`):

1. A policy without any limit or keep rule keeps everything.
2. Counts are of proven backups. A proven one is kept when it is
   - one of the newest `min_keep` (at least the newest good one, whatever the policy says), or
   - within every limit that is set (`max_count` and `max_age` act together), or
   - the newest of its hour, day, week, month or year, for the newest `keep_...` of these that have
     a backup. Keep rules add to what the limits keep, and take nothing away.
3. An unproven one is dropped only by `max_age`, never under 24 hours old (by its slot and by when it
   was stored), and never while fewer than `min_keep` proven ones exist.
4. One that is dated in the future is kept and not counted: a clock that was wrong once must not
   push out the backups of today.
5. A class that the policy does not name is neither counted nor dropped; none can name `pre-restore`.

Hours, days, ISO weeks, months and years are those of UTC. A name that is not ours is never here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bao_backup.core.duration import format_duration
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Backup, Value
from bao_backup.core.naming import PRE_UPGRADE_KIND, age_order

#: An upload may be waiting for its receipt as long as this.
YOUNGEST_UNPROVEN = timedelta(hours=24)


class ClassPolicy(Value, frozen=True, kw_only=True):
    """The rules for one class of backups; 0 and None mean that there is no such rule."""

    max_count: int = 0
    max_age: timedelta | None = None
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    #: How many proven ones are never dropped; 0 still protects the newest.
    min_keep: int = 1

    @property
    def has_limit(self) -> bool:
        """Whether count or age is limited."""
        return self.max_count > 0 or self.max_age is not None

    @property
    def keep_rules(self) -> tuple[tuple[str, int, Callable[[datetime], str]], ...]:
        """The keep rules that are set: name, how many, and the name of a time's bucket."""
        rules: tuple[tuple[str, int, Callable[[datetime], str]], ...] = (
            ("hourly", self.keep_hourly, lambda taken: f"{taken:%Y-%m-%dT%H}"),
            ("daily", self.keep_daily, lambda taken: f"{taken:%Y-%m-%d}"),
            ("weekly", self.keep_weekly, lambda taken: f"{taken:%G-W%V}"),
            ("monthly", self.keep_monthly, lambda taken: f"{taken:%Y-%m}"),
            ("yearly", self.keep_yearly, lambda taken: f"{taken:%Y}"),
        )
        return tuple(rule for rule in rules if rule[1] > 0)


class RetentionPolicy(ClassPolicy, frozen=True, kw_only=True):
    """The rules for the ordinary backups, and for those taken before upgrades where it names them."""

    #: None: backups taken before upgrades are neither counted nor dropped.
    pre_upgrade: ClassPolicy | None = None
    #: How long each backup is locked from the beginning of its upload; None: it is not.
    locked_for: timedelta | None = None


class Decision(Value, frozen=True, kw_only=True):
    """What becomes of one backup."""

    backup: Backup
    keep: bool
    #: in words for people, e.g. "weekly for 2026-W47"
    why: str


class Plan(Value, frozen=True, kw_only=True):
    """What becomes of every backup, newest first."""

    decisions: tuple[Decision, ...]
    #: The time that it was made for; None: nobody looks at it.
    made: datetime | None = None

    @property
    def kept(self) -> tuple[Decision, ...]:
        """The backups that stay."""
        return tuple(decision for decision in self.decisions if decision.keep)

    @property
    def dropped(self) -> tuple[Decision, ...]:
        """The backups to delete, oldest first, so that an interrupted prune leaves the newest."""
        return tuple(decision for decision in reversed(self.decisions) if not decision.keep)


def plan_retention(backups: Sequence[Backup], policy: RetentionPolicy, now: datetime) -> Plan:
    """Decide for each backup, in whatever order they come; nothing is deleted here."""
    if now.tzinfo is None:
        raise InternalError("plan retention", "the time has no zone")
    ordered = sorted(backups, key=age_order, reverse=True)
    classes: dict[str, ClassPolicy | None] = {"": policy, PRE_UPGRADE_KIND: policy.pre_upgrade}
    decisions: list[Decision] = []
    for kind in sorted({backup.kind for backup in ordered}):
        of_kind = [backup for backup in ordered if backup.kind == kind]
        decisions += _plan_class(of_kind, classes.get(kind), now)
    decisions = [_unless_locked(decision, policy.locked_for, now) for decision in decisions]
    decisions.sort(key=lambda decision: age_order(decision.backup), reverse=True)
    return Plan(decisions=tuple(decisions), made=now)


def _unless_locked(decision: Decision, locked_for: timedelta | None, now: datetime) -> Decision:
    """Nobody may delete it yet, or only seemingly: what an S3 bucket hides, it still keeps.

    A store's time of an object is never before the beginning of its upload, from which the lock counts.
    """
    until = None if locked_for is None else decision.backup.modified + locked_for
    if decision.keep or until is None or until <= now:
        return decision
    return _keep(decision.backup, f"locked until {until:%Y-%m-%d %H:%M:%S} UTC, then: {decision.why}")


def _plan_class(backups: Sequence[Backup], policy: ClassPolicy | None, now: datetime) -> list[Decision]:
    if policy is None:
        return [_keep(backup, f"the policy does not name the {backup.kind} class") for backup in backups]
    if not policy.has_limit and not policy.keep_rules:
        return [_keep(backup, "the policy has no rule") for backup in backups]
    dated = [backup for backup in backups if backup.taken <= now]
    proven = [backup for backup in dated if backup.proven]
    decisions = [_keep(backup, "dated in the future") for backup in backups if backup.taken > now]
    decisions += _plan_proven(proven, policy, now)
    decisions += [_decide_unproven(backup, policy, now, len(proven)) for backup in dated if not backup.proven]
    return decisions


def _plan_proven(proven: Sequence[Backup], policy: ClassPolicy, now: datetime) -> list[Decision]:
    wanted = _wanted_by_rules(proven, policy)
    return [
        _decide_proven(backup, rank, wanted[backup.key], policy, now) for rank, backup in enumerate(proven)
    ]


def _wanted_by_rules(proven: Sequence[Backup], policy: ClassPolicy) -> dict[str, list[str]]:
    """For each key, what the keep rules want it as; `proven` is newest first."""
    wanted: dict[str, list[str]] = {backup.key: [] for backup in proven}
    for name, count, bucket_of in policy.keep_rules:
        newest_of: dict[str, str] = {}
        for backup in proven:
            newest_of.setdefault(bucket_of(backup.taken), backup.key)
        for bucket, key in list(newest_of.items())[:count]:
            wanted[key].append(f"{name} for {bucket}")
    return wanted


def _decide_proven(
    backup: Backup, rank: int, wanted: Sequence[str], policy: ClassPolicy, now: datetime
) -> Decision:
    within, beyond = _limits(backup, rank, policy, now)
    reasons = ["newest good backup"] if rank == 0 else []
    if policy.has_limit and not beyond:
        reasons += within
    reasons += wanted
    if not reasons and rank < policy.min_keep:
        reasons = [f"one of the newest {policy.min_keep} good ones (minKeep)"]
    if reasons:
        return _keep(backup, ", ".join(reasons))
    return Decision(backup=backup, keep=False, why=", ".join(beyond) or "no rule wants it")


def _limits(backup: Backup, rank: int, policy: ClassPolicy, now: datetime) -> tuple[list[str], list[str]]:
    """In words: which limits the backup is within, and which it is beyond."""
    within, beyond = [], []
    if policy.max_count > 0 and rank < policy.max_count:
        within.append(f"within the newest {policy.max_count}")
    elif policy.max_count > 0:
        beyond.append(f"not among the newest {policy.max_count}")
    if policy.max_age is not None:
        age = format_duration(policy.max_age)
        if now - backup.taken <= policy.max_age:
            within.append(f"not older than {age}")
        else:
            beyond.append(f"older than {age}")
    return within, beyond


def _decide_unproven(backup: Backup, policy: ClassPolicy, now: datetime, proven: int) -> Decision:
    age = now - max(backup.taken, backup.modified)
    if policy.max_age is None:
        return _keep(backup, "unproven, and only age drops these")
    if age <= YOUNGEST_UNPROVEN:
        return _keep(backup, "unproven, and younger than 24h")
    if age <= policy.max_age:
        return _keep(backup, f"unproven, and not older than {format_duration(policy.max_age)}")
    needed = max(policy.min_keep, 1)
    if proven < needed:
        return _keep(backup, f"unproven, and fewer than {needed} good ones (minKeep)")
    return Decision(
        backup=backup, keep=False, why=f"unproven, and older than {format_duration(policy.max_age)}"
    )


def _keep(backup: Backup, why: str) -> Decision:
    return Decision(backup=backup, keep=True, why=why)
