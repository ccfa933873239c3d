"""`bao-backup restore`: for people, and the executor of the Job of an OpenBaoRestore."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.restore_settings import VARIABLE
from bao_backup.entry.command_line import check_empty, on_command_line
from bao_backup.entry.commands.restore_order import JobOrder, Order
from bao_backup.entry.output import output_option, print_json, say, silence, tell, write_out
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.reach import Reach, load, reach_options
from bao_backup.entry.restoring import RestoreEnded, run_restore
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.state_folder import DEFAULT_IN_WORDS, default_state

if TYPE_CHECKING:  # a Job has no options
    from bao_backup.entry.restore_settings import Choice

EPILOG = """\b
Examples:
  bao-backup restore --config clusters.yaml --cluster default/vault --latest
  bao-backup restore --config clusters.yaml --before 2026-11-22T02:00:00Z \\
    --token-file token
  bao-backup restore --config clusters.yaml \\
    --key default/vault/2026-11-22T02-00-00Z-5c7ad90e.snap
  bao-backup restore --config clusters.yaml --from vault.snap \\
    --to https://new.example:8200 --force
\b
On Kubernetes, by an OpenBaoRestore that the manager there carries out:
  bao-backup restore --kubernetes --cluster production/vault --latest
\b
Without any document, into a new server that was initialised and unsealed:
  bao-backup restore --target s3://backups/team-a --credentials keys \\
    --latest --force --to https://new.example:8200 --ca-file ca.crt \\
    --token-file token
\b
The policy of the login needs "update" on sys/storage/raft/snapshot, or with
--force on sys/storage/raft/snapshot-force, and "read" on the former for the
safety backup: bao-backup policy server --for restore prints it.
Exit code 9: whether the server took the snapshot is not known; look at its
data, do not send it again.
"""

_DOING = "restore a backup"
#: What a Job's command line may have.
_OF_JOBS = {"--result", "--output", "--verbose"}


def _options(command: Any) -> Any:
    """Which backup, to where, and how."""
    file = click.Path(path_type=Path, dir_okay=False)
    options = (
        click.option(
            "--key",
            metavar="KEY",
            default="",
            help="This backup: its whole key, also one of another cluster, or its last part.",
        ),
        click.option("--latest", is_flag=True, help="The newest good backup of the cluster."),
        click.option(
            "--before",
            metavar="TIME",
            default="",
            help="The newest good one not taken after: 2026-11-22T02:00:00Z, 2026-11-22 (its beginning, in"
            " UTC), or 36h for hours ago.",
        ),
        click.option("--from", "file", type=file, help="A snapshot in this file, as download writes it."),
        click.option(
            "--to",
            metavar="URL",
            multiple=True,
            help="Another server than the document's; repeatable, for each node of its cluster.",
        ),
        click.option("--ca-file", type=file, help="The CA of that server, PEM; else the document's."),
        click.option("--server-name", metavar="NAME", default="", help="The name that its certificate has."),
        click.option(
            "--token-file", type=file, help="File with the token to log in with; else the document's login."
        ),
        click.option(
            "--force",
            is_flag=True,
            help="Also a snapshot of other keys, which seals the server, or of a newer version.",
        ),
        click.option(
            "--no-safety-backup", is_flag=True, help="Do not back up first what is there: no way back."
        ),
        click.option(
            "--deadline",
            metavar="DURATION",
            default="",
            help="How long it may take, without the time in which it asks: 90m, 12h. Default: 4h.",
        ),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--expect-sha256", metavar="HEX", default="", help="Refuse a backup of another digest."),
        click.option("--expect-version", metavar="VERSION", default="", help="The same, of another version."),
        click.option(
            "--expect-cluster-id", metavar="ID", default="", help="The same, of another cluster by its id."
        ),
        click.option(
            "--state",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="BAO_BACKUP_STATE",
            default=default_state,
            help="Folder of the embedded manager that backs the cluster up, so that they do not collide."
            f" {DEFAULT_IN_WORDS}",
        ),
        click.option(
            "--result",
            type=file,
            envvar="BACKUP_RESULT_PATH",
            help="File that gets the result as JSON; /dev/termination-log in a Job.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("restore", epilog=EPILOG)
@place_options
@_options
@reach_options
@output_option
@click.pass_obj
def restore_command(verbose: object, /, *, source: Source, reach: Reach | None, **given: Any) -> int:
    """Restore a backup into a cluster. Everything that is in the cluster is overwritten.

    The backup is read and proven whole before the server hears of it. What would be overwritten by what
    is shown, and asked on the terminal. What is there is backed up first. The snapshot is sent once, and
    the server is watched until its end is known.
    """
    output, result = given["output"], given["result"]
    check_empty(_DOING, given)
    if reach is not None:
        there = load("bao_backup.entry.commands.restore_on_kubernetes")
        code: int = there.restore(reach, source, _choice(given), yes=given["yes"], output=output)
        return code
    order = JobOrder() if _is_job() else _by_person(source, given)
    with reporter_for() as reporter:
        ended = run_restore(
            order.load,
            environment=os.environ,
            result_file=result,
            reporter=reporter,
            agree=lambda proposal, stop: order.agree(proposal, stop, reporter),
            hold=order.hold,
            last=True,
        )
    for warning in ended.result.warnings:
        if warning not in order.seen:
            say(f"warning: {warning}")
    if ended.error is not None:
        tell(ended.error, verbose=bool(verbose))
    _answer(ended, order, output)
    return ended.result.exit_code


def _answer(ended: RestoreEnded, order: Order, output: str) -> None:
    """Print how it ended. That nobody reads it changes nothing of how it ended."""
    lines = order.ending(ended)
    try:
        if output == "json":
            print_json(ended.result)
        elif ended.error is None and lines:
            write_out("\n".join(lines))
            return
    except BrokenPipeError:
        silence()
    for line in lines:
        say(line)


def _is_job() -> bool:
    """Whether the environment says what to restore; ConfigurationError where the command line does, too.

    None of its options would count, and nobody would be asked.
    """
    if not os.environ.get(VARIABLE, "").strip():
        return False
    chosen = [option for option in on_command_line().values() if option not in _OF_JOBS]
    if chosen:
        why = f"{VARIABLE} is set, and {' and '.join(chosen)} given"
        raise ConfigurationError(_DOING, why, hint=f"unset {VARIABLE}, which is for Jobs")
    return True


def _by_person(source: Source, given: dict[str, Any]) -> Order:
    """The order of a person; a Job has neither documents nor a manager's memory, and does not load this."""
    from bao_backup.entry.commands.restore_by_person import PersonOrder

    by_default = click.get_current_context().get_parameter_source("state") is ParameterSource.DEFAULT
    return PersonOrder(source, _choice(given), given["yes"], given["state"], not by_default)


def _choice(given: dict[str, Any]) -> Choice:
    from bao_backup.entry.restore_settings import Choice

    names = ("key", "latest", "before", "file", "to", "ca_file", "server_name", "token_file", "force")
    return Choice(
        **{name: given[name] for name in names},
        deadline=given["deadline"],
        safety=not given["no_safety_backup"],
        sha256=given["expect_sha256"],
        version=given["expect_version"],
        cluster_id=given["expect_cluster_id"],
    )
