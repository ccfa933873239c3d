"""`bao-backup check`: proves a configuration from where it runs, before the first slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from bao_backup.adapters.system import SystemClock
from bao_backup.core.check import CheckReport, LineState, result_of
from bao_backup.core.errors import BaoBackupError, InterruptedRunError
from bao_backup.core.model import Value
from bao_backup.core.result import failed
from bao_backup.entry.checking import plan_check
from bao_backup.entry.executor import hold_own_claim
from bao_backup.entry.output import output_option, print_json, print_table, say
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.result_file import leave_result
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.wiring import stopped_by_signals

#: A check that takes longer ends by itself, in seconds.
DEADLINE = 600.0

EPILOG = """\b
Examples:
  bao-backup check --config clusters.yaml
  bao-backup check --config clusters.yaml --cluster vault --output json
  bao-backup check --target "s3://backups/team-a?region=eu-central-1" \\
    --cluster default/vault
Without --config and --target it is configured by the environment, as in a
Kubernetes Job.
The exit code is that of the first line that failed; 0 where none did.
"""


class _Shown(Value, frozen=True, kw_only=True, omit_defaults=False):
    """One line as JSON: every field of it."""

    name: str
    state: LineState
    words: str
    remedy: str
    reason: str
    exit_code: int


class _Answer(Value, frozen=True, kw_only=True, omit_defaults=False):
    """The whole answer as JSON."""

    namespace: str
    name: str
    exit_code: int
    lines: tuple[_Shown, ...]


@click.command("check", epilog=EPILOG)
@place_options
@output_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0, max=DEADLINE),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for a leader.",
)
@click.option(
    "--result",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="BACKUP_RESULT_PATH",
    help="File that gets the result as JSON; /dev/termination-log in a Job.",
)
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
def check_command(*, source: Source, output: str, wait: float, result: Path | None, quiet: bool) -> int:
    """Prove that backups of a cluster can work from here: server, login, store, rights and clocks.

    Takes no snapshot. It writes two small probes beside the backups and removes them again.
    """
    hold_own_claim()
    started = SystemClock().now()
    try:
        with stopped_by_signals(DEADLINE) as stop, reporter_for(quiet=quiet) as reporter:
            checking = plan_check(source, wait)
            flow = checking.flow(stop, reporter)
            try:
                report = flow.run()
            except InterruptedRunError:
                _show(flow.report, output)
                raise
    except BaoBackupError as error:
        _leave(result, error, started)
        raise
    _show(report, output)
    for warning in checking.warnings:
        say(f"warning: {warning}")
    if not quiet:
        counts = Counter(line.state for line in report.lines)
        named = {LineState.NOT_PERMITTED: "not permitted"}
        say(", ".join(f"{counts[state]} {named.get(state, state.lower())}" for state in LineState))
    if result is not None:
        leave_result(result, result_of(report, started=started, finished=SystemClock().now()))
    return report.exit_code


def _leave(file: Path | None, error: BaoBackupError, started: datetime) -> None:
    if file is not None:
        leave_result(file, failed(error, started=started, finished=SystemClock().now()))


def _show(report: CheckReport, output: str) -> None:
    if output == "json":
        lines = tuple(
            _Shown(
                name=line.name,
                state=line.state,
                words=line.words,
                remedy=line.remedy,
                reason=line.reason,
                exit_code=line.exit_code,
            )
            for line in report.lines
        )
        print_json(
            _Answer(namespace=report.namespace, name=report.name, exit_code=report.exit_code, lines=lines)
        )
        return
    print_table(("LINE", "STATE", "WHAT"), _rows(report))


def _rows(report: CheckReport) -> Iterator[tuple[str, str, str]]:
    """Each line, and its remedy below it."""
    for line in report.lines:
        yield line.name, line.state, line.words
        if line.remedy:
            yield "", "", f"-> {line.remedy}"
