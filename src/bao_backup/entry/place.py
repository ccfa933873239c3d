"""Opens the target that a command's options name, and finds the cluster in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.system import read_secret_folder
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Backup
from bao_backup.core.naming import ClusterBackups, catalogue, catalogue_of_all, cluster_prefix
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.settings import RunSettings
from bao_backup.core.storage import StoreSettings, find_credentials
from bao_backup.core.storage_errors import ObjectNotFoundError, StorageDeniedError
from bao_backup.core.target_url import TargetUrl, format_target_url, parse_target_url
from bao_backup.entry.output import say
from bao_backup.entry.source import Source, load_settings, load_settings_of_all
from bao_backup.entry.wiring import store_of
from bao_backup.ports import Store

GIVE = "give --config FILE with the cluster's document, or --target URL of the bucket, as s3://BUCKET/PREFIX"
#: So many names of clusters fit into an error.
NAMED = 20


@dataclass(frozen=True)
class OpenTarget:
    """An open store, and the folders before the namespace in its keys."""

    store: Store
    path_prefix: str
    #: What the store was opened with; an empty folder: the environment's credentials.
    settings: StoreSettings
    credentials_folder: str

    @property
    def location(self) -> str:
        """For people, such as "s3://bucket/prefix"."""
        return f"{self.store.location}/{self.path_prefix}".rstrip("/")

    def clusters(self) -> tuple[ClusterBackups, ...]:
        """Every cluster's backups, from one LIST; behind them those below a longer path prefix."""
        return catalogue_of_all(self.store.list(self.path_prefix), self.path_prefix)


@dataclass(frozen=True)
class Place:
    """One cluster's backups in an open target."""

    target: OpenTarget
    namespace: str
    name: str
    #: What its document says; None where there is no document, or no policy in it.
    retention: RetentionPolicy | None = None
    #: What was listed already, to find the cluster.
    listed: tuple[Backup, ...] | None = None

    @property
    def store(self) -> Store:
        """The open store."""
        return self.target.store

    @property
    def prefix(self) -> str:
        """The folder of the backups in the store."""
        return cluster_prefix(self.target.path_prefix, self.namespace, self.name)

    def backups(self) -> tuple[Backup, ...]:
        """The cluster's backups, newest first, from one LIST."""
        if self.listed is not None:
            return self.listed
        return catalogue(self.store.list(self.prefix), self.prefix)


def open_place(source: Source) -> Place:
    """The one cluster that the options name, in its target.

    Nothing is asked of the store but where --target names it: then one LIST shows that the cluster is there.

    Raises:
        ConfigurationError: the options do not go together, or name no cluster where there are several.
        ObjectNotFoundError: the target has no such cluster, or none at all.
    """
    check_together(source)
    if source.target is None:
        settings = load_settings(source.config, source.cluster, source.secrets, GIVE)
        return Place(_opened(settings), settings.namespace, settings.name, settings.retention)
    target = open_target(source)
    if source.cluster:
        return _named(target, source.cluster)
    found = _every_cluster(target)
    here = _here(target, found)
    if not here:
        why, hint = _what_is_there(target, found)
        raise ObjectNotFoundError(f"find a cluster in {target.location}", why, hint=hint)
    if len(here) > 1:
        why, hint = _what_is_there(target, found)
        raise ConfigurationError(f"choose a cluster of {target.location}", why, hint=hint)
    (one,) = here
    return Place(target, one.namespace, one.cluster, listed=one.backups)


def open_target(source: Source) -> OpenTarget:
    """The target that the options name, whatever clusters are in it; nothing is asked of the store yet.

    Raises:
        ConfigurationError: the options do not go together, or the configuration has several targets.
    """
    check_together(source)
    if source.target is None:
        return _opened(_settings_of_target(source))
    url = parse_target_url(source.target)
    folder = "" if source.credentials is None else str(source.credentials.absolute())
    credentials = read_secret_folder(folder) if folder else os.environ
    if folder and url.store.provider != "file" and not find_credentials(credentials):
        # Without this the environment's own would be taken, which are another's perhaps.
        why = "there is no credential of a store in it, or only empty ones"
        hint = "put a file there for each key, as accessKeyId and secretAccessKey; or leave --credentials out"
        raise ConfigurationError(f"read the credentials in {folder}", why, hint=hint)
    _warn(url.store)
    again = (lambda: read_secret_folder(folder)) if folder else None
    return OpenTarget(open_store(url.store, credentials, again), url.path_prefix, url.store, folder)


def _warn(settings: StoreSettings) -> None:
    """What a person has to know of whatever comes from this store."""
    for warning in settings.warnings:
        say(f"warning: {warning}")


def _opened(settings: RunSettings) -> OpenTarget:
    path_prefix = settings.path_prefix.strip("/")
    _warn(settings.store)
    return OpenTarget(store_of(settings), path_prefix, settings.store, settings.credentials_folder)


def check_together(source: Source) -> None:
    """ConfigurationError where the options do not go together."""
    doing = "find the backups"
    if source.target is not None and source.config is not None and source.config_by_hand:
        why = "both --config and --target say where they are"
        raise ConfigurationError(doing, why, hint="leave one of them out")
    if source.target is None and source.credentials is not None:
        hint = "give --target URL, or with --config a credentialsSecretRef in the document and --secrets"
        raise ConfigurationError(doing, "--credentials is for --target alone", hint=hint)


def _settings_of_target(source: Source) -> RunSettings:
    """Of any cluster with the one target of the configuration."""
    if source.config is None or source.cluster is not None:
        return load_settings(source.config, source.cluster, source.secrets, GIVE)
    every = load_settings_of_all(source.config, source.secrets)
    targets = {_place_of(settings): settings for settings in every}
    if len(targets) > 1:
        why = f"its clusters have {len(targets)} of them"
        hint = "choose that of one cluster with --cluster, or give --target"
        raise ConfigurationError(f"choose a target of {source.config}", why, hint=hint)
    return every[0]


def _place_of(settings: RunSettings) -> tuple[str, ...]:
    store = settings.store
    path_prefix = settings.path_prefix.strip("/")
    return (store.provider, store.account, store.endpoint, store.bucket, store.path, path_prefix)


def _every_cluster(target: OpenTarget) -> tuple[ClusterBackups, ...]:
    """Whose rights end at a cluster's folder, as those that `policy` prints, may only look there."""
    try:
        return target.clusters()
    except StorageDeniedError as error:
        hint = f"name the cluster with --cluster: its folder alone is listed then; or {error.hint}"
        raise type(error)(error.doing, error.why, hint=hint, details=error.details) from error


def _named(target: OpenTarget, cluster: str) -> Place:
    """A name that was mistyped must not look like a cluster without backups."""
    namespace, _, name = cluster.rpartition("/")
    place = Place(target, namespace or "default", name)
    listed = place.backups()
    if not listed:
        doing = f"find the cluster {place.namespace}/{name} in {target.location}"
        try:
            why, hint = _what_is_there(target, target.clusters())
        except StorageDeniedError:
            why = "there is no backup of it, and what else is there may not be listed"
            hint = "see that the name and the prefix are the right ones"
        raise ObjectNotFoundError(doing, why, hint=hint)
    return replace(place, listed=listed)


def elsewhere(target: OpenTarget, found: Sequence[ClusterBackups]) -> tuple[str, ...]:
    """The targets below this one, of those that were found there: what `--target` takes, with its options."""
    longer = {each.path_prefix for each in found} - {target.path_prefix}
    urls = (TargetUrl(store=target.settings, path_prefix=prefix) for prefix in sorted(longer))
    return tuple(f'"{format_target_url(url)}"' for url in urls)


def _here(target: OpenTarget, found: Sequence[ClusterBackups]) -> list[ClusterBackups]:
    return [each for each in found if each.path_prefix == target.path_prefix]


def _what_is_there(target: OpenTarget, found: Sequence[ClusterBackups]) -> tuple[str, str]:
    """Why, and what to do next."""
    names = [f"{each.namespace}/{each.cluster}" for each in _here(target, found)]
    if names:
        there = "there is" if len(names) == 1 else "there are"
        return f"{there} {_some(names)}", "name one of them with --cluster"
    places = elsewhere(target, found)
    if places:
        return "there is none", f"backups are below {_some(places)}: give that as --target"
    return "there is no backup of any cluster", "see that the bucket and the prefix are the right ones"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
