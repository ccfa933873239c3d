"""`bao-backup policy`: the least rights for a target and for the server, to be pasted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from bao_backup.core.policies.asked import Accounts, Asked, Purpose
from bao_backup.core.policies.sheet import to_script, to_value
from bao_backup.core.policies.sheets import SUBJECTS
from bao_backup.entry.output import print_json, write_out
from bao_backup.entry.source import source_options

EPILOG = """\b
Examples:
  bao-backup policy --config clusters.yaml
  bao-backup policy server --config clusters.yaml --for restore
  bao-backup policy store --config clusters.yaml --output json \\
    | jq '.store.files["store-policy.json"]'
"""


@click.command("policy", epilog=EPILOG)
@source_options
@click.argument(
    "subjects", metavar="[store|server|lifecycle]...", nargs=-1, type=click.Choice(list(SUBJECTS))
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice([each.value for each in Purpose]),
    default=Purpose.BACKUP.value,
    show_default=True,
    help="For a run (which verifies and prunes, too), for a restore, or for who only reads.",
)
@click.option(
    "--issuer", metavar="URL", default="", help="Who issues the tokens of pods, for roles by token."
)
@click.option("--issuer-ca", metavar="FILE", default="", help="The issuer's CA, where it is no public one.")
@click.option(
    "--subject",
    metavar="NAME",
    default="",
    help="The subject of the run's tokens, where it is not the ServiceAccount of its pod.",
)
@click.option("--force", is_flag=True, help="With --for restore: the right to force it, too.")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Files and commands to paste into a shell, or JSON for machines.",
)
def policy_command(
    *,
    config: Path | None,
    cluster: str | None,
    secrets: Path | None,
    subjects: tuple[str, ...],
    purpose: str,
    output: str,
    **given: Any,
) -> None:
    """Print the least rights that a cluster's runs need: in the store, in OpenBao or Vault, and as rules.

    store: what the target has to allow, and to whom. server: the policy and the role in OpenBao.
    lifecycle: rules of the bucket that do what the retention does. All of them, if none is named.

    Nobody is asked and nothing is changed: what is printed is a script to read, fill in and paste. A restore
    has a role of its own (--for restore), so that no backup can restore.
    """
    asked = _asked(config, cluster, secrets, Purpose(purpose))
    asked = replace(asked, **{name: value for name, value in given.items() if value})
    chosen = [each for each in SUBJECTS if each in subjects or not subjects]
    sheets = tuple(SUBJECTS[each](asked) for each in chosen)
    if output == "json":
        print_json({sheet.subject: to_value(sheet) for sheet in sheets})
    else:
        write_out(to_script(sheets))


def _asked(config: Path | None, cluster: str | None, secrets: Path | None, purpose: Purpose) -> Asked:
    """By the document, whatever a run of it would still miss; else by the environment."""
    from bao_backup.core.policies.from_document import asked_of_document, asked_of_run
    from bao_backup.entry.source import load_document, load_settings

    if config is not None:
        document = load_document(config, cluster)
        return asked_of_document(document, purpose, _accounts(document.metadata.name))
    settings = load_settings(config, cluster, secrets)
    return asked_of_run(settings, purpose, _accounts(settings.name))


def _accounts(cluster: str) -> Accounts:
    from bao_backup.adapters.kubernetes import names

    components = (names.BACKUP_COMPONENT, names.RESTORE_COMPONENT)
    return Accounts(*(names.service_account_name(cluster, component) for component in components))
