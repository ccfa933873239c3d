"""`bao-backup inspect`: what is inside a snapshot, from its file or from the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.errors import ArchiveError, ConfigurationError
from bao_backup.core.model import Contents
from bao_backup.core.words import size_in_words
from bao_backup.entry.commands.catalogue import find_backup, print_contents
from bao_backup.entry.key_list import KeyList
from bao_backup.entry.output import output_option, print_json, print_pairs, write_out
from bao_backup.entry.place import open_place
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows.stop import Stop
from bao_backup.ports import Reporter

EPILOG = """\b
Examples:
  bao-backup inspect ./vault.snap
  bao-backup inspect --config clusters.yaml latest
  bao-backup inspect --target s3://backups --cluster default/vault latest
"""
CHUNK = 1024 * 1024


@click.command("inspect", epilog=EPILOG)
@place_options
@output_option
@click.argument("what", metavar="FILE|KEY")
@click.option(
    "--keys",
    is_flag=True,
    help="Also print each storage key and its value's size. Key names are sensitive; values never shown.",
)
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
def inspect_command(
    *,
    source: Source,
    output: str,
    what: str,
    keys: bool,
    quiet: bool,
) -> None:
    """Prove a snapshot and say what is in it: index, servers, version, seal, counts by area.

    FILE|KEY is a file on this machine, or a backup's key (or "latest") in the store.
    """
    with ExitStack() as stack:
        listed = stack.enter_context(KeyList()) if keys else None
        reader = ArchiveReader(on_key=listed.note if listed else None)
        contents = _prove(reader, what, _chunks(what, source), quiet=quiet)
        if output == "json":
            (listed.print_json if listed else print_json)({"contents": contents})
            return
        print_pairs((("size", size_in_words(reader.size)), ("sha256", contents.sha256), ("proof", "whole")))
        write_out("")
        print_contents(contents.meta, contents.inventory)
        if listed:
            write_out("")
            listed.print_table()


def _prove(reader: ArchiveReader, what: str, chunks: Iterator[bytes], *, quiet: bool) -> Contents:
    with stopped_by_signals() as stop, reporter_for(quiet=quiet) as reporter:
        try:
            return _read(reader, chunks, stop, reporter)
        except ArchiveError as error:
            hint = "it is no whole snapshot: do not restore from it"
            raise type(error)(f"inspect {what}", error.why, hint=hint, details=error.details) from error


def _chunks(what: str, source: Source) -> Iterator[bytes]:
    if os.path.isfile(what):
        return _file(Path(what))
    if source.config is None and source.target is None and "CLUSTER_NAME" not in os.environ:
        why = "it is a folder" if os.path.isdir(what) else "there is no such file"
        hint = "name a file, or a key and the --config or --target of its cluster"
        raise ConfigurationError(f"inspect {what}", why, hint=hint)
    return _stored(what, source)


def _read(reader: ArchiveReader, chunks: Iterator[bytes], stop: Stop, reporter: Reporter) -> Contents:
    for chunk in chunks:
        stop.check()
        reader.feed(chunk)
        reporter.moved(reader.size)
    return reader.finish()


def _file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise ConfigurationError(f"read {path}", (error.strerror or "failed").lower()) from error


def _stored(key: str, source: Source) -> Iterator[bytes]:
    place = open_place(source)
    head = place.store.head(find_backup(place, key).key)
    yield from place.store.get(head.key, etag=head.etag)
