"""Prints what commands answer (tables for people, JSON for machines), and what went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import click
import msgspec

from bao_backup.core.errors import BaoBackupError, InternalError, one_line

output_option = click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or JSON for machines.",
)


def write_out(text: str) -> None:
    """Text and a line end on standard output; nothing where that is closed.

    Raises BrokenPipeError when its reader went away, InternalError when it cannot be written.
    """
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        why = (error.strerror or "failed").lower()
        hint = "look at where the output goes; what was done stays done"
        raise InternalError("write to standard output", why, hint=hint) from error


def silence() -> None:
    """Let what is left of standard output go nowhere, so that Python does not fail at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(text: str) -> None:
    """Text and a line end on standard error. That nobody reads it is no error: the work goes on."""
    with suppress(OSError):
        click.echo(text, err=True)


def tell(error: BaoBackupError, *, verbose: bool = False) -> int:
    """Say an error on one line with its reason, then its cause where wanted. Gives its exit code."""
    say(f"bao-backup: {error.reason}: {error.message}")
    if verbose and error.details:
        say(error.details)
    if verbose and error.__cause__ is not None:
        import traceback

        say("".join(traceback.format_exception(error.__cause__)).rstrip())
    return error.exit_code


def print_json(value: Any) -> None:
    """One JSON document, indented, on standard output."""
    body = msgspec.json.format(msgspec.json.encode(value), indent=2)
    write_out(body.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> None:
    """A table without lines; the columns in `right` are aligned to the right.

    Nothing is ever cut: a terminal that is too narrow folds the line, and keys can be copied whole.
    """
    lines = [tuple(columns), *(tuple(one_line(cell) for cell in row) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    aligned = [str.rjust if column in set(right) else str.ljust for column in columns]
    write_out("\n".join(_joined(line, widths, aligned) for line in lines))


def _joined(line: Sequence[str], widths: Sequence[int], aligned: Sequence[Any]) -> str:
    cells = (align(cell, width) for cell, width, align in zip(line, widths, aligned, strict=True))
    return "  ".join(cells).rstrip()


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each, the values below one another; empty values are left out."""
    found = [(name, one_line(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in found), default=0)
    write_out("\n".join(f"{name:<{width}}  {value}" for name, value in found))
