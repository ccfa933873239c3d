"""`spec.backup`: what is backed up when, where to, and how long it is kept.

Names, defaults and bounds of `schedule`, `target`, `jwtAuthRole`, `tokenSecretRef`, `retention`
(`maxCount`, `maxAge`) and `image` are the existing operator's; the others are optional additions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from bao_backup.core.documents import Part, checked
from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.fields import check_age, check_object_name, check_schedule
from bao_backup.core.login import Auth, JwtAuthRole, TokenSecretRef, faults_of_logins
from bao_backup.core.model import VerifyLevel
from bao_backup.core.retention import ClassPolicy, RetentionPolicy
from bao_backup.core.schedule import Schedule, check_time_zone
from bao_backup.core.target import Target

_LARGEST_INT32 = 2**31 - 1
_YEAR = 366 * 24 * 3600

_Count = Annotated[int, Meta(ge=0, le=_LARGEST_INT32)]


class ClassRetention(Part, frozen=True, kw_only=True):
    """How long one class of backups is kept. What has no rule here is kept for ever."""

    max_count: Annotated[_Count, Meta(description="Keep the newest so many; 0: no limit of number.")] = 0
    max_age: Annotated[
        str, checked(check_age, "Keep none older than this Go duration, e.g. 168h; empty: no limit of age.")
    ] = ""
    keep_hourly: Annotated[_Count, Meta(description="Also keep the newest of each of so many hours.")] = 0
    keep_daily: Annotated[_Count, Meta(description="Also keep the newest of each of so many days.")] = 0
    keep_weekly: Annotated[_Count, Meta(description="Also keep the newest of each of so many ISO weeks.")] = 0
    keep_monthly: Annotated[_Count, Meta(description="Also keep the newest of each of so many months.")] = 0
    keep_yearly: Annotated[_Count, Meta(description="Also keep the newest of each of so many years.")] = 0
    min_keep: Annotated[
        _Count, Meta(description="Good backups that no rule may drop; the newest is never dropped.")
    ] = 1

    def rules(self) -> dict[str, Any]:
        """The fields of `retention.ClassPolicy`."""
        return {
            "max_count": self.max_count,
            "max_age": parse_go_duration(self.max_age) if self.max_age else None,
            "keep_hourly": self.keep_hourly,
            "keep_daily": self.keep_daily,
            "keep_weekly": self.keep_weekly,
            "keep_monthly": self.keep_monthly,
            "keep_yearly": self.keep_yearly,
            "min_keep": self.min_keep,
        }


class Retention(ClassRetention, frozen=True, kw_only=True):
    """How long backups are kept."""

    pre_upgrade: Annotated[
        ClassRetention | None,
        Meta(description="Rules for the backups taken before upgrades; without, they are kept for ever."),
    ] = None

    def policy(self) -> RetentionPolicy:
        """The same as `plan_retention` takes it."""
        named = ClassPolicy(**self.pre_upgrade.rules()) if self.pre_upgrade else None
        return RetentionPolicy(pre_upgrade=named, **self.rules())


class JobTemplate(Part, frozen=True, kw_only=True):
    """What the runs' Jobs and pods get beside what they need; Kubernetes only."""

    resources: Annotated[dict[str, Any], Meta(description="Resources of the container.")] = msgspec.field(
        default_factory=dict
    )
    node_selector: Annotated[dict[str, str], Meta(max_length=64, description="Node selector.")] = (
        msgspec.field(default_factory=dict)
    )
    tolerations: Annotated[tuple[dict[str, Any], ...], Meta(max_length=64, description="Tolerations.")] = ()
    affinity: Annotated[dict[str, Any], Meta(description="Affinity.")] = msgspec.field(default_factory=dict)
    labels: Annotated[dict[str, str], Meta(max_length=64, description="Further labels.")] = msgspec.field(
        default_factory=dict
    )
    annotations: Annotated[dict[str, str], Meta(max_length=64, description="Further annotations.")] = (
        msgspec.field(default_factory=dict)
    )
    service_account_name: Annotated[
        str, checked(check_object_name, "ServiceAccount to use; empty: one is made.")
    ] = ""
    priority_class_name: Annotated[str, checked(check_object_name, "Priority class.")] = ""
    env: Annotated[
        tuple[dict[str, Any], ...], Meta(max_length=64, description="Further environment variables.")
    ] = ()
    volumes: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            max_length=64,
            description="Further volumes of the pod, as the one that provider file keeps backups on.",
        ),
    ] = ()
    volume_mounts: Annotated[
        tuple[dict[str, Any], ...], Meta(max_length=64, description="Where the container has them.")
    ] = ()

    def faults(self) -> Iterable[tuple[str, str]]:
        """An environment variable has a name."""
        for number, variable in enumerate(self.env):
            if not isinstance(variable.get("name"), str) or not variable["name"]:
                yield f"env[{number}].name", "expected a text that is not empty"


class Backup(Part, frozen=True, kw_only=True):
    """`spec.backup`."""

    schedule: Annotated[
        str,
        Meta(min_length=1),
        checked(check_schedule, 'Five fields of cron, a name as @daily, or "@every 5m".'),
    ]
    target: Annotated[Target, Meta(description="Where backups go.")]
    suspend: Annotated[bool, Meta(description="No slot counts while this is true.")] = False
    time_zone: Annotated[
        str, Meta(min_length=1), checked(check_time_zone, "IANA time zone of the schedule.")
    ] = "UTC"
    jitter_seconds: Annotated[
        int, Meta(ge=0, le=24 * 3600, description="Slots start up to so much later, each cluster otherwise.")
    ] = 0
    starting_deadline_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=_YEAR)] | None,
        Meta(description="A slot that could not start for so long is given up; default: until the next."),
    ] = None
    active_deadline_seconds: Annotated[
        int, Meta(ge=10, le=7 * 24 * 3600, description="How long one attempt may take.")
    ] = 4 * 3600
    verify: Annotated[VerifyLevel, Meta(description="How the stored object is checked after its upload.")] = (
        VerifyLevel.HEAD
    )
    retention: Annotated[Retention | None, Meta(description="How long backups are kept.")] = None
    retention_policy: Annotated[Retention | None, Meta(description="Another name of retention.")] = None
    auth: Annotated[Auth | None, Meta(description="How to log in.")] = None
    jwt_auth_role: JwtAuthRole = ""
    token_secret_ref: TokenSecretRef = None
    job_template: Annotated[JobTemplate | None, Meta(description="For the runs' Jobs.")] = None
    check_on_create: Annotated[
        bool,
        Meta(description="Check the configuration when it is new or changes: see ConfigurationProven."),
    ] = False
    history_limit: Annotated[int, Meta(ge=0, le=100, description="Ended runs that are kept to look at.")] = 3
    image: Annotated[
        str, Meta(max_length=1024, description="Image of the runs; empty: the manager's own.")
    ] = ""
    restore_test: Annotated[Any, Meta(description="Of a later version: accepted, and ignored.")] = None

    @property
    def starting_deadline(self) -> timedelta | None:
        """How long a slot may wait; None: until the next one."""
        seconds = self.starting_deadline_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def policy(self) -> RetentionPolicy | None:
        """The retention, under whichever of its names; None: everything is kept."""
        retention, lock = self.retention or self.retention_policy, self.target.object_lock
        if retention is None:
            return None
        return replace(retention.policy(), locked_for=timedelta(days=lock.days) if lock else None)

    @property
    def token_secret(self) -> str:
        """The name of the Secret that `tokenSecretRef` means; empty when there is none."""
        return self.token_secret_ref.name if self.token_secret_ref else ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """One login, one retention, one time zone."""
        if self.retention and self.retention_policy:
            yield "retentionPolicy", "expected either retention or retentionPolicy: they are the same"
        yield from faults_of_logins(self.auth, self.jwt_auth_role, self.token_secret)
        try:
            Schedule.parse(self.schedule, self.time_zone)
        except ConfigurationError as error:
            yield "timeZone", error.why
