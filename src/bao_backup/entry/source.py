"""Which cluster a command is about: named in a configuration, or by the environment of a Job."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.settings import RunSettings, from_environment

F = TypeVar("F", bound=Callable[..., Any])

verbose_option = click.option(
    "--verbose", is_flag=True, expose_value=False, help="Print the details of an error."
)

secrets_option = click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BAO_BACKUP_SECRETS",
    help="Folder with a folder for each Secret that documents name; else `secrets` beside the configuration.",
)


def source_options(command: F) -> F:
    """--config, --cluster, --secrets and --verbose."""
    options = (
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            envvar="BAO_BACKUP_CONFIG",
            help="File or folder with OpenBaoCluster documents. Without it: the environment, as in a Job.",
        ),
        click.option(
            "--cluster",
            metavar="[NAMESPACE/]NAME",
            help="Which cluster of the configuration; not needed when there is one.",
        ),
        secrets_option,
        verbose_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def load_settings(config: Path | None, cluster: str | None, secrets: Path | None) -> RunSettings:
    """The settings of the one cluster that the options, or the environment, name."""
    if config is None:
        if cluster is not None:
            raise ConfigurationError("choose a cluster", "--cluster needs --config")
        return from_environment(os.environ)
    from bao_backup.adapters.documents import document_files, read_documents
    from bao_backup.core.from_document import settings_from_document
    from bao_backup.core.spec import CLUSTER_KIND, OpenBaoCluster, parse_cluster

    wanted = _split(cluster) if cluster else None
    found: list[OpenBaoCluster] = []
    names: list[str] = []
    for file in document_files(config):
        for document in read_documents(file):
            if document.content.get("kind") != CLUSTER_KIND:
                continue
            name = _name_of(document.content)
            names.append("/".join(name))
            if wanted is None or name == wanted:
                found.append(parse_cluster(document.content, strict=True))
    if not found:
        there = f"there are {', '.join(names)}" if names else "there is no OpenBaoCluster document"
        raise ConfigurationError(f"find the cluster {cluster or ''} in {config}".replace("  ", " "), there)
    if len(found) > 1:
        raise ConfigurationError(
            f"choose a cluster of {config}", f"there are {', '.join(names)}", hint="name one with --cluster"
        )
    return settings_from_document(found[0], secrets_beside(config, secrets))


def secrets_beside(config: Path, secrets: Path | None) -> str:
    """The folder of Secrets: as given, else `secrets` beside the configuration."""
    if secrets is not None:
        return str(secrets.absolute())
    folder = config if config.is_dir() else config.parent
    return str((folder / "secrets").absolute())


def _split(cluster: str) -> tuple[str, str]:
    namespace, _, name = cluster.rpartition("/")
    return namespace or "default", name


def _name_of(content: dict[str, Any]) -> tuple[str, str]:
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")
