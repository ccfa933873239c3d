"""`bao-backup restore`: for people, and the executor of the Job of an OpenBaoRestore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import VARIABLE, RestoreSettings, from_environment
from bao_backup.entry.asking import ask, is_terminal
from bao_backup.entry.command_line import check_empty, on_command_line
from bao_backup.entry.output import output_option, print_json, say, silence, tell, write_out
from bao_backup.entry.progress import ScopedReporter, reporter_for
from bao_backup.entry.reach import Reach, load, reach_options
from bao_backup.entry.restoring import RestoreEnded, run_restore
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.state_folder import DEFAULT_IN_WORDS, default_state
from bao_backup.flows.stop import Stop

if TYPE_CHECKING:  # a Job has neither documents nor a manager's memory beside it
    from bao_backup.adapters.local.restore_lock import RestoreLocks
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
    order = _Job() if _is_job() else _by_person(source, given)
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


def _answer(ended: RestoreEnded, order: _Order, output: str) -> None:
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


# --- a Job -------------------------------------------------------------------------------------


class _Order:
    """Whoever started the restore: what is restored, and who is asked."""

    #: The warnings that a person was shown and asked about: they are not told again.
    seen: tuple[str, ...] = ()

    def load(self) -> RestoreSettings:
        """The settings."""
        raise NotImplementedError

    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        """Show what would be done; raises where it must not be."""
        raise NotImplementedError

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep others away while inside."""
        raise NotImplementedError

    def ending(self, ended: RestoreEnded) -> list[str]:
        """What is said at the end, besides errors and warnings."""
        raise NotImplementedError


class _Job(_Order):
    """By the environment: somebody wrote a document, and the manager holds the lock."""

    def load(self) -> RestoreSettings:
        return from_environment(os.environ)

    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        stop.check()
        for line in proposal.lines():
            reporter.say(line)

    @contextmanager
    def hold(self) -> Iterator[None]:
        yield

    def ending(self, ended: RestoreEnded) -> list[str]:
        return [ended.result.message] if ended.error is None else []


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


# --- a person ----------------------------------------------------------------------------------


@dataclass
class _Person(_Order):
    """By options: a person is asked, unless there was a yes beforehand."""

    source: Source
    choice: Choice
    yes: bool
    state: Path
    #: Whether that folder was named, and is not only the usual one.
    state_given: bool
    settings: RestoreSettings | None = None
    proposal: Proposal | None = field(default=None, repr=False)
    seen: tuple[str, ...] = ()
    locks: RestoreLocks | None = field(default=None, repr=False)

    def load(self) -> RestoreSettings:
        from bao_backup.entry.restore_settings import check_choice, settings_of

        check_choice(self.choice)
        if not self.yes and not is_terminal():
            hint = "run it on a terminal, or say yes beforehand with --yes"
            raise ConfigurationError(_DOING, "there is no terminal to ask on", hint=hint)
        self.settings = settings_of(self.source, self.choice)
        _check_files(self.choice)
        self._look_for_a_manager(self.settings)
        return self.settings

    def _look_for_a_manager(self, settings: RestoreSettings) -> None:
        """Refuse before anything is read where it would collide with what a manager does now."""
        from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks

        overwritten = Overwritten(
            settings.namespace,
            settings.name,
            settings.bao.addresses,
            by_name=bool(settings.uid) and not self.choice.to,
        )
        if self.state_given:
            from bao_backup.entry.commands.manager import open_state

            open_state(self.state).close()
        self.locks = RestoreLocks(self.state, overwritten)
        if not self.locks.check() and self.state_given:
            say(f"the manager with {self.state} knows no such cluster: nothing has to be locked there")

    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        from bao_backup.entry.restore_words import proposal_in_words

        stop.check()
        self.proposal = proposal
        for line in proposal_in_words(proposal, datetime.now(UTC)):
            reporter.say(line)
        if self.yes:
            return
        named = f"{proposal.namespace}/{proposal.name}"
        self.seen = proposal.warnings
        with reporter.aside(), stop.standing_still():
            agreed = ask(
                f"Type the cluster's name, {named}, to go on (anything else ends it):",
                {named, proposal.name, "yes"},
                stop,
            )
        if not agreed:
            raise ConfigurationError(f"restore {named}", "nobody said yes", hint="nothing was changed")

    @contextmanager
    def hold(self) -> Iterator[None]:
        if self.locks is None:
            yield
            return
        with self.locks.hold(datetime.now(UTC)):
            yield

    def ending(self, ended: RestoreEnded) -> list[str]:
        from bao_backup.entry.restore_words import done_in_words, may_be_new_in_words, way_back

        safety_key, error = ended.result.safety_key, ended.error
        if self.settings is None:
            return []
        back: list[str] = []
        if safety_key:
            state = str(self.state) if self.state_given else ""
            back = way_back(self.source, self.choice, self.settings, safety_key, state)
        if ended.restored is not None:
            leader = ended.restored.leader.address
            return done_in_words(ended.result, leader, ended.restored.next_steps, back)
        if error is not None and ended.may_be_new:
            before = self.proposal.leader.cluster_name if self.proposal is not None else ""
            return may_be_new_in_words(error, before, safety_key, back)
        if not safety_key:
            return []
        return [f"nothing was restored; what is there was backed up before, as {safety_key}"]


def _by_person(source: Source, given: dict[str, Any]) -> _Person:
    by_default = click.get_current_context().get_parameter_source("state") is ParameterSource.DEFAULT
    return _Person(source, _choice(given), given["yes"], given["state"], not by_default)


def _check_files(choice: Choice) -> None:
    """ConfigurationError for a file that is not there, before a backup of hours is read and proven."""
    for option, path in (("--token-file", choice.token_file), ("--ca-file", choice.ca_file)):
        if path is not None and not os.access(path, os.R_OK):
            why = f"{option} {path} is not there, or may not be read"
            raise ConfigurationError(_DOING, why, hint="name a file that may be read")


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
