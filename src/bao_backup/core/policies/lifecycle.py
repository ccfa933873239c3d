"""The sheet of the store's own rules: one equal to the retention, where a rule can say it.

A rule knows age and prefix. The names of ordinary backups begin with the year, those of a class with
its name, so that a prefix tells them apart.

Sources: Amazon S3 User Guide, "Lifecycle configuration elements"; Cloud Storage documentation, "Object
Lifecycle Management"; Azure documentation, "Lifecycle management policies".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from bao_backup.core.duration import format_duration
from bao_backup.core.model import Value
from bao_backup.core.naming import PRE_UPGRADE_KIND
from bao_backup.core.policies.asked import Asked
from bao_backup.core.policies.s3_policy import is_amazon
from bao_backup.core.policies.sheet import File, Sheet, Step, command
from bao_backup.core.retention import ClassPolicy

JSON = "lifecycle.json"
XML = "lifecycle.xml"
#: What the names of ordinary backups begin with until the year 2099.
CENTURY = "20"
_DAY = 24 * 3600
_S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


class Expiry(Value, frozen=True, kw_only=True):
    """Objects whose key begins with `prefix` go after so many days."""

    id: str
    prefix: str
    days: int


def lifecycle_sheet(asked: Asked) -> Sheet:
    """The rules in the store's own words, and what they cannot say."""
    expiries, unsaid = plan(asked)
    makers = {"s3": _s3_steps, "gcs": _gcs_steps, "azure": _azure_steps}
    maker = makers.get(asked.store.provider)
    steps = maker(asked, expiries) if maker else ()
    return Sheet(
        subject="lifecycle", about=asked.where, steps=steps, notes=(*unsaid, *_notes(asked, expiries, steps))
    )


def plan(asked: Asked) -> tuple[tuple[Expiry, ...], tuple[str, ...]]:
    """What of the retention is a matter of age, and in words what is not."""
    if asked.retention is None:
        return (), ("There is no retention: everything is kept, and no rule lets anything expire.",)
    expiries: list[Expiry] = []
    unsaid: list[str] = []
    classes: list[tuple[str, str, ClassPolicy]] = [("", CENTURY, asked.retention)]
    if asked.retention.pre_upgrade is not None:
        classes.append((f"-{PRE_UPGRADE_KIND}", f"{PRE_UPGRADE_KIND}-", asked.retention.pre_upgrade))
    for suffix, beginning, policy in classes:
        whose = f"backups of the class {PRE_UPGRADE_KIND}" if suffix else "ordinary backups"
        if policy.max_age is not None and not policy.keep_rules:
            days = max(1, math.ceil(policy.max_age.total_seconds() / _DAY))
            prefix = f"{asked.prefix}/{beginning}"
            expiries.append(
                Expiry(
                    id=f"bao-backup-{asked.namespace}-{asked.name}{suffix}"[:255], prefix=prefix, days=days
                )
            )
        unsaid += _unsaid(policy, whose)
    return tuple(expiries), tuple(unsaid)


def s3_rules(asked: Asked, expiries: tuple[Expiry, ...]) -> list[dict[str, Any]]:
    """The rules of a bucket of S3; on AWS also one that removes abandoned uploads."""
    rules: list[dict[str, Any]] = [
        {
            "ID": expiry.id,
            "Status": "Enabled",
            "Filter": {"Prefix": expiry.prefix},
            "Expiration": {"Days": expiry.days},
        }
        for expiry in expiries
    ]
    if is_amazon(asked):
        rules.append(
            {
                "ID": f"bao-backup-{asked.namespace}-{asked.name}-abandoned"[:255],
                "Status": "Enabled",
                "Filter": {"Prefix": f"{asked.prefix}/"},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": abandoned_after(asked)},
            }
        )
    return rules


def s3_xml(rules: list[dict[str, Any]]) -> str:
    """The rules as the API takes them."""
    lines = [f'<LifecycleConfiguration xmlns="{_S3}">']
    for rule in rules:
        lines += ["  <Rule>", *(f"    {_element(name, value)}" for name, value in rule.items()), "  </Rule>"]
    return "\n".join([*lines, "</LifecycleConfiguration>"])


def abandoned_after(asked: Asked) -> int:
    """Days after which no run can still be at an upload that it began: 1 to 7."""
    return min(7, max(1, math.ceil(asked.seconds / _DAY)))


def gcs_rules(expiries: tuple[Expiry, ...]) -> dict[str, Any]:
    """The rules of a bucket of Google's."""
    return {
        "rule": [
            {
                "action": {"type": "Delete"},
                "condition": {"age": expiry.days, "matchesPrefix": [expiry.prefix]},
            }
            for expiry in expiries
        ]
    }


def azure_rules(asked: Asked, expiries: tuple[Expiry, ...]) -> dict[str, Any]:
    """The management policy of an account: prefixes begin with the container."""
    return {
        "rules": [
            {
                "enabled": True,
                "name": expiry.id,
                "type": "Lifecycle",
                "definition": {
                    "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": expiry.days}}},
                    "filters": {
                        "blobTypes": ["blockBlob"],
                        "prefixMatch": [f"{asked.store.bucket}/{expiry.prefix}"],
                    },
                },
            }
            for expiry in expiries
        ]
    }


def _s3_steps(asked: Asked, expiries: tuple[Expiry, ...]) -> tuple[Step, ...]:
    rules, bucket = s3_rules(asked, expiries), asked.store.bucket
    if is_amazon(asked):
        put = command(
            *("aws", "s3api", "put-bucket-lifecycle-configuration", "--bucket", bucket),
            *("--lifecycle-configuration", f"file://{JSON}"),
        )
        why = "The rules of the bucket. This replaces all that it has: add those that are to stay."
        return (Step(why=why, files=(File(name=JSON, content={"Rules": rules}),), commands=(put,)),)
    expiry = f"stale_uploads_expiry={24 * abandoned_after(asked)}h"
    stale = command("mc", "admin", "config", "set", "<ALIAS>", "api", expiry)
    steps = []
    if rules:
        files = (File(name=JSON, content={"Rules": rules}), File(name=XML, content=s3_xml(rules)))
        put = command("mc", "ilm", "rule", "import", f"<ALIAS>/{bucket}") + f" < {JSON}"
        why = (
            "The rules of the bucket, for MinIO's client; the same as XML, for others. This replaces all "
            "that it has: add those that are to stay."
        )
        steps.append(Step(why=why, files=files, commands=(put,)))
    why = "Abandoned uploads: MinIO has no rule for them, and removes them by itself, after a day by default."
    return (*steps, Step(why=why, commands=(stale,)))


def _gcs_steps(asked: Asked, expiries: tuple[Expiry, ...]) -> tuple[Step, ...]:
    if not expiries:
        return ()
    update = command(
        *("gcloud", "storage", "buckets", "update", f"gs://{asked.store.bucket}", f"--lifecycle-file={JSON}")
    )
    why = "The rules of the bucket. This replaces all that it has: add those that are to stay."
    return (Step(why=why, files=(File(name=JSON, content=gcs_rules(expiries)),), commands=(update,)),)


def _azure_steps(asked: Asked, expiries: tuple[Expiry, ...]) -> tuple[Step, ...]:
    if not expiries:
        return ()
    account = asked.store.account or "<STORAGE-ACCOUNT>"
    create = command(
        *("az", "storage", "account", "management-policy", "create", "--account-name", account),
        *("--resource-group", "<RESOURCE-GROUP>", "--policy", f"@{JSON}"),
    )
    why = "The rules of the account. This replaces all that it has: add those that are to stay."
    return (
        Step(why=why, files=(File(name=JSON, content=azure_rules(asked, expiries)),), commands=(create,)),
    )


def _unsaid(policy: ClassPolicy, whose: str) -> Iterator[str]:
    """What a rule of age and prefix cannot say."""
    if policy.keep_rules:
        names = ", ".join(f"keep{name.capitalize()} {count}" for name, count, _ in policy.keep_rules)
        beside = f", nor then maxAge {format_duration(policy.max_age)}" if policy.max_age else ""
        yield (
            f"No rule can say {names}{beside}: a rule by age would take what these keep. So there is none "
            f"for {whose}, and the retention has to be done by runs or by bao-backup prune."
        )
    if policy.max_count:
        yield f"No rule can say maxCount {policy.max_count} for {whose}: rules do not count."
    if policy.max_age is not None and not policy.keep_rules and policy.min_keep > 1:
        yield f"No rule can say minKeep {policy.min_keep} for {whose}."
    if policy.max_age is not None and policy.max_age.total_seconds() % _DAY:
        yield f"Rules know whole days: maxAge {format_duration(policy.max_age)} is rounded up."


def _notes(asked: Asked, expiries: tuple[Expiry, ...], steps: tuple[Step, ...]) -> Iterator[str]:
    if asked.store.provider == "file":
        yield "A folder has no rules of its own: the retention is done by runs, and by bao-backup prune."
        return
    if expiries:
        yield (
            "WARNING: a rule never keeps the last good backup. When backups fail for as long as maxAge, it "
            "removes the last ones. The retention of bao-backup does not: prefer it, and let a rule be later."
        )
        yield (
            "Where the bucket keeps versions, what expires stays as an old version: another rule has to "
            "remove those."
        )
    if asked.store.provider in {"gcs", "azure"}:
        yield "What a killed run has sent is seen by nobody, and the store drops it after a week by itself."
    elif not steps:
        yield "There is nothing to set."


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(*each) for each in value.items())
        return f"<{name}>{inner}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"
