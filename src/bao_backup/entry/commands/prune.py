"""`bao-backup prune`: the retention policy, by hand."""

from __future__ import annotations

from pathlib import Path

import click

from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.core.words import size_in_words, time_in_words
from bao_backup.entry.output import output_option, print_json, print_table, say
from bao_backup.entry.source import load_settings, source_options
from bao_backup.entry.wiring import stopped_by_signals, store_of
from bao_backup.flows import prune

EPILOG = """\b
Examples:
  bao-backup prune --config clusters.yaml --dry-run
  bao-backup prune --config clusters.yaml
"""


@click.command("prune", epilog=EPILOG)
@source_options
@output_option
@click.option("--dry-run", is_flag=True, help="Print the plan and each reason; delete nothing.")
def prune_command(
    *, config: Path | None, cluster: str | None, secrets: Path | None, output: str, dry_run: bool
) -> int:
    """Apply the cluster's retention policy to its backups, and say why each is kept or dropped.

    The newest proven backup is never dropped, and no file of another name is touched.
    """
    settings = load_settings(config, cluster, secrets)
    if settings.retention is None:
        raise ConfigurationError(
            f"prune {settings.namespace}/{settings.name}",
            "it has no retention policy: everything is kept",
            hint="set spec.backup.retention",
        )
    store = store_of(settings)
    plan = prune.plan(store, settings.prefix, settings.retention, SystemClock().now())
    if output == "table":
        rows = [
            (
                "keep" if decision.keep else "drop",
                time_in_words(decision.backup.taken),
                size_in_words(decision.backup.size),
                decision.backup.key.rpartition("/")[2],
                decision.why,
            )
            for decision in plan.decisions
        ]
        print_table(("PLAN", "TAKEN", "SIZE", "NAME", "WHY"), rows, right=("SIZE",))
    errors: list[BaoBackupError] = []
    outcome = None
    if not dry_run:
        with stopped_by_signals() as stop:
            outcome = prune.carry_out(store, plan, stop, on_failure=errors.append)
    if outcome is None:
        say(f"{len(plan.kept)} to keep, {len(plan.dropped)} to drop; a dry run deletes nothing")
    else:
        say(f"{outcome.kept} kept, {outcome.dropped_count} dropped")
    if output == "json":
        print_json({"dryRun": dry_run, "plan": plan.decisions, "outcome": outcome})
    if outcome is not None and errors:
        first = errors[0]
        raise type(first)(
            f"prune {store.location}/{settings.prefix}",
            f"{len(errors)} not deleted, the first: {outcome.failed[0]}",
            hint=f"{first.hint}; what is kept is tried again at the next run",
            details=first.details,
        ) from first
    return 0
