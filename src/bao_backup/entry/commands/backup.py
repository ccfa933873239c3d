"""`bao-backup backup`: the executor of one run."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.core import ParameterSource

from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.core.model import Result
from bao_backup.core.settings import RunSettings
from bao_backup.core.words import duration_in_words, size_in_words
from bao_backup.entry.executor import hold_own_claim, run_backup
from bao_backup.entry.output import output_option, print_json, say, silence, tell, write_out
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.source import load_settings, source_options
from bao_backup.entry.state_folder import DEFAULT_IN_WORDS, default_state

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
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BAO_BACKUP_STATE",
    default=default_state,
    help="Folder of the embedded manager of the cluster: while a restore has its lock there, no backup by"
    f" --config begins. {DEFAULT_IN_WORDS}",
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
    state: Path,
) -> int:
    """Back up one cluster once: stream, prove, store, check, keep and drop by policy.

    Nothing is visible in the store before it is whole. SIGTERM ends the run cleanly.
    """
    hold_own_claim()
    by_default = click.get_current_context().get_parameter_source("state") is ParameterSource.DEFAULT

    def load() -> RunSettings:
        settings = load_settings(config, cluster, secrets)
        if config is not None:  # a run of a manager, which looks itself, has none
            _look_for_a_restore(settings, state, by_default=by_default)
        return settings

    with reporter_for(quiet=quiet) as reporter:
        done, error = run_backup(
            load,
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


def _look_for_a_restore(settings: RunSettings, state: Path, *, by_default: bool) -> None:
    """ConfigurationError while somebody restores into the cluster, beside this folder's manager."""
    from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks

    overwritten = Overwritten(settings.namespace, settings.name, settings.bao.addresses, by_name=True)
    try:
        who = RestoreLocks(state, overwritten).under_way()
    except BaoBackupError as error:
        if not by_default:
            raise
        say(f"warning: whether somebody restores into it was not seen: {error.why}")
        return
    if who:
        doing, why = f"back up {settings.namespace}/{settings.name}", f"{who} restores into it"
        raise ConfigurationError(doing, why, hint="wait for its end")


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
