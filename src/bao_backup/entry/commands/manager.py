"""`trigger` and `status`: talk to the embedded manager through its database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from bao_backup.adapters.local.database import ClusterRow, Database
from bao_backup.adapters.local.holding import manager_runs
from bao_backup.core.errors import ConfigurationError, DeadlineError, SnapshotError
from bao_backup.entry.output import output_option, print_json, print_table
from bao_backup.entry.source import verbose_option
from bao_backup.entry.state_folder import state_option
from bao_backup.entry.words import age_in_words, size_in_words

WAIT_STEP = 0.2


@click.command("status")
@state_option
@output_option
@verbose_option
@click.option("--events", type=click.IntRange(1, 200), help="Also the newest N events of each cluster.")
def status_command(*, state: Path, output: str, events: int | None) -> None:
    """Show what the manager knows: last backup, failures, what is under way, the next slot."""
    database = open_state(state)
    rows = database.clusters()
    told = {row.uid: database.events(row.uid, events) if events else [] for row in rows}
    database.close()
    running = manager_runs(state)
    if output == "json":
        clusters = [
            {
                "namespace": row.namespace,
                "name": row.name,
                "status": {"backup": row.status, "operationLock": row.lock},
                "events": [event._asdict() for event in told[row.uid]],
            }
            for row in rows
        ]
        print_json({"managerRuns": running, "clusters": clusters})
        return
    now = datetime.now(UTC)
    columns = ("CLUSTER", "STATE", "LAST BACKUP", "SIZE", "FAILURES", "NEXT", "WHY")
    print_table(columns, (_row(row, now) for row in rows), right=("SIZE", "FAILURES"))
    for row in rows:
        for event in told[row.uid]:
            mark = "!" if event.warning else " "
            click.echo(f"{mark} {event.time} {row.namespace}/{row.name} {event.reason}: {event.message}")
    if not running:
        click.echo(f"no manager runs with {state}: this is what it last knew", err=True)


def _row(row: ClusterRow, now: datetime) -> tuple[str, ...]:
    status = row.status
    last = status.last_successful_backup
    state, why = _state(row)
    return (
        f"{row.namespace}/{row.name}",
        state,
        age_in_words(last.time, now) if last else "never",
        size_in_words(last.size) if last else "-",
        str(status.consecutive_failures),
        age_in_words(status.next_scheduled_backup, now),
        why,
    )


def _state(row: ClusterRow) -> tuple[str, str]:
    status = row.status
    ready, suspended = status.condition("BackupReady"), status.condition("Suspended")
    if status.attempt is not None and status.attempt.under_way:
        return "Running", status.attempt.name
    if status.waiting is not None:
        return "Blocked", f"{status.waiting.reason}: {status.waiting.message}"
    if ready is not None and ready.status == "False":
        return "Failing", f"{ready.reason}: {ready.message}"
    if suspended is not None and suspended.status == "True":
        return "Suspended", ""
    return ("Ready", "") if ready else ("Waiting", "for the first slot")


@click.command("trigger")
@state_option
@verbose_option
@click.argument("cluster", metavar="[NAMESPACE/]NAME")
@click.option("--wait", is_flag=True, help="Wait for the run's end; its failure is this command's.")
@click.option("--timeout", type=click.FloatRange(1), default=3600.0, show_default=True, metavar="SECONDS")
def trigger_command(*, state: Path, cluster: str, wait: bool, timeout: float) -> None:
    """Ask the manager to back up a cluster now, also while its schedule is suspended."""
    database = open_state(state)
    namespace, _, name = cluster.rpartition("/")
    row = next(
        (r for r in database.clusters() if (r.namespace, r.name) == (namespace or "default", name)), None
    )
    if row is None:
        known = ", ".join(f"{r.namespace}/{r.name}" for r in database.clusters()) or "none"
        raise ConfigurationError(f"trigger {cluster}", f"the manager knows {known}")
    if not manager_runs(state):
        raise ConfigurationError(
            f"trigger {cluster}",
            f"no manager runs with {state}",
            hint="start bao-backup serve, or use bao-backup backup",
        )
    request = database.ask(row.uid)
    click.echo(f"{request} is written; the manager takes it up within a second")
    if wait:
        click.echo(_wait(database, row.uid, request, timeout))


def _wait(database: Database, uid: str, request: str, timeout: float) -> str:
    """The key of the backup that the request led to, or the error that its run ended in."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        row = database.cluster(uid)
        status = row.status if row else None
        if status and status.last_handled_manual_trigger == request and status.attempt:
            attempt, last = status.attempt, status.last_successful_backup
            if attempt.settled and last is not None and last.key == attempt.key:
                return last.key
            if attempt.settled:
                raise SnapshotError(
                    f"run {attempt.name}",
                    f"{status.last_failure_reason}: {status.last_failure_message}",
                    hint="bao-backup status --events 20 tells more",
                )
        time.sleep(WAIT_STEP)
    raise DeadlineError(f"wait for {request}", f"it was not done after {timeout:g} s", hint="it goes on")


def open_state(state: Path) -> Database:
    """The manager's database, which must be there."""
    file = state / "state.db"
    if not file.is_file():
        raise ConfigurationError(
            f"open the manager's state {file}", "there is none", hint="name the folder with --state"
        )
    return Database(file)
