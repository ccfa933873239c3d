"""Prints what commands answer: tables for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

#: Wide enough that no key is cut when the output goes into a file or a pipe.
WIDE = 10_000

output_option = click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or JSON for machines.",
)


def print_json(value: Any) -> None:
    """One JSON document, indented, on standard output."""
    body = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(body.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> None:
    """A table without lines; the columns in `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column in set(right) else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDE, highlight=False, soft_wrap=True)
    console.print(table)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each, the values below one another."""
    found = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in found), default=0)
    for name, value in found:
        click.echo(f"{name:<{width}}  {value}")
