"""The command line: `bao-backup COMMAND`. Each command is loaded only when it is used."""

from __future__ import annotations

import io
import os
import sys

import click
from click.exceptions import NoArgsIsHelpError

from bao_backup import __version__
from bao_backup.core.errors import BaoBackupError, ConfigurationError, InternalError
from bao_backup.entry.interrupts import answering_interrupts
from bao_backup.entry.output import silence, tell
from bao_backup.entry.reach import load

NAME = "bao-backup"
#: The shell's completion script calls the program with this variable.
COMPLETE = "_BAO_BACKUP_COMPLETE"

#: command -> the module that has it, the line that help shows
COMMANDS = {
    "backup": ("backup", "Back up one cluster once."),
    "restore": ("restore", "Restore a backup into a cluster, after showing what it overwrites."),
    "check": ("check", "Prove a configuration before the first slot."),
    "list": ("catalogue", "List the backups in a store."),
    "show": ("catalogue", "Show one backup: its receipt, and what is inside."),
    "verify": ("verify", "Re-read backups and prove them; adopt unproven ones."),
    "prune": ("prune", "Apply the retention policy, or print its plan."),
    "download": ("download", "Fetch a backup into a file, proven on the way."),
    "inspect": ("inspect", "Say what is inside a snapshot, without any key."),
    "serve": ("serve", "Schedule backups by itself, without Kubernetes."),
    "operator": ("operator", "Schedule backups as Jobs on Kubernetes."),
    "trigger": ("manager", "Ask the manager for a backup now."),
    "status": ("manager", "Show what the manager knows of its clusters."),
    "policy": ("policy", "Print the least rights of runs, in the store and in OpenBao."),
    "crds": ("crds", "Print the CRDs of the documents, for Kubernetes."),
    "dev-server": ("development", "Run a development server that speaks OpenBao's snapshot API."),
    "completion": ("completion", "Print the shell's completion script."),
}

EPILOG = """\b
Examples:
  bao-backup check --config clusters.yaml
  bao-backup backup --config clusters.yaml
  bao-backup list --config clusters.yaml --cluster default/vault
  bao-backup verify --config clusters.yaml --all
  bao-backup serve --config /etc/bao-backup

\b
Exit codes:
  0 done          3 no leader        6 verification
  1 configuration 4 snapshot or      7 interrupted
    or usage        restore call     8 internal error
  2 login         5 storage          9 restore outcome unknown
"""


class Commands(click.Group):
    """Finds commands by name, and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = load(f"bao_backup.entry.commands.{COMMANDS[cmd_name][0]}")
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
@click.version_option(__version__, prog_name=NAME)
def program() -> None:
    """Backs up OpenBao and HashiCorp Vault, and proves every backup."""


def call(arguments: list[str]) -> int:
    """Run the command line; gives the exit code. Every failure becomes one line on standard error.

    With --verbose, anywhere, or the variable BAO_BACKUP_VERBOSE, its cause follows.
    """
    verbose = "--verbose" in arguments or bool(os.environ.get("BAO_BACKUP_VERBOSE"))
    try:
        return _dispatch(arguments, verbose=verbose)
    except NoArgsIsHelpError as error:
        error.show()
        return 1
    except click.ClickException as error:
        return tell(_wrong_usage(error))
    except BaoBackupError as error:
        return tell(error, verbose=verbose)
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        silence()
        return 0
    except Exception as error:  # noqa: BLE001 - the last place that can keep a traceback from a person
        return tell(InternalError.unforeseen("run", error), verbose=verbose)


def _dispatch(arguments: list[str], *, verbose: bool) -> int:
    """What click's own `main` does, but for its judgement of errors."""
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE, instruction)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold bytes that no text has, and a terminal may know few characters.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with answering_interrupts(), program.make_context(NAME, arguments, obj=verbose) as context:
            code = program.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    return code if isinstance(code, int) else 0


def _wrong_usage(error: click.ClickException) -> ConfigurationError:
    """Click's complaint, in our one line."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else NAME
    why = error.format_message().rstrip(".")
    return ConfigurationError(
        f"use {command}", why[:1].lower() + why[1:], hint=f"{command} --help shows how it is used"
    )
