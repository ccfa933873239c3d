"""Which backup a restore means: tables of what is there and what is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.test_receipt import genuine

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup
from bao_backup.core.naming import PRE_RESTORE_KIND, PRE_UPGRADE_KIND, backup_key
from bao_backup.core.restore_choice import candidates, check_wanted, is_of, none_so_early, taken_too_late
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectNotFoundError

PREFIX = "default/prod"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATEST = Wanted(latest=True)


def backup(hour: int, *, kind: str = "", proven: bool = True) -> Backup:
    """The backup of so many hours after noon."""
    taken = NOON + timedelta(hours=hour)
    key = backup_key(PREFIX, taken, f"{hour:08x}", kind)
    return Backup(key=key, taken=taken, size=1, modified=taken, proven=proven, kind=kind)


def before(hour: int) -> Wanted:
    """The newest until then."""
    return Wanted(before=NOON + timedelta(hours=hour))


ORDINARY = (backup(1), backup(3), backup(2))
CHOICES: dict[str, tuple[tuple[Backup, ...], Wanted, list[int]]] = {
    "the newest first, whatever the order": (ORDINARY, LATEST, [3, 2, 1]),
    "until a time": (ORDINARY, before(2), [2, 1]),
    "until a time between two": (ORDINARY, Wanted(before=NOON + timedelta(minutes=90)), [1]),
    "no unproven one": ((*ORDINARY, backup(5, proven=False)), LATEST, [3, 2, 1]),
    "one from before an upgrade": ((*ORDINARY, backup(5, kind=PRE_UPGRADE_KIND)), LATEST, [5, 3, 2, 1]),
    "one of a class of somebody's own": ((backup(5, kind="nightly"),), LATEST, [5]),
    "none from before a restore": ((*ORDINARY, backup(5, kind=PRE_RESTORE_KIND)), LATEST, [3, 2, 1]),
}


@pytest.mark.parametrize(("backups", "wanted", "hours"), CHOICES.values(), ids=CHOICES)
def test_the_newest_good_one_is_meant(backups: tuple[Backup, ...], wanted: Wanted, hours: list[int]) -> None:
    """Of every class but the one of what somebody wanted to be rid of."""
    found = candidates(wanted, PREFIX, backups)
    assert [(each.taken - NOON) // timedelta(hours=1) for each in found] == hours


UNPROVEN = "there is only 1 unproven one (which bao-backup verify may prove)"
NOTHING: dict[str, tuple[tuple[Backup, ...], Wanted, str]] = {
    "nothing at all": ((), LATEST, "there is no backup"),
    "unproven ones": (
        (backup(1, proven=False), backup(2, proven=False)),
        LATEST,
        "there is only 2 unproven ones (which bao-backup verify may prove)",
    ),
    "one of before a restore": (
        (backup(1, kind=PRE_RESTORE_KIND),),
        LATEST,
        "there is only 1 pre-restore one (which only a key can mean)",
    ),
    "later ones": (
        (backup(3), backup(2), backup(1, proven=False)),
        before(1),
        f"{UNPROVEN} and 2 later ones, the oldest of 2026-11-22 14:00:00Z",
    ),
}


@pytest.mark.parametrize(("backups", "wanted", "why"), NOTHING.values(), ids=NOTHING)
def test_where_none_is_meant_what_is_there_is_told(
    backups: tuple[Backup, ...], wanted: Wanted, why: str
) -> None:
    """So that a person knows what to name instead."""
    with pytest.raises(ObjectNotFoundError) as caught:
        candidates(wanted, PREFIX, backups)
    assert caught.value.why == why
    assert caught.value.doing.endswith("below default/prod/")


backups = st.builds(
    backup,
    st.integers(0, 10),
    kind=st.sampled_from(["", PRE_UPGRADE_KIND, PRE_RESTORE_KIND]),
    proven=st.booleans(),
)


@given(st.lists(backups, max_size=8), st.none() | st.integers(0, 10))
def test_what_is_meant_is_proven_early_enough_and_ordered(found: list[Backup], hour: int | None) -> None:
    """Whatever is there; and nothing that fits is left out."""
    wanted = LATEST if hour is None else before(hour)
    try:
        meant = candidates(wanted, PREFIX, found)
    except ObjectNotFoundError:
        meant = ()
    for each in found:
        early = wanted.before is None or each.taken <= wanted.before
        assert (each in meant) == (each.proven and early and each.kind != PRE_RESTORE_KIND)
    assert [each.taken for each in meant] == sorted((each.taken for each in meant), reverse=True)


@pytest.mark.parametrize(
    ("wanted", "started", "late"),
    [
        (before(0), NOON, False),
        (before(0), NOON + timedelta(seconds=1), True),
        (before(0), None, False),
        (LATEST, NOON, False),
    ],
)
def test_a_run_that_caught_up_is_of_when_it_ran(wanted: Wanted, started: datetime | None, late: bool) -> None:
    """Its slot is not the time of its data; an adopted one has no other time."""
    assert taken_too_late(wanted, replace(genuine(), started=started)) == late
    early = replace(genuine(), started=NOON, stream_started=started)
    assert taken_too_late(wanted, early) == late, "a run that waited is of when its stream began"
    assert "until 2026-11-22 12:00:00Z" in none_so_early(before(0), PREFIX).doing


SETTINGS = RestoreSettings(
    namespace="default",
    name="prod",
    bao=BaoSettings(
        addresses=("https://bao:8200",), auth=BaoAuth(method=AuthMethod.TOKEN, token_file="/token")
    ),
    wanted=LATEST,
    source=Place(store=StoreSettings(provider="s3"), prefix=PREFIX),
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"wanted": Wanted(key="a")},
        {"wanted": before(1)},
        {"wanted": Wanted(file="/x.snap"), "source": None},
    ],
)
def test_one_thing_is_wanted(changes: dict[str, object]) -> None:
    """With a place where it can be."""
    check_wanted(replace(SETTINGS, **changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wanted": Wanted()}, "given is none of them"),
        ({"wanted": Wanted(key="a", latest=True)}, "given is key and latest"),
        ({"wanted": Wanted(file="/x.snap", before=NOON), "source": None}, "given is before and file"),
        ({"wanted": Wanted(file="/x.snap")}, "a file is from no store"),
        ({"source": None}, "no store is given"),
    ],
)
def test_anything_else_is_refused(changes: dict[str, object], why: str) -> None:
    """As a mistake of the configuration."""
    with pytest.raises(ConfigurationError, match=why):
        check_wanted(replace(SETTINGS, **changes))


def test_a_backup_is_of_the_folder_that_it_is_directly_in() -> None:
    """Not of one above, nor with a name that is not ours."""
    key = backup(1).key
    assert is_of(key, PREFIX)
    assert not is_of(key, "default")
    assert not is_of(key, "default/other")
    assert not is_of(f"{PREFIX}/mine.snap", PREFIX)
