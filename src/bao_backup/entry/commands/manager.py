"""`trigger` and `status`: talk to the embedded manager through its database, or to Kubernetes."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from bao_backup.adapters.local.clusters import ClusterRow, Clusters, ClusterState
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.events import EventRow, Events
from bao_backup.adapters.local.holding import manager_runs
from bao_backup.adapters.local.requests import Requests
from bao_backup.core.errors import ConfigurationError, DeadlineError
from bao_backup.core.model import Result, Value
from bao_backup.core.restore_spec import RestorePhase, RestoreStatus
from bao_backup.core.status import BackupStatus, OperationLock
from bao_backup.core.words import age_in_words, size_in_words
from bao_backup.entry.output import output_option, print_json, print_table
from bao_backup.entry.reach import Reach, load, reach_options
from bao_backup.entry.source import verbose_option
from bao_backup.entry.state_folder import state_option

WAIT_STEP = 0.2
#: A restore that is over is shown for so long.
LATELY = timedelta(days=7)


STATUS_EPILOG = """\b
Examples:
  bao-backup status
  bao-backup status --events 20
  bao-backup status --state /var/lib/bao-backup --output json
  bao-backup status --kubernetes --namespace team-a
"""
TRIGGER_EPILOG = """\b
Examples:
  bao-backup trigger vault
  bao-backup trigger production/vault --wait
  bao-backup trigger production/vault --kubernetes --context cluster-1
"""


class Seen(NamedTuple):
    """What a manager knows of one cluster."""

    namespace: str
    name: str
    #: Whether its document is there.
    state: ClusterState
    status: BackupStatus
    lock: OperationLock | None
    events: list[EventRow]


class SeenRestore(Value, frozen=True, kw_only=True, omit_defaults=False):
    """What a manager on Kubernetes knows of one restore."""

    namespace: str
    name: str
    cluster: str
    created: datetime
    status: RestoreStatus


@click.command("status", epilog=STATUS_EPILOG)
@state_option
@reach_options
@output_option
@verbose_option
@click.option(
    "--events", type=click.IntRange(1, 200), metavar="N", help="Also the newest N events of each cluster."
)
@click.option(
    "--namespace", "namespaces", multiple=True, metavar="NAME", help="Only of this one; repeatable."
)
def status_command(
    *, state: Path, reach: Reach | None, output: str, events: int | None, namespaces: tuple[str, ...]
) -> None:
    """Show what the manager knows: last backup, failures, what is under way, the next slot.

    On Kubernetes also the restores that are not over, or ended within the last week.
    """
    running, complaints, restores = None, tuple[str, ...](), list[SeenRestore]()
    now = datetime.now(UTC)
    if reach is not None:
        clusters = _seen_on_kubernetes(reach, namespaces, events or 0)
        restores = _restores_on_kubernetes(reach, namespaces, now)
    else:
        with closing(open_state(state)) as database:
            clusters, complaints = _seen_here(database, namespaces, events or 0), database.complaints()
        running = manager_runs(state)
    if output == "json":
        about = {"restores": restores} if running is None else {"managerRuns": running}
        print_json({**about, "complaints": complaints, "clusters": [_as_json(each) for each in clusters]})
        return
    columns = ("CLUSTER", "STATE", "LAST BACKUP", "SIZE", "FAILURES", "NEXT", "WHY")
    print_table(columns, (_row(each, now) for each in clusters), right=("SIZE", "FAILURES"))
    if restores:
        click.echo()
        names = ("RESTORE", "CLUSTER", "PHASE", "ASKED", "BACKUP", "WHY")
        print_table(names, (_restore_row(each, now) for each in restores))
    for each in clusters:
        for event in each.events:
            mark = "!" if event.warning else " "
            click.echo(f"{mark} {event.time} {each.namespace}/{each.name} {event.reason}: {event.message}")
    for complaint in complaints:
        click.echo(f"! {complaint}", err=True)
    if running is False:
        click.echo(f"no manager runs with {state}: this is what it last knew", err=True)


def _seen_here(database: Database, namespaces: tuple[str, ...], most: int) -> list[Seen]:
    events = Events(database)
    return [
        Seen(
            row.namespace,
            row.name,
            row.state,
            row.status,
            row.lock,
            events.newest(row.uid, most) if most else [],
        )
        for row in Clusters(database).present()
        if not namespaces or row.namespace in namespaces
    ]


def _seen_on_kubernetes(reach: Reach, namespaces: tuple[str, ...], most: int) -> list[Seen]:
    there = load("bao_backup.entry.commands.on_kubernetes")
    return [
        Seen(
            known.namespace,
            known.name,
            ClusterState.CONFIGURED,
            known.read_status(),
            known.read_lock(),
            there.events(reach, known, most) if most else [],
        )
        for known in there.clusters(reach, namespaces)
    ]


def _restores_on_kubernetes(reach: Reach, namespaces: tuple[str, ...], now: datetime) -> list[SeenRestore]:
    """Those that are not over, and those that ended lately."""
    there = load("bao_backup.entry.commands.on_kubernetes")
    seen = [
        SeenRestore(
            namespace=known.namespace,
            name=known.name,
            cluster=known.cluster,
            created=known.created,
            status=known.read_status(),
        )
        for known in there.restores(reach, namespaces)
    ]
    return [each for each in seen if now - (each.status.completion_time or now) < LATELY]


def _restore_row(seen: SeenRestore, now: datetime) -> tuple[str, ...]:
    status = seen.status
    why = f"{status.reason}: {status.message}" if status.reason else status.message
    return (
        f"{seen.namespace}/{seen.name}",
        seen.cluster,
        status.phase,
        age_in_words(seen.created, now),
        status.snapshot_key or "-",
        "" if status.phase is RestorePhase.COMPLETED else why,
    )


def _as_json(seen: Seen) -> dict[str, Any]:
    return {
        "namespace": seen.namespace,
        "name": seen.name,
        "state": seen.state,
        "status": {"backup": seen.status, "operationLock": seen.lock},
        "events": [event._asdict() for event in seen.events],
    }


def _row(row: Seen, now: datetime) -> tuple[str, ...]:
    status = row.status
    last = status.last_successful_backup
    state, why = _state(row)
    valid = status.condition("DocumentValid")
    if valid is not None and valid.status == "False" and valid.message not in why:
        why = "; ".join(part for part in (why, f"{valid.reason}: {valid.message}") if part)
    verified = status.condition("StoreVerified")
    if verified is not None and verified.status == "False":
        why = "; ".join(part for part in (why, "the store's certificate is not verified") if part)
    return (
        f"{row.namespace}/{row.name}",
        state,
        age_in_words(last.time, now) if last else "never",
        size_in_words(last.size) if last else "-",
        str(status.consecutive_failures),
        age_in_words(status.next_scheduled_backup, now),
        why,
    )


def _state(row: Seen) -> tuple[str, str]:
    status = row.status
    ready, suspended = status.condition("BackupReady"), status.condition("Suspended")
    if status.attempt is not None and status.attempt.under_way:
        return "Running", status.attempt.name
    if row.state is ClusterState.LEAVING:
        return "Removed", "its document is gone"
    if status.waiting is not None:
        return "Blocked", f"{status.waiting.reason}: {status.waiting.message}"
    if ready is not None and ready.status == "False":
        return "Failing", f"{ready.reason}: {ready.message}"
    if suspended is not None and suspended.status == "True":
        return "Suspended", ""
    return ("Ready", "") if ready else ("Waiting", "for the first slot")


@click.command("trigger", epilog=TRIGGER_EPILOG)
@state_option
@reach_options
@verbose_option
@click.argument("cluster", metavar="[NAMESPACE/]NAME")
@click.option("--wait", is_flag=True, help="Wait for the run's end; its exit code is this command's.")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait no longer.",
)
def trigger_command(*, state: Path, reach: Reach | None, cluster: str, wait: bool, timeout: float) -> int:
    """Ask the manager to back up a cluster now, also while its schedule is suspended."""
    if reach is not None:
        there = load("bao_backup.entry.commands.on_kubernetes")
        code: int = there.trigger(reach, cluster, timeout=timeout if wait else None)
        return code
    with closing(open_state(state)) as database:
        row = _find(database, cluster)
        if not manager_runs(state):
            raise ConfigurationError(
                f"trigger {cluster}",
                f"no manager runs with {state}",
                hint="start bao-backup serve, or use bao-backup backup",
            )
        request = Requests(database).ask(row.uid)
        click.echo(f"{request} is written; the manager takes it up within a second", err=wait)
        if not wait:
            return 0
        result = _wait(database, row.uid, request, timeout)
    if result.succeeded:
        click.echo(result.key)
    else:
        click.echo(f"bao-backup: {result.reason}: {result.message}", err=True)
    return result.exit_code


def _find(database: Database, cluster: str) -> ClusterRow:
    namespace, _, name = cluster.rpartition("/")
    rows = [row for row in Clusters(database).present() if row.state is ClusterState.CONFIGURED]
    for row in rows:
        if (row.namespace, row.name) == (namespace or "default", name):
            return row
    known = ", ".join(f"{row.namespace}/{row.name}" for row in rows) or "no cluster"
    raise ConfigurationError(f"trigger {cluster}", f"the manager knows {known}", hint="name one of them")


def _wait(database: Database, uid: str, request: str, timeout: float) -> Result:
    """How the run ended that the request led to."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        row = Requests(database).get(uid, request)
        if row is None:
            raise ConfigurationError(f"wait for {request}", "it was dropped: the cluster's document is gone")
        if row.result is not None:
            return row.result
        time.sleep(WAIT_STEP)
    cluster = Clusters(database).get(uid)
    waiting = cluster.status.waiting if cluster else None
    why = f"; {waiting.reason}: {waiting.message}" if waiting else ""
    raise DeadlineError(f"wait for {request}", f"it was not done after {timeout:g} s{why}", hint="it goes on")


def open_state(state: Path) -> Database:
    """The manager's database, which must be there."""
    file = state / DATABASE
    try:
        there = file.is_file()
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = "run it as the manager's user"
        raise ConfigurationError(f"open the manager's state {file}", why, hint=hint) from error
    if not there:
        hint = "name the folder with --state; bao-backup serve makes it"
        raise ConfigurationError(f"open the manager's state {file}", "there is none", hint=hint)
    return Database(file)
