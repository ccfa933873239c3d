"""`list`, `show`, `download`: what is in a store, without any manager. The bucket is the catalogue."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from bao_backup.core.errors import ConfigurationError, ObjectNotFoundError
from bao_backup.core.model import Backup, Inventory, SnapshotMeta
from bao_backup.core.naming import catalogue
from bao_backup.entry.output import output_option, print_json, print_pairs, print_table
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.source import load_settings, source_options
from bao_backup.entry.wiring import stopped_by_signals, store_of
from bao_backup.entry.words import age_in_words, duration_in_words, size_in_words, time_in_words
from bao_backup.flows.download import download
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
        raise ObjectNotFoundError(f"find the backup {key}", f"there is none below {store.location}/{prefix}")
    return found[0]


@click.command("list")
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
    click.echo(f"{len(rows)} backups in {store.location}/{settings.prefix}", err=True)


@click.command("show")
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
        raise ConfigurationError(
            f"show {backup.key}",
            "it is unproven: it has no receipt",
            hint="bao-backup verify reads and adopts it",
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
    click.echo()
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
    click.echo()
    rows = [
        (area.name, str(area.entries), size_in_words(area.size))
        for area in sorted(inventory.areas, key=lambda area: -area.size)
    ]
    print_table(("AREA", "ENTRIES", "SIZE"), rows, right=("ENTRIES", "SIZE"))


@click.command("download")
@source_options
@key_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
def download_command(
    *,
    config: Path | None,
    cluster: str | None,
    secrets: Path | None,
    key: str,
    file: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Fetch the backup KEY into FILE. FILE appears only when every byte is proven.

    The servers' own `operator raft snapshot restore FILE` takes what this writes.
    """
    settings = load_settings(config, cluster, secrets)
    store = store_of(settings)
    if file.is_dir():
        raise ConfigurationError(f"write {file}", "it is a folder", hint="name a file")
    if file.exists() and not overwrite:
        raise ConfigurationError(
            f"write {file}", "it is there already", hint="name another, or use --overwrite"
        )
    backup = find_backup(store, settings.prefix, key)
    with stopped_by_signals() as stop, reporter_for(quiet=quiet) as reporter:
        temporary = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            with open(temporary, "xb", opener=_private) as out:
                contents = download(store, backup.key, out.write, stop=stop, reporter=reporter)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
        except OSError as error:
            raise ConfigurationError(f"write {file}", error.strerror or "failed") from error
        finally:
            temporary.unlink(missing_ok=True)
    click.echo(f"{file}\n{size_in_words(contents.size)}, sha256 {contents.sha256}, proven")


def _private(path: str, flags: int) -> int:
    """A snapshot holds the seal's and everybody's encrypted secrets: for its owner's eyes."""
    return os.open(path, flags, 0o600)
