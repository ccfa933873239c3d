"""Which cluster a command is about: named in a configuration or a target, or by the environment of a Job."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from msgspec.structs import replace

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Trigger
from bao_backup.core.settings import RunSettings, from_environment

if TYPE_CHECKING:  # a run that the environment configures reads no document
    from bao_backup.adapters.documents import Document
    from bao_backup.core.spec import OpenBaoCluster

F = TypeVar("F", bound=Callable[..., Any])

#: One of these is set wherever the environment is meant to be the configuration.
_SIGNS_OF_A_JOB = ("CLUSTER_NAMESPACE", "CLUSTER_NAME", "BACKUP_BUCKET", "BACKUP_CONFIG")
_GIVE_CONFIG = "give --config FILE with the cluster's document, or set the variables of a Job"

verbose_option = click.option(
    "--verbose", is_flag=True, expose_value=False, help="Print the cause and the details of an error."
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
            help="File or folder with OpenBaoCluster documents; else BAO_BACKUP_CONFIG; without both, the"
            " environment, as in a Job.",
        ),
        click.option(
            "--cluster",
            metavar="[NAMESPACE/]NAME",
            help="Which cluster of the configuration or target; not needed when there is one.",
        ),
        secrets_option,
        verbose_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the backups are that a command works on, and of which cluster, as its options say it."""

    config: Path | None = None
    cluster: str | None = None
    secrets: Path | None = None
    #: A target's URL, as `core.target_url` reads it, instead of a configuration.
    target: str | None = None
    #: The folder of the target's credentials; None: the environment's own.
    credentials: Path | None = None
    #: Whether the configuration is one of the command line, not of a variable that is always set.
    config_by_hand: bool = False

    def of_target(self) -> Source:
        """The same without the configuration: for a command that needs that one for something else."""
        return dataclasses.replace(self, config=None)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config, --target, --credentials, --cluster, --secrets and --verbose, as the one argument `source`."""

    @functools.wraps(command)
    def with_source(**options: Any) -> Any:
        given_as = click.get_current_context().get_parameter_source("config")
        names = ("config", "cluster", "secrets", "target", "credentials")
        source = Source(
            **{name: options.pop(name) for name in names},
            config_by_hand=given_as is ParameterSource.COMMANDLINE,
        )
        return command(source=source, **options)

    target = click.option(
        "--target",
        metavar="URL",
        help="Where the backups are, without any document: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,"
        " azure://CONTAINER/PREFIX or file:///FOLDER; ?endpoint=URL&region=NAME&pathStyle=true as needed.",
    )
    credentials = click.option(
        "--credentials",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder with the target's credentials, a file each, as a Secret's; else the environment's.",
    )
    return source_options(target(credentials(with_source)))


def load_settings(
    config: Path | None, cluster: str | None, secrets: Path | None, hint: str = _GIVE_CONFIG
) -> RunSettings:
    """The settings of the one cluster that the options, or the environment, name; `hint`: how to name one."""
    if config is not None:
        return _from_documents(config, cluster, secrets)
    if cluster is not None:
        raise ConfigurationError(f"find the cluster {cluster}", "--cluster needs --config", hint=hint)
    if not any(os.environ.get(name) for name in _SIGNS_OF_A_JOB):
        raise ConfigurationError(
            "find the configuration",
            "there is no --config, and no variable of a Job is set",
            hint=hint,
        )
    return from_environment(os.environ)


def load_settings_of_all(config: Path, secrets: Path | None) -> list[RunSettings]:
    """The settings of every cluster of a configuration; there is at least one."""
    from bao_backup.core.from_document import settings_from_document

    folder = secrets_beside(config, secrets)
    return [settings_from_document(_parsed(named), folder) for named in _clusters_in(config).values()]


def _from_documents(config: Path, cluster: str | None, secrets: Path | None) -> RunSettings:
    from bao_backup.core.from_document import settings_from_document

    settings = settings_from_document(load_document(config, cluster), secrets_beside(config, secrets))
    return replace(settings, trigger=Trigger.MANUAL)  # whoever gives --config has no slot


def load_document(config: Path, cluster: str | None) -> OpenBaoCluster:
    """The document of the one cluster that the options name, whatever a run of it would still miss."""
    named = _clusters_in(config)
    return _parsed(named[_choose(cluster, list(named), config)])


def _clusters_in(config: Path) -> dict[str, list[Document]]:
    """NAMESPACE/NAME -> its documents."""
    from bao_backup.adapters.documents import document_files, read_documents
    from bao_backup.core.spec import CLUSTER_KIND

    files = document_files(config)
    documents = [document for file in files for document in read_documents(file)]
    named: dict[str, list[Document]] = {}
    for document in documents:
        if document.content.get("kind") == CLUSTER_KIND:
            named.setdefault(_name_of(document.content), []).append(document)
    if not named:
        kinds = sorted({str(document.content.get("kind")) for document in documents})
        there = f"its documents are of kind {', '.join(kinds)}" if kinds else "there is no document"
        hint = (
            f"describe a cluster there, in a document of kind {CLUSTER_KIND} in a .yaml, .yml or .json file"
        )
        raise ConfigurationError(f"find a cluster in {config}", there, hint=hint)
    return named


def _parsed(documents: list[Document]) -> OpenBaoCluster:
    """What the only document of a name says."""
    from bao_backup.core.spec import parse_cluster

    if len(documents) > 1:
        places = " and ".join(sorted({str(document.source) for document in documents}))
        doing = f"find the cluster {_name_of(documents[0].content)}"
        why = f"there are {len(documents)} of this name in {places}"
        raise ConfigurationError(doing, why, hint="keep one")
    return parse_cluster(documents[0].content, strict=True)


def _choose(cluster: str | None, names: list[str], config: Path) -> str:
    there = f"there are {', '.join(names)}" if len(names) > 1 else f"there is {names[0]}"
    if not cluster:
        if len(names) > 1:
            raise ConfigurationError(f"choose a cluster of {config}", there, hint="name one with --cluster")
        return names[0]
    wanted = cluster if "/" in cluster else f"default/{cluster}"
    if wanted not in names:
        from difflib import get_close_matches

        known = {name if "/" in cluster else name.partition("/")[2]: name for name in names}
        near = get_close_matches(cluster, known, n=1)
        hint = f"did you mean {known[near[0]]}?" if near else "name one of them with --cluster"
        raise ConfigurationError(f"find the cluster {cluster} in {config}", there, hint=hint)
    return wanted


def secrets_beside(config: Path, secrets: Path | None) -> str:
    """The folder of Secrets: as given, else `secrets` beside the configuration."""
    if secrets is not None:
        return str(secrets.absolute())
    folder = config if config.is_dir() else config.parent
    return str((folder / "secrets").absolute())


def _name_of(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace') or 'default'}/{metadata.get('name') or ''}"
