"""The command line: `bao-backup COMMAND`. Each command is loaded only when it is used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from bao_backup import __version__
from bao_backup.core.errors import BaoBackupError, InternalError

#: command -> the module that has it, the line that help shows
COMMANDS = {
    "backup": ("backup", "Back up one cluster once."),
    "list": ("catalogue", "List the backups in a store."),
    "show": ("catalogue", "Show one backup: its receipt, and what is inside."),
    "verify": ("verify", "Re-read backups and prove them; adopt unproven ones."),
    "prune": ("prune", "Apply the retention policy, or print its plan."),
    "download": ("catalogue", "Fetch a backup into a file, proven on the way."),
    "inspect": ("inspect", "Say what is inside a snapshot, without any key."),
    "serve": ("serve", "Schedule backups by itself, without Kubernetes."),
    "trigger": ("manager", "Ask the manager for a backup now."),
    "status": ("manager", "Show what the manager knows of its clusters."),
    "dev-server": ("development", "Run a development server that speaks OpenBao's snapshot API."),
    "completion": ("completion", "Print the shell's completion script."),
}

EPILOG = """\b
Examples:
  bao-backup backup --config clusters.yaml --cluster default/vault
  bao-backup list --config clusters.yaml
  bao-backup verify --config clusters.yaml --all
  bao-backup serve --config /etc/bao-backup

\b
Exit codes: 0 done, 1 configuration or usage, 2 login, 3 no leader, 4 snapshot or restore call,
5 storage, 6 verification, 7 interrupted, 8 internal error, 9 restore outcome unknown.
"""


class Commands(click.Group):
    """Finds commands by name, and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bao_backup.entry.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.command(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bao-backup")
def program() -> None:
    """Backs up OpenBao and HashiCorp Vault, and proves every backup."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. No traceback reaches a person without --verbose."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    verbose = "--verbose" in arguments or bool(os.environ.get("BAO_BACKUP_VERBOSE"))
    try:
        code = program.main(arguments, prog_name="bao-backup", standalone_mode=False)
    except click.exceptions.Abort:
        print("bao-backup: aborted", file=sys.stderr)
        return 7
    except click.ClickException as error:
        error.show()
        return 1
    except BaoBackupError as error:
        return tell(error, verbose=verbose)
    except BrokenPipeError:
        # Whoever read our output went away: nothing more to say, and nothing to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last place that can keep a traceback from a person
        wrapped = InternalError("run", f"{type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return tell(wrapped, verbose=verbose)
    return code if isinstance(code, int) else 0


def tell(error: BaoBackupError, *, verbose: bool) -> int:
    """Print the error on one line with its reason; its details when wanted. Gives its exit code."""
    print(f"bao-backup: {error.reason}: {error.message}", file=sys.stderr)
    if verbose:
        if error.details:
            print(error.details, file=sys.stderr)
        if error.__cause__ is not None:
            import traceback

            traceback.print_exception(error.__cause__, file=sys.stderr)
    return error.exit_code


def run() -> None:
    """The console script."""
    sys.exit(main())
