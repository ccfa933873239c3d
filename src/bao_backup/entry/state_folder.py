"""Where the embedded manager keeps its state, by default."""

from __future__ import annotations

import os
from pathlib import Path

import click

#: For help.
DEFAULT_IN_WORDS = "Default: /var/lib/bao-backup, or below ~/.local/state."


def default_state() -> Path:
    """Systemd's StateDirectory, else the system's or the user's folder for state."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/bao-backup")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "bao-backup"


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BAO_BACKUP_STATE",
    default=default_state,
    help=f"Folder of the manager's memory and of its runs. {DEFAULT_IN_WORDS}",
)
