"""`bao-backup prune`: the retention policy, by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from bao_backup.adapters.system import SystemClock
from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.core.model import RetentionOutcome
from bao_backup.core.retention import RetentionPolicy, plan_retention
from bao_backup.core.words import size_in_words, time_in_words
from bao_backup.entry.output import output_option, print_json, print_table, say
from bao_backup.entry.place import open_place
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows import prune

EPILOG = """\b
Examples:
  bao-backup prune --config clusters.yaml --dry-run
  bao-backup prune --config clusters.yaml
  bao-backup prune --target s3://backups --cluster default/vault \\
    --keep-daily 7 --keep-monthly 12 --dry-run
"""
_COUNTS = ("max_count", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "min_keep")


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The rules of a retention policy, as the one argument `policy`; None where none is given."""

    @functools.wraps(command)
    def with_policy(*, max_age: str | None, **options: Any) -> Any:
        rules = {name: options.pop(name) for name in _COUNTS}
        given: dict[str, Any] = {name: count for name, count in rules.items() if count is not None}
        if max_age is not None:
            given["max_age"] = _age(max_age)
        return command(policy=RetentionPolicy(**given) if given else None, **options)

    with_policy = click.option(
        "--max-age", metavar="DURATION", help="Drop those that are older, as 168h; keep rules still hold."
    )(with_policy)
    for name in reversed(_COUNTS):
        words = {
            "max_count": "Keep the newest N. With any rule here, the document's policy does not count.",
            "min_keep": "Never drop the newest N proven ones, whatever the rules say.  [default: 1]",
        }
        unit = name.removeprefix("keep_").replace("daily", "day").removesuffix("ly")
        with_policy = click.option(
            f"--{name.replace('_', '-')}",
            type=click.IntRange(min=0 if name == "min_keep" else 1),
            metavar="N",
            help=words.get(name, f"Keep the newest of each {unit}, for N {unit}s that have one."),
        )(with_policy)
    return with_policy


def _age(text: str) -> timedelta:
    age = parse_go_duration(text)
    if age <= timedelta():
        raise ConfigurationError(f"read --max-age {text!r}", "expected a duration of more than 0")
    return age


def _shown(outcome: RetentionOutcome | None) -> dict[str, object] | None:
    """Every field of it, also where nothing was dropped; None for a dry run."""
    if outcome is None:
        return None
    return {"kept": outcome.kept, "dropped": outcome.dropped, "failed": outcome.failed}


@click.command("prune", epilog=EPILOG)
@place_options
@output_option
@policy_options
@click.option("--dry-run", is_flag=True, help="Print the plan and each reason; delete nothing.")
def prune_command(*, source: Source, output: str, policy: RetentionPolicy | None, dry_run: bool) -> int:
    """Apply the cluster's retention policy to its backups, and say why each is kept or dropped.

    The newest proven backup is never dropped, and no file of another name is touched.
    """
    place = open_place(source)
    store, policy = place.store, policy or place.retention
    if policy is None:
        raise ConfigurationError(
            f"prune {place.namespace}/{place.name}",
            "it has no retention policy: everything is kept",
            hint="set spec.backup.retention, or give rules as --keep-daily 7",
        )
    plan = plan_retention(place.backups(), policy, SystemClock().now())
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
            outcome = prune.carry_out(
                store, plan, stop, on_failure=errors.append, on_locked=lambda error: say(error.message)
            )
    if outcome is None:
        say(f"{len(plan.kept)} to keep, {len(plan.dropped)} to drop; a dry run deletes nothing")
    else:
        say(f"{outcome.kept} kept, {outcome.dropped_count} dropped")
    if output == "json":
        print_json({"dryRun": dry_run, "plan": plan.decisions, "outcome": _shown(outcome)})
    if outcome is not None and errors:
        first = errors[0]
        raise type(first)(
            f"prune {store.location}/{place.prefix}",
            f"{len(errors)} not deleted, the first: {outcome.failed[0]}",
            hint=f"{first.hint}; what is kept is tried again at the next run",
            details=first.details,
        ) from first
    return 0
