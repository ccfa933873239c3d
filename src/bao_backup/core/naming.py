"""Names: keys of backups and receipts, names of runs. Each is made and parsed here, nowhere else.

A key is `<pathPrefix>/<namespace>/<cluster>/[<kind>-]<timestamp>-<id>.snap`; its receipt is the
same key plus `.json`. All names are functions of the slot, so that a repeated try finds itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256

from msgspec.structs import replace

from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.model import Backup, Stored, Value
from bao_backup.core.storage import check_prefix

#: The kind of a backup that is taken before an upgrade.
PRE_UPGRADE_KIND = "pre-upgrade"
#: The kind of a backup of what was there before a restore.
PRE_RESTORE_KIND = "pre-restore"

_SUFFIX = ".snap"
_RECEIPT_SUFFIX = ".json"
_KIND = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ID = re.compile(r"[0-9a-f]{8}")
_NAME = re.compile(
    r"(?:(?P<kind>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)-)?"
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<time>(?:[01][0-9]|2[0-3])-[0-5][0-9]-[0-5][0-9])Z"
    r"-(?P<id>[0-9a-f]{8})\.snap"
)
# A Kubernetes name (RFC 1123); it is also what makes a safe part of a key.
_OBJECT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_OBJECT_NAME = 253
# S3 and Azure allow keys of 1,024; this leaves room for namespace, cluster and name.
_LONGEST_PATH_PREFIX = 512
# What a DNS label, and so a Job's name and its label on pods, may be long.
_LONGEST_RUN_NAME = 63
_CHECK = "check-"


class BackupName(Value, frozen=True, kw_only=True):
    """What the key of a backup says."""

    #: `<pathPrefix>/<namespace>/<cluster>`
    prefix: str
    #: the slot, in UTC, to the second
    taken: datetime
    #: 8 hex digits
    id: str
    #: The class before the timestamp, e.g. "pre-upgrade"; empty for the ordinary ones.
    kind: str = ""


def cluster_prefix(path_prefix: str, namespace: str, cluster: str) -> str:
    """The folder that a cluster's backups are in, without a slash at either end.

    Slashes around `path_prefix` do not count: "", "/" and "a/b/" are all right.

    Raises:
        ConfigurationError: a part that cannot be part of a key in every store.
    """
    parts = [
        checked_path_prefix(path_prefix),
        _checked_object_name("namespace", namespace),
        _checked_object_name("cluster", cluster),
    ]
    return "/".join(part for part in parts if part)


def checked_path_prefix(path_prefix: str) -> str:
    """The path prefix without the slashes around it.

    Raises:
        ConfigurationError: `why` says what is expected.
    """
    folder = check_prefix(path_prefix)
    if len(folder.encode()) > _LONGEST_PATH_PREFIX:
        raise _unusable("path prefix", path_prefix, f"expected at most {_LONGEST_PATH_PREFIX} bytes")
    if folder != folder.strip():
        # It would not survive the way to the executor: variables are read without it.
        raise _unusable("path prefix", path_prefix, "expected no white space before or behind it")
    return folder


def checked_kind(kind: str) -> str:
    """The class before the timestamp, without the dash behind it; empty for the ordinary backups.

    Raises:
        ConfigurationError: it is not lower-case words joined by single dashes.
    """
    words = kind.removesuffix("-")
    if words and not _KIND.fullmatch(words):
        raise _unusable("kind", kind, 'expected lower-case words joined by dashes, as "pre-upgrade"')
    return words


def is_object_name(name: str) -> bool:
    """Whether Kubernetes would take it as an object's name (an RFC 1123 subdomain)."""
    return len(name) <= _LONGEST_OBJECT_NAME and _OBJECT_NAME.fullmatch(name) is not None


def _checked_object_name(what: str, name: str) -> str:
    if not is_object_name(name):
        raise _unusable(what, name, "expected lower-case letters, digits, - and . as in a Kubernetes name")
    return name


def _unusable(what: str, value: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"use the {what} {value[:100]!r} in a key", why)


def backup_key(prefix: str, taken: datetime, short_id: str, kind: str = "") -> str:
    """The key of a backup below `prefix`, which `cluster_prefix` made.

    Raises:
        ConfigurationError: `kind` is not lower-case words joined by single dashes.
        InternalError: a naive time or an id that is not 8 hex digits.
    """
    if kind != checked_kind(kind):
        raise _unusable("kind", kind, "expected no dash behind it")
    if not _ID.fullmatch(short_id):
        raise InternalError("make a key", "the id is not 8 hex digits")
    stamp = _in_utc(taken).replace(tzinfo=None).isoformat(timespec="seconds").replace(":", "-") + "Z"
    name = "-".join(part for part in (kind, stamp, short_id) if part)
    return f"{prefix}/{name}{_SUFFIX}"


def receipt_key(key: str) -> str:
    """The key of the receipt of the backup at `key`."""
    return key + _RECEIPT_SUFFIX


def backup_key_of_receipt(key: str) -> str | None:
    """The backup that a receipt's key belongs to; None when it is no receipt of ours."""
    body = key.removesuffix(_RECEIPT_SUFFIX)
    if body == key or parse_key(body, body.rpartition("/")[0]) is None:
        return None
    return body


def parse_key(key: str, prefix: str) -> BackupName | None:
    """What the key says, when it is exactly one of ours and directly below `prefix`; else None."""
    folder, _, name = key.rpartition("/")
    found = _NAME.fullmatch(name)
    if folder != prefix or found is None:
        return None
    try:
        taken = datetime.fromisoformat(f"{found['date']}T{found['time'].replace('-', ':')}+00:00")
    except ValueError:  # the 31st of February: nobody made that name from a slot
        return None
    return BackupName(prefix=prefix, taken=taken, id=found["id"], kind=found["kind"] or "")


def short_id(cluster_uid: str, slot: datetime, attempt: int) -> str:
    """The 8 hex digits that tell attempts and clusters apart; the same for the same three."""
    return _digits(cluster_uid, _in_utc(slot).isoformat(timespec="seconds"), str(attempt))


def run_name(cluster: str, slot: datetime, attempt: int = 1) -> str:
    """The name of a run (of its Job): `backup-<cluster>-<YYYYMMDD-HHMMSS>[-r2]`.

    A cluster's name that is too long, or has dots, is shortened and gets 8 hex digits of its hash,
    so that the run's name stays a DNS label, and one that no other cluster's run has.
    """
    ending = _in_utc(slot).strftime("-%Y%m%d-%H%M%S") + (f"-r{attempt}" if attempt > 1 else "")
    return f"backup-{_in_label(cluster, _LONGEST_RUN_NAME - len('backup-') - len(ending))}{ending}"


def check_run_name(cluster: str, digits: str) -> str:
    """The name of a check's run (of its Job): `check-<cluster>-<8 hex>`, shortened as `run_name` does."""
    ending = f"-{digits}"
    return f"{_CHECK}{_in_label(cluster, _LONGEST_RUN_NAME - len(_CHECK) - len(ending))}{ending}"


def is_check_run(name: str) -> bool:
    """Whether a run of this name is a check: backups' and restores' begin otherwise."""
    return name.startswith(_CHECK)


def check_digits(*parts: str) -> str:
    """8 hex digits that tell checks apart; the same for the same parts."""
    return _digits(*parts)


def restore_run_name(restore: str) -> str:
    """The name of a restore's run (of its Job): `restore-<restore>`, shortened as `run_name` does."""
    return f"restore-{_in_label(restore, _LONGEST_RUN_NAME - len('restore-'))}"


class ClusterBackups(Value, frozen=True, kw_only=True):
    """What one LIST shows of one cluster: its backups, newest first; there is at least one."""

    #: The folders before the namespace, without slashes around them.
    path_prefix: str
    namespace: str
    cluster: str
    backups: tuple[Backup, ...]


def catalogue(objects: Iterable[Stored], prefix: str) -> tuple[Backup, ...]:
    """The backups among the objects of one LIST, newest first; foreign names are left out.

    A backup is proven when its receipt is among the objects, too.
    """
    return _backups_by_folder(objects, lambda folder: folder == prefix).get(prefix, ())


def catalogue_of_all(objects: Iterable[Stored], path_prefix: str) -> tuple[ClusterBackups, ...]:
    """The backups of every cluster among the objects of one LIST of `path_prefix`, by their names.

    A folder in which there is more than namespace and cluster behind `path_prefix` may be below a
    longer path prefix: it comes with that one, behind those of `path_prefix` itself.
    """
    found = _backups_by_folder(objects, lambda folder: _split(folder, path_prefix) is not None)
    clusters = [
        ClusterBackups(path_prefix=names[0], namespace=names[1], cluster=names[2], backups=backups)
        for folder, backups in found.items()
        if (names := _split(folder, path_prefix)) is not None
    ]
    own_first = sorted(clusters, key=lambda each: (each.path_prefix, each.namespace, each.cluster))
    return tuple(sorted(own_first, key=lambda each: each.path_prefix != path_prefix))


def _split(folder: str, path_prefix: str) -> tuple[str, str, str] | None:
    """Path prefix, namespace and cluster of a folder at or below `path_prefix`; None: it has none."""
    before, _, cluster = folder.rpartition("/")
    before, _, namespace = before.rpartition("/")
    below = not path_prefix or f"{before}/".startswith(f"{path_prefix}/")
    return (before, namespace, cluster) if below and all(map(is_object_name, (namespace, cluster))) else None


def _backups_by_folder(
    objects: Iterable[Stored], wanted: Callable[[str], bool]
) -> dict[str, tuple[Backup, ...]]:
    """Folder -> its backups, newest first; in one pass, and without a copy of what is no backup."""
    named: dict[str, list[Backup]] = {}
    receipts: set[str] = set()
    known: dict[str, bool] = {}
    for stored in objects:
        folder = stored.key.rpartition("/")[0]
        if folder not in known:
            known[folder] = wanted(folder)
        if not known[folder]:
            continue
        if (name := parse_key(stored.key, folder)) is not None:
            backup = Backup(
                key=stored.key,
                taken=name.taken,
                size=stored.size,
                modified=stored.modified,
                proven=False,
                kind=name.kind,
            )
            named.setdefault(folder, []).append(backup)
        elif (key := backup_key_of_receipt(stored.key)) is not None:
            receipts.add(key)
    return {
        folder: tuple(
            replace(backup, proven=True) if backup.key in receipts else backup
            for backup in sorted(backups, key=age_order, reverse=True)
        )
        for folder, backups in named.items()
    }


def age_order(backup: Backup) -> tuple[datetime, datetime, str]:
    """Sorts the oldest first: by slot; of two in the same second, the one that was stored first."""
    return backup.taken, backup.modified, backup.key


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InternalError("make a name", "the time has no zone")
    return moment.astimezone(UTC)


def _in_label(name: str, room: int) -> str:
    """The name as a part of a DNS label: where it does not fit, its beginning and 8 hex digits."""
    if len(name) <= room and "." not in name:
        return name
    kept = name.replace(".", "-")[: room - 9].rstrip("-")
    return f"{kept}-{_digits(name)}"


def _digits(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:8]
