"""`bao-backup verify`: re-reads backups from the store and proves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click

from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import ConfigurationError, InterruptedRunError
from bao_backup.core.model import Backup
from bao_backup.core.selection import Selection
from bao_backup.core.words import size_in_words
from bao_backup.entry.commands.catalogue import find_backup
from bao_backup.entry.output import output_option, print_json, print_table, say
from bao_backup.entry.place import open_place
from bao_backup.entry.progress import reporter_for
from bao_backup.entry.selecting import time_options
from bao_backup.entry.source import Source, place_options
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows.verify import Verdict, Verified, VerifyFlow

EPILOG = """\b
Examples:
  bao-backup verify --config clusters.yaml latest
  bao-backup verify --config clusters.yaml --all --output json
  bao-backup verify --target s3://backups --cluster default/vault --all \\
    --since 168h
The exit code is that of the first backup that failed: 6 when its bytes are
wrong.
"""


@click.command("verify", epilog=EPILOG)
@place_options
@output_option
@click.argument("key", required=False)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every backup of the cluster, newest first.",
)
@click.option("--unproven", is_flag=True, help="Every backup without a receipt.")
@time_options
@click.option("--quiet", is_flag=True, help="Say nothing while it works.")
def verify_command(
    *,
    source: Source,
    output: str,
    key: str | None,
    everything: bool,
    unproven: bool,
    selection: Selection,
    quiet: bool,
) -> int:
    """Re-read the backup KEY (or "latest", or --all) and prove it against itself and its receipt.

    A backup without a receipt that proves whole is adopted: its receipt is written.
    """
    if (key is not None) + everything + unproven != 1:
        raise ConfigurationError(
            "choose what to verify", "one of KEY, --all and --unproven is needed", hint="give one of them"
        )
    if key is not None and not selection.is_all:
        why = "--since, --until and --class go with --all or --unproven, not with KEY"
        raise ConfigurationError("choose what to verify", why, hint="leave them out")
    place = open_place(source)
    if key is not None:
        backups = [find_backup(place, key)]
    else:
        backups = [b for b in selection.of(place.backups()) if everything or not b.proven]
    with stopped_by_signals() as stop, reporter_for(quiet=quiet) as reporter:
        flow = VerifyFlow(
            place.namespace,
            place.name,
            store=place.store,
            clock=SystemClock(),
            stop=stop,
            reporter=reporter,
        )
        verified, interrupted = collect_verdicts(flow, backups)
    if output == "json":
        print_json(verified)
    else:
        rows = [(v.verdict, size_in_words(v.size) if v.size else "-", v.key, v.message) for v in verified]
        print_table(("VERDICT", "SIZE", "KEY", "WHY"), rows, right=("SIZE",))
    if not quiet:
        counts = Counter(v.verdict for v in verified)
        say(", ".join(f"{counts[verdict]} {verdict.lower()}" for verdict in Verdict))
    if interrupted is not None:
        raise interrupted
    return next((v.exit_code for v in verified if v.verdict is Verdict.FAILED), 0)


def collect_verdicts(
    flow: VerifyFlow, backups: Iterable[Backup]
) -> tuple[list[Verified], InterruptedRunError | None]:
    """All verdicts; those until then when a signal ends it."""
    verified: list[Verified] = []
    try:
        verified.extend(flow.verify_all(backups))
    except InterruptedRunError as error:
        return verified, error
    return verified, None
