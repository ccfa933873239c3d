"""Keys, receipts and run names: made here, parsed here, and nothing foreign is taken for ours."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.model import Stored
from bao_backup.core.naming import (
    BackupName,
    backup_key,
    backup_key_of_receipt,
    catalogue,
    catalogue_of_all,
    cluster_prefix,
    parse_key,
    receipt_key,
    restore_run_name,
    run_name,
    short_id,
)

SLOT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
PREFIX = "team/vault/prod"
KEY = f"{PREFIX}/2026-11-22T02-00-00Z-1a2b3c4d.snap"

slots = st.integers(0, 10**13).map(
    lambda milliseconds: datetime(1971, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
object_names = st.from_regex(r"[a-z]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
kinds = st.from_regex(r"([a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,3})?", fullmatch=True)
ids = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)


def stored(key: str) -> Stored:
    """An object of seven bytes."""
    return Stored(key=key, size=7, modified=SLOT)


@pytest.mark.parametrize(
    ("path_prefix", "expected"),
    [
        ("", "vault/prod"),
        ("/", "vault/prod"),
        ("team", "team/vault/prod"),
        ("/team/a/", "team/a/vault/prod"),
        ("backups (old)", "backups (old)/vault/prod"),
    ],
)
def test_a_prefix_has_no_slash_at_either_end(path_prefix: str, expected: str) -> None:
    """Slashes around the path prefix do not count."""
    assert cluster_prefix(path_prefix, "vault", "prod") == expected


@pytest.mark.parametrize(
    "parts",
    [
        ("..", "vault", "prod"),
        ("a/../b", "vault", "prod"),
        ("a//b", "vault", "prod"),
        ("a/./b", "vault", "prod"),
        ("a\nb", "vault", "prod"),
        ("a" * 300 + "/" + "b" * 300, "vault", "prod"),
        ("", "", "prod"),
        ("", "vault", ""),
        ("", "..", "prod"),
        ("", "vault", "prod/other"),
        ("", "vault", "Prod"),
        ("", "vault", "a" * 254),
    ],
)
def test_a_part_that_may_leave_the_folder_is_refused(parts: tuple[str, str, str]) -> None:
    """Steps back, empty parts, control characters and other clusters' folders are no prefix."""
    with pytest.raises(ConfigurationError):
        cluster_prefix(*parts)


@pytest.mark.parametrize("path_prefix", [" ", " a", "a ", "a /", "\u00a0a"])
def test_a_prefix_that_would_not_reach_the_executor_is_refused(path_prefix: str) -> None:
    """White space around a variable is dropped there, and the key would not be the chosen one."""
    with pytest.raises(ConfigurationError, match="white space"):
        cluster_prefix(path_prefix, "vault", "prod")


def test_a_key_shows_slot_and_id() -> None:
    """The specified form, to the letter."""
    assert backup_key(PREFIX, SLOT, "1a2b3c4d") == KEY
    assert backup_key(PREFIX, SLOT, "1a2b3c4d", "pre-upgrade") == (
        "team/vault/prod/pre-upgrade-2026-11-22T02-00-00Z-1a2b3c4d.snap"
    )
    assert receipt_key(KEY) == f"{KEY}.json"


def test_a_key_is_in_utc_and_in_whole_seconds() -> None:
    """The same instant gives the same key in whatever zone it is told."""
    elsewhere = SLOT.astimezone(timezone(timedelta(hours=5, minutes=30))).replace(microsecond=900_000)
    assert backup_key(PREFIX, elsewhere, "1a2b3c4d") == KEY


def test_a_time_without_zone_makes_no_name() -> None:
    """It would mean another instant on another machine."""
    with pytest.raises(InternalError):
        backup_key(PREFIX, SLOT.replace(tzinfo=None), "1a2b3c4d")


@pytest.mark.parametrize("kind", ["Pre", "pre upgrade", "pre_upgrade", "-pre", "pre-", "pre--upgrade", "1"])
def test_a_kind_that_could_not_be_parsed_again_is_refused(kind: str) -> None:
    """Lower-case words and single dashes only."""
    with pytest.raises(ConfigurationError):
        backup_key(PREFIX, SLOT, "1a2b3c4d", kind)


@given(slots, ids, kinds)
def test_what_is_made_is_parsed_as_the_same(slot: datetime, id_: str, kind: str) -> None:
    """Making and parsing are inverse, for any slot, id and kind."""
    name = parse_key(backup_key(PREFIX, slot, id_, kind), PREFIX)
    assert name == BackupName(prefix=PREFIX, taken=slot.replace(microsecond=0), id=id_, kind=kind)


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}.json",
        f"{KEY}~",
        f"x{KEY}",
        KEY.removesuffix(".snap"),
        KEY.replace("1a2b3c4d", "1A2B3C4D"),
        KEY.replace("1a2b3c4d", "1a2b3c4"),
        KEY.replace("1a2b3c4d", "1a2b3c4de"),
        KEY.replace("T02-00-00Z", "T24-00-00Z"),
        KEY.replace("T02-00-00Z", "T02-00-60Z"),
        KEY.replace("T02-00-00Z", "T02:00:00Z"),
        KEY.replace("2026-11-22", "2026-02-30"),
        KEY.replace("2026-11-22", "0000-11-22"),
        KEY.replace("2026", "２０２６"),  # noqa: RUF001 - digits, but not ours
        KEY.replace("2026-11", "Pre-2026-11"),
        f"{PREFIX}/deeper/2026-11-22T02-00-00Z-1a2b3c4d.snap",
        "team/vault/prod2/2026-11-22T02-00-00Z-1a2b3c4d.snap",
        "2026-11-22T02-00-00Z-1a2b3c4d.snap",
        PREFIX,
        "",
        f"{KEY}\n",
    ],
)
def test_a_name_that_is_not_exactly_ours_is_foreign(key: str) -> None:
    """Whatever is near to a key and is none is never taken for a backup."""
    assert parse_key(key, PREFIX) is None


@given(st.text(max_size=80))
def test_whatever_is_parsed_makes_the_same_key_again(text: str) -> None:
    """Parsing takes nothing that making would not give."""
    key = f"{PREFIX}/{text}"
    name = parse_key(key, PREFIX)
    assert name is None or backup_key(PREFIX, name.taken, name.id, name.kind) == key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"{KEY}.json", KEY),
        (KEY, None),
        (f"{PREFIX}/notes.json", None),
        (f"{PREFIX}/notes.snap.json", None),
        (f"{KEY}.json.json", None),
    ],
)
def test_a_receipt_leads_to_its_backup(key: str, expected: str | None) -> None:
    """A receipt's key is a backup's key and .json, and nothing else is one."""
    assert backup_key_of_receipt(key) == expected


def test_an_id_tells_clusters_slots_and_attempts_apart() -> None:
    """Same three, same id; any other, another one."""
    first = short_id("uid", SLOT, 1)
    assert re.fullmatch(r"[0-9a-f]{8}", first)
    assert first == short_id("uid", SLOT.astimezone(timezone(timedelta(hours=-3))), 1)
    others = [
        short_id("uid", SLOT, 2),
        short_id("other", SLOT, 1),
        short_id("uid", SLOT + timedelta(seconds=1), 1),
    ]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("cluster", "attempt", "expected"),
    [
        ("prod", 1, "backup-prod-20261122-020000"),
        ("prod", 2, "backup-prod-20261122-020000-r2"),
        ("a" * 40, 1, f"backup-{'a' * 40}-20261122-020000"),
    ],
)
def test_a_run_is_named_after_its_slot(cluster: str, attempt: int, expected: str) -> None:
    """The specified form, as long as it fits."""
    assert run_name(cluster, SLOT, attempt) == expected


@given(st.from_regex(r"[a-z]([-a-z0-9.]{0,150}[a-z0-9])?", fullmatch=True), slots, st.integers(1, 99))
def test_a_run_name_is_a_dns_label(cluster: str, slot: datetime, attempt: int) -> None:
    """Whatever the cluster is called, Kubernetes takes the name, and the slot stays readable."""
    name = run_name(cluster, slot, attempt)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert name == run_name(cluster, slot, attempt)
    assert slot.strftime("-%Y%m%d-%H%M%S") in name


def test_a_restores_run_is_named_after_it() -> None:
    """The specified form as long as it fits, else a DNS label that no other restore has."""
    assert restore_run_name("back-to-monday") == "restore-back-to-monday"
    assert restore_run_name("a" * 55) == f"restore-{'a' * 55}"


@given(object_names, object_names)
def test_restores_never_share_a_runs_name(one: str, other: str) -> None:
    """Also when their names are shortened, or have dots."""
    for name in (one, "long-" * 12 + one):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", restore_run_name(name))
    for before in ("", "long-" * 12):
        same = restore_run_name(before + one) == restore_run_name(before + other)
        assert same == (one == other)


@given(object_names, object_names, slots, st.integers(1, 3), st.integers(1, 3))
def test_runs_of_two_clusters_never_share_a_name(
    one: str, other: str, slot: datetime, first: int, second: int
) -> None:
    """Names differ when the cluster or the attempt does, also when they are shortened."""
    same = run_name("long-" * 10 + one, slot, first) == run_name("long-" * 10 + other, slot, second)
    assert same == ((one, first) == (other, second))


def test_a_catalogue_knows_its_own_and_what_is_proven() -> None:
    """One LIST gives the backups newest first; foreign names and lonely receipts are left out."""
    older = backup_key(PREFIX, SLOT - timedelta(days=1), "00000001")
    upgrade = backup_key(PREFIX, SLOT - timedelta(hours=1), "00000002", "pre-upgrade")
    lonely = receipt_key(backup_key(PREFIX, SLOT, "00000003"))
    keys = [older, receipt_key(older), KEY, upgrade, receipt_key(upgrade), lonely, f"{PREFIX}/README.txt"]
    found = catalogue([stored(key) for key in keys], PREFIX)
    assert [(backup.key, backup.proven, backup.kind) for backup in found] == [
        (KEY, False, ""),
        (upgrade, True, "pre-upgrade"),
        (older, True, ""),
    ]
    assert (found[0].taken, found[0].size, found[0].modified) == (SLOT, 7, SLOT)


@given(st.lists(st.tuples(slots, ids), unique=True, max_size=8))
def test_a_catalogue_does_not_depend_on_the_order_of_the_list(names: list[tuple[datetime, str]]) -> None:
    """Stores list in orders of their own."""
    objects = [stored(backup_key(PREFIX, slot, id_)) for slot, id_ in names]
    assert catalogue(objects, PREFIX) == catalogue(reversed(objects), PREFIX)


NAME = KEY.rpartition("/")[2]


@pytest.mark.parametrize(
    ("path_prefix", "folders", "expected"),
    [
        ("", ["b/x", "a/y", "a/b"], [("", "a", "b"), ("", "a", "y"), ("", "b", "x")]),
        ("team", ["team/a/b", "a/b", "teams/a/b", "team/a"], [("team", "a", "b")]),
        ("team/a", ["team/a/n/c", "team/b/n/c", "team/a/c"], [("team/a", "n", "c")]),
        ("", ["z/z", "a/b/c", "a/b/c/d"], [("", "z", "z"), ("a", "b", "c"), ("a/b", "c", "d")]),
        ("a b", ["a b/n/c", "a b/N/c", "a b/n/-c", "a b/n"], [("a b", "n", "c")]),
        ("", ["", "a"], []),
    ],
)
def test_a_catalogue_of_all_clusters(
    path_prefix: str, folders: list[str], expected: list[tuple[str, str, str]]
) -> None:
    """By name; those below a longer path prefix come with it, and what no cluster is called is left out."""
    objects = [stored(f"{folder}/{NAME}".lstrip("/")) for folder in folders]
    found = catalogue_of_all([*objects, stored(f"{path_prefix}/n/c/notes.txt".lstrip("/"))], path_prefix)
    assert [(each.path_prefix, each.namespace, each.cluster) for each in found] == expected


@given(
    st.sampled_from(["", "team", "a b/c"]),
    st.dictionaries(st.tuples(object_names, object_names), st.lists(st.tuples(slots, ids)), max_size=4),
    st.randoms(),
)
def test_all_clusters_have_what_each_has_alone(
    path_prefix: str, written: dict[tuple[str, str], list[tuple[datetime, str]]], random: Random
) -> None:
    """One LIST of everything says the same of each cluster as one of its own, in whatever order it comes."""
    prefixes = {names: cluster_prefix(path_prefix, *names) for names in written}
    keys = {backup_key(prefixes[names], *each) for names, backups in written.items() for each in backups}
    keys |= {receipt_key(key) for key in sorted(keys)[::2]}
    objects = [stored(key) for key in sorted(keys)]
    random.shuffle(objects)
    found = catalogue_of_all(objects, path_prefix)
    assert {(each.namespace, each.cluster): each.backups for each in found} == {
        names: backups for names, prefix in prefixes.items() if (backups := catalogue(objects, prefix))
    }


def test_a_catalogue_takes_memory_for_backups_alone() -> None:
    """Ten thousand backups among twenty thousand objects of one LIST, which is read as it comes."""

    def listed() -> Iterator[Stored]:
        for number in range(10_000):
            key = backup_key(f"n/c{number % 7}", SLOT + timedelta(hours=number), f"{number:08x}")
            yield stored(key)
            yield stored(receipt_key(key))

    tracemalloc.start()
    try:
        found = catalogue_of_all(listed(), "")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(len(each.backups) for each in found) == 10_000
    assert all(backup.proven for each in found for backup in each.backups)
    assert peak < 16 << 20
