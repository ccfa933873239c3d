"""Retention as a table: which backups there are, the policy, and what becomes of each, and why."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Backup
from bao_backup.core.naming import backup_key
from bao_backup.core.retention import ClassPolicy, RetentionPolicy, plan_retention

#: A Sunday in ISO week 47.
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

# A case begins with its name and its policy. A line for each backup: + kept or - dropped, when it was
# taken (or how long before now), its class, "unproven" (and when it was stored), : and why.
TABLE = """
## An empty policy keeps everything |
+ 1h                   : the policy has no rule
+ 2026-01-01 unproven  : the policy has no rule
+ 1990-01-01           : the policy has no rule

## What is locked stays until its lock ends | max_count=1 locked_for=48h
+ 1h                   : newest good backup, within the newest 1
+ 2h                   : locked until 2026-11-24 10:00:00 UTC, then: not among the newest 1
+ 47h                  : locked until 2026-11-22 13:00:00 UTC, then: not among the newest 1
- 48h                  : not among the newest 1
- 49h                  : not among the newest 1

## A lock holds unproven ones by when they were stored | max_age=24h locked_for=48h
+ 1h                   : newest good backup, not older than 24h
+ 90h unproven 30h     : locked until 2026-11-23 06:00:00 UTC, then: unproven, and older than 24h
- 90h unproven 48h     : unproven, and older than 24h

## minKeep alone is no rule | min_keep=3
+ 1h                   : the policy has no rule
+ 2026-01-01           : the policy has no rule

## The newest five | max_count=2
+ 1h                   : newest good backup, within the newest 2
+ 2h                   : within the newest 2
- 3h                   : not among the newest 2
- 4h                   : not among the newest 2

## By age | max_age=48h
+ 1h                   : newest good backup, not older than 48h
+ 48h                  : not older than 48h
- 48h1s                : older than 48h

## Count and age act together | max_count=3 max_age=48h
+ 1h                   : newest good backup, within the newest 3, not older than 48h
+ 47h                  : within the newest 3, not older than 48h
- 49h                  : older than 48h
- 50h                  : not among the newest 3, older than 48h

## Age never takes the last good one | max_age=48h
+ 200h                 : newest good backup
- 300h                 : older than 48h

## minKeep protects more of them | max_age=48h min_keep=3
+ 200h                 : newest good backup
+ 300h                 : one of the newest 3 good ones (minKeep)
+ 400h                 : one of the newest 3 good ones (minKeep)
- 500h                 : older than 48h

## minKeep 0 still protects the newest | max_age=48h min_keep=0
+ 200h                 : newest good backup
- 300h                 : older than 48h

## The newest of each day | keep_daily=2
+ 2026-11-22T11:00     : newest good backup, daily for 2026-11-22
- 2026-11-22T05:00     : no rule wants it
+ 2026-11-20T23:59     : daily for 2026-11-20
- 2026-11-20T00:00     : no rule wants it
- 2026-11-18           : no rule wants it

## Keep rules join: hours and days | keep_hourly=2 keep_daily=2
+ 2026-11-22T11:30     : newest good backup, hourly for 2026-11-22T11, daily for 2026-11-22
- 2026-11-22T11:10     : no rule wants it
+ 2026-11-22T10:00     : hourly for 2026-11-22T10
- 2026-11-22T09:00     : no rule wants it
+ 2026-11-21T09:00     : daily for 2026-11-21

## Keep rules join: weeks, months and years | keep_weekly=2 keep_monthly=2 keep_yearly=2
+ 2026-11-22T11:30     : newest good backup, weekly for 2026-W47, monthly for 2026-11, yearly for 2026
- 2026-11-16T00:00     : no rule wants it
+ 2026-11-15T23:00     : weekly for 2026-W46
+ 2026-10-31T23:00     : monthly for 2026-10
- 2026-01-01           : no rule wants it
+ 2025-06-01           : yearly for 2025
- 2024-06-01           : no rule wants it

## A week belongs to the year that ISO 8601 says | keep_weekly=2
+ 2025-12-31           : newest good backup, weekly for 2026-W01
+ 2025-12-28           : weekly for 2025-W52
- 2025-12-27           : no rule wants it

## Keep rules add to the limits, and take nothing away | max_count=2 keep_weekly=2
+ 2026-11-22T11:00     : newest good backup, within the newest 2, weekly for 2026-W47
+ 2026-11-22T10:00     : within the newest 2
- 2026-11-22T09:00     : not among the newest 2
+ 2026-11-14           : weekly for 2026-W46
- 2026-11-07           : not among the newest 2

## A keep rule keeps beyond the limit of age | max_age=24h keep_yearly=2
+ 1h                   : newest good backup, not older than 24h, yearly for 2026
- 30h                  : older than 24h
+ 2025-03-01           : yearly for 2025
- 2025-02-01           : older than 24h

## Unproven ones do not count, and count does not drop them | max_count=1
+ 1h unproven          : unproven, and only age drops these
+ 2h                   : newest good backup, within the newest 1
+ 900h unproven        : unproven, and only age drops these
- 3h                   : not among the newest 1

## Unproven ones go by age | max_age=48h
+ 1h                   : newest good backup, not older than 48h
+ 47h unproven         : unproven, and not older than 48h
- 49h unproven         : unproven, and older than 48h

## Unproven ones of the last day stay, however short the age is | max_age=1h
+ 10m                  : newest good backup, not older than 1h
+ 2h unproven          : unproven, and younger than 24h
+ 24h unproven         : unproven, and younger than 24h
- 24h1s unproven       : unproven, and older than 1h

## An old slot that was stored just now may wait for its receipt | max_age=1h
+ 10m                  : newest good backup, not older than 1h
+ 90h unproven 2h      : unproven, and younger than 24h
- 91h unproven 30h     : unproven, and older than 1h

## A bucket that another tool filled is not emptied | max_age=48h
+ 100h unproven        : unproven, and fewer than 1 good ones (minKeep)
+ 900h unproven        : unproven, and fewer than 1 good ones (minKeep)

## minKeep 0 does not empty it either | max_age=48h min_keep=0
+ 100h unproven        : unproven, and fewer than 1 good ones (minKeep)

## Nor while there are fewer than minKeep good ones | max_age=48h min_keep=3
+ 1h                   : newest good backup, not older than 48h
+ 2h                   : not older than 48h
+ 900h unproven        : unproven, and fewer than 3 good ones (minKeep)

## A clock that was ahead once pushes nothing out | max_count=1 max_age=48h keep_daily=1
+ 2036-01-01           : dated in the future
+ 2030-01-01           : dated in the future
+ 2030-01-01 unproven  : dated in the future
+ 1h                   : newest good backup, within the newest 1, not older than 48h, daily for 2026-11-22
- 49h                  : not among the newest 1, older than 48h

## Backups before upgrades are neither counted nor dropped | max_count=1 max_age=48h
+ 1h pre-upgrade       : the policy does not name the pre-upgrade class
+ 2h                   : newest good backup, within the newest 1, not older than 48h
- 3h                   : not among the newest 1
+ 900h pre-upgrade     : the policy does not name the pre-upgrade class

## unless the policy names them | pre_upgrade.max_count=1
+ 1h pre-upgrade       : newest good backup, within the newest 1
+ 2h                   : the policy has no rule
- 900h pre-upgrade     : not among the newest 1

## A class that nobody knows stays | max_count=1 pre_upgrade.max_count=1
+ 1h                   : newest good backup, within the newest 1
+ 900h by-hand         : the policy does not name the by-hand class

## What was there before a restore stays, and takes nobody's place | max_count=1 pre_upgrade.max_count=1
+ 1h pre-restore       : the policy does not name the pre-restore class
+ 2h                   : newest good backup, within the newest 1
+ 3h pre-upgrade       : newest good backup, within the newest 1
- 4h                   : not among the newest 1
+ 900h pre-restore     : the policy does not name the pre-restore class
"""


def cases() -> list[tuple[str, str, list[str]]]:
    """Name, policy and lines of each case of the table."""
    found = []
    for block in re.split(r"^## ", TABLE, flags=re.MULTILINE)[1:]:
        head, *lines = block.strip().splitlines()
        name, _, policy = head.partition("|")
        found.append((name.strip(), policy.strip(), lines))
    return found


def read_policy(text: str) -> RetentionPolicy:
    """A policy from name=value words."""
    ordinary: dict[str, int | timedelta] = {}
    upgrade: dict[str, int | timedelta] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        fields = upgrade if name.startswith("pre_upgrade.") else ordinary
        fields[name.removeprefix("pre_upgrade.")] = (
            parse_go_duration(value) if name.endswith(("age", "for")) else int(value)
        )
    named = ClassPolicy(**upgrade) if upgrade else None  # type: ignore[arg-type] # the table's own words
    return RetentionPolicy(pre_upgrade=named, **ordinary)  # type: ignore[arg-type] # the same


def read_time(text: str) -> datetime:
    """An instant, or how long before now it was."""
    if text.startswith(("19", "20")) and "-" in text:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return NOW - parse_go_duration(text)


def read_backup(text: str, number: int) -> Backup:
    """A backup from the words of a line."""
    when, *words = text.split()
    taken = read_time(when)
    proven = "unproven" not in words
    stored = words[words.index("unproven") + 1 :] if not proven else []
    kind = next((word for word in words if word in {"pre-upgrade", "pre-restore", "by-hand"}), "")
    return Backup(
        key=backup_key("ns/c", taken, f"{number:08x}", kind),
        taken=taken,
        size=1,
        modified=read_time(stored[0]) if stored else taken,
        proven=proven,
        kind=kind,
    )


@pytest.mark.parametrize(("name", "policy", "lines"), cases())
def test_a_plan_says_what_becomes_of_each_backup_and_why(name: str, policy: str, lines: list[str]) -> None:
    """Each case of the table above, in any order of the backups."""
    backups, wanted = [], {}
    for number, line in enumerate(lines):
        sign, what, why = line[0], *line[1:].split(" : ")
        backup = read_backup(what, number)
        backups.append(backup)
        wanted[backup.key] = (sign, why.strip())
    for ordered in (backups, backups[::-1]):
        plan = plan_retention(ordered, read_policy(policy), NOW)
        found = {each.backup.key: ("+" if each.keep else "-", each.why) for each in plan.decisions}
        assert found == wanted, name


def test_a_plan_is_newest_first_and_drops_oldest_first() -> None:
    """People read the newest first; a prune that is interrupted leaves the newest."""
    backups = [read_backup(f"{hours}h", hours) for hours in (3, 1, 4, 2)]
    plan = plan_retention(backups, RetentionPolicy(max_count=2), NOW)
    taken = [decision.backup.taken for decision in plan.decisions]
    assert taken == sorted(taken, reverse=True)
    assert [decision.backup.taken for decision in plan.kept] == taken[:2]
    assert [decision.backup.taken for decision in plan.dropped] == [taken[3], taken[2]]


def test_nothing_to_plan_is_an_empty_plan() -> None:
    """A new bucket has no backups."""
    assert plan_retention([], RetentionPolicy(max_count=1), NOW).decisions == ()


def test_a_time_without_zone_is_a_defect() -> None:
    """Ages would be wrong by hours."""
    with pytest.raises(InternalError):
        plan_retention([], RetentionPolicy(), NOW.replace(tzinfo=None))
