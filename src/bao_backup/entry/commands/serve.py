"""`bao-backup serve`: the embedded manager."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import click

from bao_backup.adapters.local.database import DATABASE
from bao_backup.entry.logs import Log
from bao_backup.entry.serving import LocalManager, figures_of
from bao_backup.entry.source import secrets_beside, secrets_option
from bao_backup.entry.state_folder import state_option
from bao_backup.entry.web import serving_web

EPILOG = """\b
Examples:
  bao-backup serve --config clusters.yaml
  bao-backup serve --config /etc/bao-backup --log-format json \\
    --listen 0.0.0.0:9090
Documents are read again when a file changes. SIGTERM waits for runs under
way; a second one asks them to abort.
"""


@click.command("serve", epilog=EPILOG)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="BAO_BACKUP_CONFIG",
    required=True,
    help="File or folder with OpenBaoCluster documents.",
)
@secrets_option
@state_option
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9180",
    show_default=True,
    help="Where /healthz, /readyz and /metrics answer.",
)
@click.option(
    "--max-runs",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=4,
    show_default=True,
    help="Runs at once, at most.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 86400),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long runs may go on after SIGTERM before they are asked to abort.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the log.",
)
@click.option("--verbose", is_flag=True, help="Log the details of errors.")
def serve_command(
    *,
    config: Path,
    secrets: Path | None,
    state: Path,
    listen: str,
    max_runs: int,
    grace: float,
    log_format: str,
    verbose: bool,
) -> None:
    """Schedule and run backups by itself, without Kubernetes, until SIGTERM."""
    log = Log(log_format, verbose=verbose)
    manager = LocalManager(
        config=config,
        secrets=secrets_beside(config, secrets),
        state=state,
        log=log,
        grace=grace,
        most_runs=max_runs,
    )
    with (
        closing(manager),
        serving_web(
            listen, alive=manager.alive, ready=manager.ready, figures=lambda: figures_of(state / DATABASE)
        ) as address,
    ):
        log.say(f"probes and metrics on http://{address}")
        asyncio.run(manager.run())
