"""`list` and `show`: what is in a store, without any manager. The bucket is the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click
import msgspec
from msgspec.structs import replace

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup, Inventory, SnapshotMeta
from bao_backup.core.selection import Selection, newest_good
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.core.words import (
    age_in_words,
    count_in_words,
    duration_in_words,
    size_in_words,
    time_in_words,
)
from bao_backup.entry.output import output_option, print_json, print_pairs, print_table, say, write_out
from bao_backup.entry.place import Place, elsewhere, open_place, open_target
from bao_backup.entry.selecting import time_options
from bao_backup.entry.source import Source, place_options
from bao_backup.flows.read import read_receipt

key_argument = click.argument("key")


def state_in_words(backup: Backup) -> str:
    """Whether a receipt is beside it."""
    return "proven" if backup.proven else "unproven"


def find_backup(place: Place, key: str) -> Backup:
    """The backup of that key, of that last part of a key, or the newest good one for "latest"."""
    backups = place.backups()
    if key == "latest":
        found = newest_good(backups)
    else:
        found = tuple(b for b in backups if key in (b.key, b.key.rpartition("/")[2]))
    if not found:
        among = f"among {count_in_words(len(backups), 'backup')}"
        there = f"no proven one {among}" if key == "latest" else f"none of this name {among}"
        raise ObjectNotFoundError(f"find the backup {key} in {place.store.location}/{place.prefix}", there)
    return found[0]


LIST_EPILOG = """\b
Examples:
  bao-backup list --config clusters.yaml
  bao-backup list --config clusters.yaml --state unproven --output json
  bao-backup list --target s3://backups/team-a --all-clusters --since 36h
  bao-backup list --target "s3://backups?endpoint=https://s3.example" \\
    --cluster default/vault --latest
Keys for --target: the environment's (AWS_ACCESS_KEY_ID, ...), or a folder of
files as --credentials.
"""
SHOW_EPILOG = """\b
Examples:
  bao-backup show --config clusters.yaml latest
  bao-backup show --config clusters.yaml --output json \\
    2026-11-22T02-00-00Z-5c7ad90e.snap
  bao-backup show --target s3://backups --cluster default/vault latest
"""


class Listed(NamedTuple):
    """A backup of a list, and whose it is."""

    namespace: str
    cluster: str
    backup: Backup


@click.command("list", epilog=LIST_EPILOG)
@place_options
@output_option
@click.option("--all-clusters", is_flag=True, help="Every cluster of the target, by its name.")
@time_options
@click.option("--state", type=click.Choice(["proven", "unproven"]), help="Only these.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest N of each cluster.")
@click.option("--latest", is_flag=True, help="The newest good one of each cluster, as KEY latest is.")
def list_command(
    *,
    source: Source,
    output: str,
    all_clusters: bool,
    selection: Selection,
    state: str | None,
    limit: int | None,
    latest: bool,
) -> None:
    """List backups, newest first, from one listing of the cluster's folder, or of all clusters'."""
    if latest and state == "unproven":
        why = "--latest is the newest proven one"
        raise ConfigurationError("select backups", why, hint="leave out --state, or use --limit 1")
    selection = replace(
        selection,
        proven=None if state is None else state == "proven",
        limit=limit,
        latest=latest,
    )
    if all_clusters:
        _list_all(source, selection, output)
    else:
        _list_one(source, selection, output)


def _list_one(source: Source, selection: Selection, output: str) -> None:
    place = open_place(source)
    backups = selection.of(place.backups())
    if output == "json":
        print_json(_as_json(place.store.location, place.prefix, backups, backups))
        return
    rows = _rows(backups)
    print_table(COLUMNS, rows, right=("SIZE",))
    say(f"{_count(backups)} in {place.store.location}/{place.prefix}, {_size(backups)}")


def _list_all(source: Source, selection: Selection, output: str) -> None:
    if source.target is not None and source.cluster is not None:
        why = "--cluster names one, and --all-clusters means all"
        raise ConfigurationError("choose clusters", why, hint="leave one of them out")
    target = open_target(source)
    found = target.clusters()
    listed = [
        Listed(each.namespace, each.cluster, backup)
        for each in found
        if each.path_prefix == target.path_prefix
        for backup in selection.of(each.backups)
    ]
    backups = [each.backup for each in listed]
    if output == "json":
        print_json(_as_json(target.store.location, target.path_prefix, backups, _with_names(listed)))
    else:
        rows = [
            (each.namespace, each.cluster, *row) for each, row in zip(listed, _rows(backups), strict=True)
        ]
        print_table(("NAMESPACE", "CLUSTER", *COLUMNS), rows, right=("SIZE",))
        clusters = count_in_words(len({each[:2] for each in listed}), "cluster")
        say(f"{_count(backups)} of {clusters} in {target.location}, {_size(backups)}")
    for other in elsewhere(target, found):
        say(f"there are backups below {other}, too: give that as --target to list them")


COLUMNS = ("TAKEN", "AGE", "SIZE", "STATE", "CLASS", "KEY")


def _rows(backups: Iterable[Backup]) -> list[tuple[str, ...]]:
    now = datetime.now(UTC)
    return [
        (
            time_in_words(backup.taken),
            age_in_words(backup.taken, now),
            size_in_words(backup.size),
            state_in_words(backup),
            backup.kind or "-",
            backup.key,
        )
        for backup in backups
    ]


def _as_json(location: str, prefix: str, backups: Sequence[Backup], entries: object) -> dict[str, object]:
    size = sum(backup.size for backup in backups)
    head = {"location": location, "prefix": prefix, "count": len(backups), "size": size}
    return {**head, "backups": entries}


def _with_names(listed: Iterable[Listed]) -> list[dict[str, Any]]:
    return [
        {"namespace": namespace, "cluster": cluster, **msgspec.to_builtins(backup)}
        for namespace, cluster, backup in listed
    ]


def _count(backups: Sequence[Backup]) -> str:
    return count_in_words(len(backups), "backup")


def _size(backups: Iterable[Backup]) -> str:
    return size_in_words(sum(backup.size for backup in backups))


@click.command("show", epilog=SHOW_EPILOG)
@place_options
@output_option
@key_argument
def show_command(*, source: Source, output: str, key: str) -> None:
    """Show the receipt of the backup KEY: a whole key, its last part, or "latest"."""
    place = open_place(source)
    backup = find_backup(place, key)
    if not backup.proven:
        raise ObjectNotFoundError(
            f"read the receipt of {backup.key}",
            "it has none: the backup is unproven",
            hint=f"bao-backup verify {backup.key.rpartition('/')[2]} proves it and writes its receipt",
        )
    receipt = read_receipt(place.store, backup.key)
    if output == "json":
        print_json(receipt)
        return
    took = receipt.finished - receipt.started if receipt.started and receipt.finished else None
    verified = receipt.verification
    print_pairs(
        (
            ("key", receipt.key),
            ("size", f"{size_in_words(receipt.size)} ({receipt.size} bytes)"),
            ("sha256", receipt.sha256),
            ("slot", time_in_words(receipt.slot)),
            ("taken", time_in_words(receipt.taken)),
            ("duration", duration_in_words(took) if took is not None else "-"),
            ("trigger", receipt.trigger or "adopted"),
            ("verified", f"{verified.level} at {time_in_words(verified.time)}"),
            ("locked until", time_in_words(receipt.locked_until) if receipt.locked_until else ""),
            ("cluster", f"{receipt.cluster.namespace}/{receipt.cluster.name} {receipt.cluster.id}"),
            ("server version", receipt.cluster.server_version),
            ("written by", receipt.tool),
        )
    )
    write_out("")
    print_contents(receipt.snapshot, receipt.inventory)


def print_contents(meta: SnapshotMeta, inventory: Inventory) -> None:
    """What is inside a snapshot, for people."""
    seal = inventory.seal
    print_pairs(
        (
            ("raft index, term", f"{meta.index}, {meta.term}"),
            ("snapshot id", meta.id),
            ("servers", ", ".join(f"{s.id} {s.address} ({s.suffrage})" for s in meta.servers)),
            ("newest version", inventory.server_version),
            ("seal", f"{seal.type}, {seal.threshold} of {seal.shares} shares" if seal else ""),
            ("barrier key term", str(inventory.barrier_term or "")),
            ("entries", f"{inventory.entries}, {size_in_words(inventory.size)}"),
            (
                "inventory",
                "" if inventory.complete else "incomplete: the state has records of an unknown form",
            ),
        )
    )
    write_out("")
    rows = [
        (area.name, str(area.entries), size_in_words(area.size))
        for area in sorted(inventory.areas, key=lambda area: -area.size)
    ]
    print_table(("AREA", "ENTRIES", "SIZE"), rows, right=("ENTRIES", "SIZE"))
