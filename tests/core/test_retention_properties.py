"""What no policy and no set of backups can make retention do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bao_backup.core.model import Backup, Stored
from bao_backup.core.naming import backup_key, catalogue
from bao_backup.core.retention import ClassPolicy, Plan, RetentionPolicy, plan_retention

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

# Near to one another, so that buckets, ties and limits meet; some in the future.
ages = st.one_of(
    st.integers(-48, 100).map(lambda each: timedelta(hours=each)),
    st.integers(-30, 1500).map(lambda each: timedelta(days=each)),
    st.integers(-3600, 90_000).map(lambda each: timedelta(seconds=each)),
)
counts = st.sampled_from([0, 0, 0, 1, 2, 5])


def make_backup(age: timedelta, stored: timedelta, proven: bool, kind: str, number: int) -> Backup:
    """A backup of that age."""
    taken = NOW - age
    key = backup_key("ns/c", taken, f"{number:08x}", kind)
    return Backup(key=key, taken=taken, size=1, modified=taken + stored, proven=proven, kind=kind)


backups_strategy = st.lists(
    st.builds(
        make_backup,
        ages,
        st.sampled_from([timedelta(), timedelta(minutes=3), timedelta(hours=30)]),
        st.booleans() | st.just(value=True),
        st.sampled_from(["", "", "", "pre-upgrade", "by-hand"]),
        st.integers(0, 2**32 - 1),
    ),
    max_size=25,
    unique_by=lambda backup: backup.key,
)
rules = {
    "max_count": counts,
    "max_age": st.none() | st.integers(1, 1000).map(lambda each: timedelta(hours=each)),
    "keep_hourly": counts,
    "keep_daily": counts,
    "keep_weekly": counts,
    "keep_monthly": counts,
    "keep_yearly": counts,
    "min_keep": st.integers(0, 4),
}
policies = st.builds(RetentionPolicy, pre_upgrade=st.none() | st.builds(ClassPolicy, **rules), **rules)


def kept(plan: Plan) -> list[Backup]:
    """What stays."""
    return [decision.backup for decision in plan.kept]


def proven_of(backups: list[Backup], kind: str = "") -> list[Backup]:
    """The good ones of a class, newest first."""
    found = [backup for backup in backups if backup.proven and backup.kind == kind]
    return sorted(found, key=lambda backup: (backup.taken, backup.key), reverse=True)


@given(backups_strategy, policies)
def test_each_backup_has_exactly_one_decision(backups: list[Backup], policy: RetentionPolicy) -> None:
    """Nothing is forgotten, nothing is added, and each has its reason."""
    plan = plan_retention(backups, policy, NOW)
    assert sorted(decision.backup.key for decision in plan.decisions) == sorted(each.key for each in backups)
    assert len(plan.kept) + len(plan.dropped) == len(plan.decisions)
    assert all(decision.why for decision in plan.decisions)


@given(backups_strategy, policies)
def test_the_newest_good_backup_is_never_dropped(backups: list[Backup], policy: RetentionPolicy) -> None:
    """Neither the newest at all, nor the newest that is not dated in the future, of either class."""
    stays = kept(plan_retention(backups, policy, NOW))
    for kind in ("", "pre-upgrade"):
        good = proven_of(backups, kind)
        past = [backup for backup in good if backup.taken <= NOW]
        assert all(backup in stays for backup in good[:1] + past[:1])


@given(backups_strategy, policies)
def test_min_keep_good_ones_stay(backups: list[Backup], policy: RetentionPolicy) -> None:
    """The newest of them, or all when there are fewer."""
    stays = kept(plan_retention(backups, policy, NOW))
    assert len(proven_of(stays)) >= min(policy.min_keep, len(proven_of(backups)))


@given(backups_strategy, policies)
def test_a_plan_that_was_carried_out_has_nothing_left_to_drop(
    backups: list[Backup], policy: RetentionPolicy
) -> None:
    """Applied twice at the same time, it is stable; a prune may be repeated at will."""
    stays = kept(plan_retention(backups, policy, NOW))
    again = plan_retention(stays, policy, NOW)
    assert not again.dropped


@given(backups_strategy, policies, st.integers(0, 25))
def test_a_plan_that_was_half_carried_out_goes_on_to_the_same_end(
    backups: list[Backup], policy: RetentionPolicy, number: int
) -> None:
    """An interrupted prune, repeated, leaves what an uninterrupted one would."""
    plan = plan_retention(backups, policy, NOW)
    gone = {decision.backup.key for decision in plan.dropped[:number]}
    rest = [backup for backup in backups if backup.key not in gone]
    assert kept(plan_retention(rest, policy, NOW)) == kept(plan)


@given(backups_strategy, backups_strategy, policies)
def test_older_backups_never_cost_a_newer_good_one(
    backups: list[Backup], others: list[Backup], policy: RetentionPolicy
) -> None:
    """What is found further back changes nothing for the good ones in front of it."""
    oldest = min((backup.taken for backup in backups), default=NOW)
    older = [backup for backup in others if backup.taken < oldest]
    before = {backup.key for backup in proven_of(kept(plan_retention(backups, policy, NOW)))}
    after = {backup.key for backup in proven_of(kept(plan_retention(backups + older, policy, NOW)))}
    assert before <= after


@given(backups_strategy, policies)
def test_unproven_ones_are_dropped_by_age_only(backups: list[Backup], policy: RetentionPolicy) -> None:
    """Older than the limit and than a day by both clocks, and with enough good ones beside them."""
    for decision in plan_retention(backups, policy, NOW).dropped:
        rules_of = policy.pre_upgrade if decision.backup.kind else policy
        assert rules_of is not None
        if not decision.backup.proven:
            assert rules_of.max_age is not None
            limit = max(rules_of.max_age, timedelta(hours=24))
            assert NOW - decision.backup.taken > limit
            assert NOW - decision.backup.modified > limit
            assert len(proven_of(backups, decision.backup.kind)) >= max(rules_of.min_keep, 1)


@given(backups_strategy, policies)
def test_what_is_dated_in_the_future_or_of_no_named_class_stays(
    backups: list[Backup], policy: RetentionPolicy
) -> None:
    """Neither is any policy's business."""
    for decision in plan_retention(backups, policy, NOW).dropped:
        assert decision.backup.taken <= NOW
        assert decision.backup.kind == "" or (decision.backup.kind == "pre-upgrade" and policy.pre_upgrade)


@given(backups_strategy, policies)
def test_other_classes_change_nothing_for_the_ordinary_ones(
    backups: list[Backup], policy: RetentionPolicy
) -> None:
    """Each class is counted by itself."""
    ordinary = [backup for backup in backups if not backup.kind]
    with_all = [backup for backup in kept(plan_retention(backups, policy, NOW)) if not backup.kind]
    assert with_all == kept(plan_retention(ordinary, policy, NOW))


@given(st.lists(st.text(max_size=50), max_size=10))
def test_foreign_names_are_in_no_plan(names: list[str]) -> None:
    """Retention plans what the catalogue knows, and the catalogue knows exact names only."""
    key = backup_key("ns/c", NOW, "00000001")
    from_store = [Backup(key=key, taken=NOW, size=1, modified=NOW, proven=True)]
    found = catalogue(
        [
            Stored(key=name, size=1, modified=NOW)
            for name in (key, f"{key}.json", *(f"ns/c/{name}" for name in names))
        ],
        "ns/c",
    )
    plan = plan_retention(found, RetentionPolicy(max_count=1, max_age=timedelta(seconds=1)), NOW)
    assert [decision.backup for decision in plan.decisions] == from_store


@given(backups_strategy, policies, st.integers(1, 2000).map(lambda each: timedelta(hours=each)))
def test_what_is_locked_is_never_dropped(
    backups: list[Backup], policy: RetentionPolicy, locked_for: timedelta
) -> None:
    """A lock only ever keeps more, and exactly those that it holds."""
    without = plan_retention(backups, policy, NOW)
    plan = plan_retention(backups, replace(policy, locked_for=locked_for), NOW)
    expected = [each for each in without.dropped if each.backup.modified + locked_for <= NOW]
    assert plan.dropped == tuple(expected)
