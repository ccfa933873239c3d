"""`bao-backup backup`: the executor of one run."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bao_backup.core.model import Result
from bao_backup.core.words import duration_in_words, size_in_words
from bao_backup.entry.executor import hold_own_claim, run_backup
from bao_backup.entry.output import output_option, print_json, say, silence, tell, write_out
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.source import load_settings, source_options

EPILOG = """\b
Examples:
  bao-backup backup --config clusters.yaml --cluster default/vault
  bao-backup backup --config clusters.yaml --output json
Without --config it is configured by the environment, as in a Kubernetes Job.
With --output json it prints its result also when it fails.
"""


@click.command("backup", epilog=EPILOG)
@source_options
@output_option
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
@click.option(
    "--result",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="BACKUP_RESULT_PATH",
    help="File that gets the result as JSON; /dev/termination-log in a Job.",
)
@click.pass_obj
def backup_command(
    verbose: object,
    /,
    *,
    config: Path | None,
    cluster: str | None,
    secrets: Path | None,
    output: str,
    quiet: bool,
    result: Path | None,
) -> int:
    """Back up one cluster once: stream, prove, store, check, keep and drop by policy.

    Nothing is visible in the store before it is whole. SIGTERM ends the run cleanly.
    """
    hold_own_claim()
    with reporter_for(quiet=quiet) as reporter:
        done, error = run_backup(
            lambda: load_settings(config, cluster, secrets),
            environment=os.environ,
            result_file=result,
            reporter=reporter,
            last=True,
        )
    if error is not None:
        tell(error, verbose=bool(verbose))
    for warning in done.warnings:
        say(f"warning: {warning}")
    _answer(done, output)
    return done.exit_code


def _answer(done: Result, output: str) -> None:
    """Print the result. That nobody reads it changes nothing of how the run ended."""
    try:
        if output == "json":
            print_json(done)
        elif done.succeeded:
            took = duration_in_words(done.finished - done.started)
            write_out(f"{done.key}\n{size_in_words(done.size)} in {took}, sha256 {done.sha256}")
    except BrokenPipeError:
        silence()
