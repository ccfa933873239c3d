"""`list` and `show`: what is in a store, without any manager. The bucket is the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from bao_backup.core.errors import ObjectNotFoundError
from bao_backup.core.model import Backup, Inventory, SnapshotMeta
from bao_backup.core.naming import catalogue
from bao_backup.core.words import (
    age_in_words,
    count_in_words,
    duration_in_words,
    size_in_words,
    time_in_words,
)
from bao_backup.entry.output import output_option, print_json, print_pairs, print_table, say, write_out
from bao_backup.entry.source import load_settings, source_options
from bao_backup.entry.wiring import store_of
from bao_backup.flows.read import read_receipt
from bao_backup.ports import Store

key_argument = click.argument("key")


def state_in_words(backup: Backup) -> str:
    """Whether a receipt is beside it."""
    return "proven" if backup.proven else "unproven"


def backups_of(store: Store, prefix: str) -> tuple[Backup, ...]:
    """The cluster's backups, newest first, from one LIST."""
    return catalogue(store.list(prefix), prefix)


def find_backup(store: Store, prefix: str, key: str) -> Backup:
    """The backup of that key, of that last part of a key, or the newest proven one for "latest"."""
    backups = backups_of(store, prefix)
    if key == "latest":
        found = [backup for backup in backups if backup.proven][:1]
    else:
        found = [b for b in backups if key in (b.key, b.key.rpartition("/")[2])]
    if not found:
        among = f"among {count_in_words(len(backups), 'backup')}"
        there = f"no proven one {among}" if key == "latest" else f"none of this name {among}"
        raise ObjectNotFoundError(f"find the backup {key} in {store.location}/{prefix}", there)
    return found[0]


LIST_EPILOG = """\b
Examples:
  bao-backup list --config clusters.yaml
  bao-backup list --config clusters.yaml --state unproven --output json
"""
SHOW_EPILOG = """\b
Examples:
  bao-backup show --config clusters.yaml latest
  bao-backup show --config clusters.yaml 2026-11-22T02-00-00Z-5c7ad90e.snap --output json
"""


@click.command("list", epilog=LIST_EPILOG)
@source_options
@output_option
@click.option("--class", "kind", help='Only this class, as "pre-upgrade"; "" for the ordinary ones.')
@click.option("--state", type=click.Choice(["proven", "unproven"]), help="Only these.")
def list_command(
    *,
    config: Path | None,
    cluster: str | None,
    secrets: Path | None,
    output: str,
    kind: str | None,
    state: str | None,
) -> None:
    """List the backups of one cluster, newest first, from one listing of its folder."""
    settings = load_settings(config, cluster, secrets)
    store = store_of(settings)
    backups = [
        backup
        for backup in backups_of(store, settings.prefix)
        if (kind is None or backup.kind == kind) and (state is None or state_in_words(backup) == state)
    ]
    if output == "json":
        print_json({"location": store.location, "prefix": settings.prefix, "backups": backups})
        return
    now = datetime.now(UTC)
    rows = [
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
    print_table(("TAKEN", "AGE", "SIZE", "STATE", "CLASS", "KEY"), rows, right=("SIZE",))
    say(f"{count_in_words(len(rows), 'backup')} in {store.location}/{settings.prefix}")


@click.command("show", epilog=SHOW_EPILOG)
@source_options
@output_option
@key_argument
def show_command(
    *, config: Path | None, cluster: str | None, secrets: Path | None, output: str, key: str
) -> None:
    """Show the receipt of the backup KEY: a whole key, its last part, or "latest"."""
    settings = load_settings(config, cluster, secrets)
    store = store_of(settings)
    backup = find_backup(store, settings.prefix, key)
    if not backup.proven:
        raise ObjectNotFoundError(
            f"read the receipt of {backup.key}",
            "it has none: the backup is unproven",
            hint=f"bao-backup verify {backup.key.rpartition('/')[2]} proves it and writes its receipt",
        )
    receipt = read_receipt(store, backup.key)
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
            ("taken", time_in_words(receipt.started)),
            ("duration", duration_in_words(took) if took is not None else "-"),
            ("trigger", receipt.trigger or "adopted"),
            ("verified", f"{verified.level} at {time_in_words(verified.time)}"),
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
