"""`bao-backup crds`: the CRDs of the documents."""

from __future__ import annotations

from pathlib import Path

import click

from bao_backup.adapters.kubernetes.crd import crds, to_yaml
from bao_backup.core.errors import ConfigurationError
from bao_backup.entry.output import write_out
from bao_backup.entry.source import verbose_option

EPILOG = """\b
Examples:
  bao-backup crds | kubectl apply -f -
  bao-backup crds --output-folder deploy/crds
"""


@click.command("crds", epilog=EPILOG)
@click.option(
    "--output-folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a file for each CRD into this folder, in place of printing them.",
)
@verbose_option
def crds_command(*, output_folder: Path | None) -> None:
    """Print the CRDs OpenBaoCluster and OpenBaoRestore as YAML.

    Where the OpenBao operator's own are installed they are not needed.
    """
    texts = {f"{plural}.yaml": to_yaml(crd) for plural, crd in crds().items()}
    if output_folder is None:
        write_out("---\n".join(texts.values()).rstrip("\n"))
        return
    try:
        output_folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (output_folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = "name a folder that can be written"
        raise ConfigurationError(f"write the CRDs into {output_folder}", why, hint=hint) from error
