"""Which backup is meant: a key, the newest good one, the newest good one until a time, or a file.

Without an explicit key it is one of the cluster's own folder, proven, and no `pre-restore` one: what
was there before a restore is what somebody wanted to be rid of.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup
from bao_backup.core.naming import PRE_RESTORE_KIND, age_order, parse_key
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_settings import RestoreSettings, Wanted
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.core.words import count_in_words, time_in_words


def check_wanted(settings: RestoreSettings) -> None:
    """One thing is wanted, and there is a place where it can be.

    Raises ConfigurationError.
    """
    wanted = settings.wanted
    given = {"key": wanted.key, "latest": wanted.latest, "before": wanted.before, "file": wanted.file}
    names = [name for name, value in given.items() if value]
    if len(names) != 1:
        there = " and ".join(names) or "none of them"
        raise ConfigurationError(
            "choose a backup", f"expected one of key, latest, before and file; given is {there}"
        )
    if wanted.file and settings.source is not None:
        raise ConfigurationError("choose a backup", "a file is from no store, and a store is given, too")
    if not wanted.file and settings.source is None:
        raise ConfigurationError("choose a backup", "no store is given to find it in")


def candidates(wanted: Wanted, prefix: str, backups: Iterable[Backup]) -> tuple[Backup, ...]:
    """Of the backups below `prefix`, those that `latest` or `before` may mean: the best one first.

    Raises ObjectNotFoundError, which says what is there instead.
    """
    everything = sorted(backups, key=age_order, reverse=True)
    fitting = tuple(
        backup
        for backup in everything
        if backup.proven
        and backup.kind != PRE_RESTORE_KIND
        and (wanted.before is None or backup.taken <= wanted.before)
    )
    if not fitting:
        raise ObjectNotFoundError(
            f"find {_meant(wanted)} below {prefix}/", _what_is_there(everything, wanted)
        )
    return fitting


def taken_too_late(wanted: Wanted, receipt: Receipt) -> bool:
    """Whether its snapshot is of a later time than is wanted: a run may be later than its slot."""
    return wanted.before is not None and receipt.taken is not None and receipt.taken > wanted.before


def none_so_early(wanted: Wanted, prefix: str) -> ObjectNotFoundError:
    """All that have a slot so early were taken later."""
    return ObjectNotFoundError(
        f"find {_meant(wanted)} below {prefix}/", "those of such a slot were all taken later than that"
    )


def is_of(key: str, prefix: str) -> bool:
    """Whether the key is that of a backup in this folder."""
    return parse_key(key, prefix) is not None


def _meant(wanted: Wanted) -> str:
    if wanted.before is None:
        return "the newest good backup"
    return f"the newest good backup until {time_in_words(wanted.before)}"


def _what_is_there(backups: list[Backup], wanted: Wanted) -> str:
    if not backups:
        return "there is no backup"
    proven = [backup for backup in backups if backup.proven]
    ordinary = [backup for backup in proven if backup.kind != PRE_RESTORE_KIND]
    parts = [
        _counted(len(backups) - len(proven), "unproven one", " (which bao-backup verify may prove)"),
        _counted(len(proven) - len(ordinary), f"{PRE_RESTORE_KIND} one", " (which only a key can mean)"),
        _later(ordinary, wanted.before),
    ]
    return "there is only " + " and ".join(part for part in parts if part)


def _counted(count: int, one: str, remark: str) -> str:
    return f"{count_in_words(count, one)}{remark}" if count else ""


def _later(ordinary: list[Backup], before: datetime | None) -> str:
    if not ordinary or before is None:
        return ""
    return f"{count_in_words(len(ordinary), 'later one')}, the oldest of {time_in_words(ordinary[-1].taken)}"
