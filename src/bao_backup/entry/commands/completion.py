"""`bao-backup completion`: the script that a shell completes commands and options with."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bao_backup.entry.output import write_out

EPILOG = """\b
Examples:
  bao-backup completion bash > /etc/bash_completion.d/bao-backup
  bao-backup completion zsh > "${fpath[1]}/_bao-backup"
  bao-backup completion fish > ~/.config/fish/completions/bao-backup.fish
"""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(*, shell: str) -> None:
    """Print the completion script of a SHELL."""
    from bao_backup.entry.program import COMPLETE, NAME, program

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    write_out(kind(program, {}, NAME, COMPLETE).source())
