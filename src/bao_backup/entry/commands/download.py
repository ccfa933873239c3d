"""`bao-backup download`: fetches a backup into a file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.words import size_in_words
from bao_backup.entry.commands.catalogue import find_backup, key_argument
from bao_backup.entry.output import write_out
from bao_backup.entry.place import open_place
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows.download import download

EPILOG = """\b
Examples:
  bao-backup download --config clusters.yaml latest vault.snap
  bao-backup download --config clusters.yaml \\
    2026-11-22T02-00-00Z-5c7ad90e.snap vault.snap
  bao-backup download --target s3://backups --credentials ./keys \\
    --cluster default/vault latest vault.snap
The servers' own `operator raft snapshot restore FILE` takes what this writes.
"""


@click.command("download", epilog=EPILOG)
@place_options
@key_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
def download_command(
    *,
    source: Source,
    key: str,
    file: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Fetch the backup KEY (or "latest") into FILE, which only its owner may read.

    FILE appears only when every byte is proven.
    """
    _check_place(file, overwrite=overwrite)
    place = open_place(source)
    backup = find_backup(place, key)
    temporary = file.with_name(f".bao-backup-{os.getpid()}.partial")
    with stopped_by_signals() as stop, reporter_for(quiet=quiet) as reporter:
        try:
            with open(temporary, "xb", opener=_private) as out:
                contents = download(place.store, backup.key, out.write, stop=stop, reporter=reporter)
                out.flush()
                os.fsync(out.fileno())
            _let_appear(temporary, file, overwrite=overwrite)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise ConfigurationError(
                f"write {file}", why, hint="name a file where there is room, and where you may write"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
    write_out(f"{file}\n{size_in_words(contents.size)}, sha256 {contents.sha256}, proven")


def _check_place(file: Path, *, overwrite: bool) -> None:
    doing = f"write {file}"
    if str(file) == "-":
        hint = "name a file: a backup is proven before it appears, which standard output cannot wait for"
        raise ConfigurationError(doing, "standard output is no file", hint=hint)
    if os.path.isdir(file):
        raise ConfigurationError(doing, "it is a folder", hint="name a file")
    if not os.path.isdir(file.parent):
        raise ConfigurationError(doing, "there is no such folder", hint="create it, or name another")
    if os.path.lexists(file) and not overwrite:
        raise ConfigurationError(doing, "it is there already", hint="name another, or use --overwrite")


def _let_appear(temporary: Path, file: Path, *, overwrite: bool) -> None:
    """Under its name at once and whole; what somebody else put there meanwhile stays."""
    if overwrite:
        temporary.replace(file)
        return
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.rename(file)


def _private(path: str, flags: int) -> int:
    """A snapshot holds everybody's secrets, if encrypted: it is for its owner's eyes."""
    return os.open(path, flags, 0o600)
