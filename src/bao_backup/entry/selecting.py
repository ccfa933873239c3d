"""The options that say which of a catalogue's backups are meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.naming import PRE_RESTORE_KIND, PRE_UPGRADE_KIND
from bao_backup.core.selection import ORDINARY, Selection, parse_class, parse_moment

CLASSES = (ORDINARY, PRE_UPGRADE_KIND, PRE_RESTORE_KIND)


def _classes(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """For the shell: any other class that keys have is taken, too."""
    return [name for name in CLASSES if name.startswith(begun)]


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--since, --until and --class, as the one argument `selection`."""

    @functools.wraps(command)
    def with_selection(*, since: str | None, until: str | None, kind: str | None, **options: Any) -> Any:
        now = datetime.now(UTC)
        selection = Selection(
            since=None if since is None else parse_moment(since, now),
            until=None if until is None else parse_moment(until, now, end_of_day=True),
            kind=None if kind is None else parse_class(kind),
        )
        if selection.since and selection.until and selection.since > selection.until:
            hint = "exchange them"
            raise ConfigurationError("select backups", "--since is after --until", hint=hint)
        return command(selection=selection, **options)

    for option in (
        click.option(
            "--class",
            "kind",
            metavar="NAME",
            shell_complete=_classes,
            help=f"Only this class: {', '.join(CLASSES)}, or another that keys have.",
        ),
        click.option("--until", metavar="TIME", help="Only those not taken after; a date is the whole day."),
        click.option(
            "--since",
            metavar="TIME",
            help="Only those not taken before: 2026-11-22T02:00:00Z, 2026-11-22 (UTC), or 36h for hours ago.",
        ),
    ):
        with_selection = option(with_selection)
    return with_selection
