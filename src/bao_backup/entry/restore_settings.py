"""What a restore by command works with: from its options, and a document where there is one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings, parse_address
from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.login import Auth
from bao_backup.core.naming import cluster_prefix, parse_key
from bao_backup.core.restore_settings import DEFAULT_DEADLINE, Place, RestoreSettings, Wanted
from bao_backup.core.selection import parse_moment
from bao_backup.core.servers import Connection
from bao_backup.core.settings import RunSettings
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.entry.place import OpenTarget, open_place, open_target
from bao_backup.entry.source import Source, load_document, secrets_beside

DOING = "restore a backup"
#: What a cluster is called that neither a document nor a store names.
UNNAMED = "default/unnamed"
#: What an error about a token that an option names says to correct.
_TOKEN_FILE = "--token-file"  # noqa: S105 - the name of an option
#: As `spec.activeDeadlineSeconds` of an OpenBaoRestore.
SHORTEST_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=10), timedelta(days=7)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which backup is restored, to where and how, as the options say it."""

    key: str = ""
    latest: bool = False
    before: str = ""
    file: Path | None = None
    #: URLs of other servers than the document's.
    to: tuple[str, ...] = ()
    ca_file: Path | None = None
    server_name: str = ""
    token_file: Path | None = None
    force: bool = False
    safety: bool = True
    #: In Go's syntax: "12h"; empty: the usual one.
    deadline: str = ""
    sha256: str = ""
    version: str = ""
    cluster_id: str = ""


def settings_of(source: Source, choice: Choice) -> RestoreSettings:
    """The settings of the restore.

    Raises ConfigurationError when the options do not go together or say too little, and what the look
    into a target without a document raises.
    """
    check_choice(choice)
    if source.config is not None and (source.target is None or source.config_by_hand):
        return _by_document(source, source.config, choice)
    return _without_document(source, choice)


def check_choice(choice: Choice) -> None:
    """ConfigurationError unless one backup is meant, and addresses are some."""
    given = {"--key": choice.key, "--latest": choice.latest, "--before": choice.before, "--from": choice.file}
    names = [name for name, value in given.items() if value]
    if len(names) != 1:
        there = f"{' and '.join(names)} are given" if names else "none of them is given"
        why = f"one of --key, --latest, --before and --from says which backup is meant, and {there}"
        raise ConfigurationError(DOING, why, hint="give one of them")
    for address in choice.to:
        parse_address(address)
    deadline_of(choice)


def deadline_of(choice: Choice) -> timedelta:
    """How long it may take; ConfigurationError where that is no duration, or none that makes sense."""
    if not choice.deadline:
        return timedelta(seconds=DEFAULT_DEADLINE)
    deadline = parse_go_duration(choice.deadline)
    if not SHORTEST_DEADLINE <= deadline <= LONGEST_DEADLINE:
        why = f"--deadline {choice.deadline} is not between 10s and 168h"
        raise ConfigurationError(DOING, why, hint="give one in between")
    return deadline


def _wanted(choice: Choice, prefix: str) -> Wanted:
    before = parse_moment(choice.before, datetime.now(UTC)) if choice.before else None
    key = choice.key if "/" in choice.key or not choice.key else f"{prefix}/{choice.key}"
    return Wanted(
        key=key,
        latest=choice.latest,
        before=before,
        file=str(choice.file) if choice.file is not None else "",
        sha256=choice.sha256.lower().removeprefix("sha256:"),
        version=choice.version,
        cluster_id=choice.cluster_id,
    )


# --- with a document ---------------------------------------------------------------------------


def _by_document(source: Source, config: Path, choice: Choice) -> RestoreSettings:
    """Servers, login and the place of the safety backup are the document's, but for what the options say."""
    document = _changed(load_document(config, source.cluster), choice)
    run = settings_from_document(document, secrets_beside(config, source.secrets))
    own = Place(store=run.store, credentials_folder=run.credentials_folder, prefix=run.prefix)
    place = own
    if source.target is not None:
        if choice.file is not None:
            raise ConfigurationError(
                DOING, "both --from and --target say where it is", hint="leave one of them out"
            )
        place = _place(open_target(source.of_target()), run.namespace, run.name)
    elif source.credentials is not None:
        hint = "give --target URL, or a credentialsSecretRef in the document and --secrets"
        raise ConfigurationError(DOING, "--credentials is for --target alone", hint=hint)
    return RestoreSettings(
        namespace=run.namespace,
        name=run.name,
        uid=run.uid,
        bao=_for_restores(document, run, choice),
        wanted=_wanted(choice, place.prefix),
        source=None if choice.file is not None else place,
        force=choice.force,
        safety=own if choice.safety else None,
        deadline_seconds=deadline_of(choice).total_seconds(),
    )


def _changed(document: OpenBaoCluster, choice: Choice) -> OpenBaoCluster:
    """The document with the servers and the login that the options say instead."""
    spec, connection = document.spec, document.spec.connection
    if choice.to:
        connection = replace(connection or Connection(), addresses=choice.to, service=None)
    if connection is not None and choice.ca_file is not None:
        connection = replace(connection, ca_file=str(choice.ca_file.absolute()), ca_secret_ref=None)
    if connection is not None and choice.server_name:
        connection = replace(connection, server_name=choice.server_name)
    backup = spec.backup
    if backup is not None and choice.token_file is not None:
        auth = Auth(method=AuthMethod.TOKEN, file=str(choice.token_file.absolute()))
        backup = replace(backup, auth=auth)
    return replace(document, spec=replace(spec, connection=connection, backup=backup))


def _for_restores(document: OpenBaoCluster, run: RunSettings, choice: Choice) -> BaoSettings:
    """The login of backups, in the cluster's role for restores where it has one."""
    role, auth = document.spec.restore.jwt_auth_role, run.bao.auth
    if choice.token_file is not None:
        return replace(run.bao, auth=replace(auth, said_in=_TOKEN_FILE))
    if role and auth.method is AuthMethod.JWT:
        return replace(run.bao, auth=replace(auth, role=role))
    return run.bao


# --- without any -------------------------------------------------------------------------------


def _without_document(source: Source, choice: Choice) -> RestoreSettings:
    """All that is left are a target or a file, and a new server."""
    missing = [
        name
        for name, value in (("--to URL", choice.to), ("--token-file FILE", choice.token_file))
        if not value
    ]
    if source.target is None and choice.file is None:
        missing = ["--config FILE, or --target URL", *missing]
    if missing:
        why = f"without a document it needs {' and '.join(missing)}"
        raise ConfigurationError(DOING, why, hint="give what it needs, or --config FILE")
    place, namespace, name = _place_without_document(source, choice)
    if place is None and choice.safety:
        hint = "give --target URL for it, or --no-safety-backup"
        raise ConfigurationError(DOING, "there is no place for a backup of what is there", hint=hint)
    return RestoreSettings(
        namespace=namespace,
        name=name,
        bao=_bao(choice),
        wanted=_wanted(choice, place.prefix if place is not None else ""),
        source=None if choice.file is not None else place,
        force=choice.force,
        safety=place if choice.safety else None,
        deadline_seconds=deadline_of(choice).total_seconds(),
    )


def _bao(choice: Choice) -> BaoSettings:
    token = str(choice.token_file.absolute()) if choice.token_file is not None else ""
    return BaoSettings(
        addresses=choice.to,
        auth=BaoAuth(method=AuthMethod.TOKEN, token_file=token, said_in=_TOKEN_FILE),
        ca_file=str(choice.ca_file.absolute()) if choice.ca_file is not None else "",
        server_name=choice.server_name,
    )


def _place_without_document(source: Source, choice: Choice) -> tuple[Place | None, str, str]:
    """The target's folder of the cluster, and the cluster's namespace and name.

    A whole key names its cluster, so that no other one has to be there.
    """
    named = source.cluster or ""
    if source.target is None:
        if source.credentials is not None:
            raise ConfigurationError(DOING, "--credentials is for --target alone", hint="give --target URL")
        return None, *_split(named or UNNAMED)
    if "/" in choice.key or (choice.file is not None and named):
        target = open_target(source.of_target())
        namespace, name = _split(named or _cluster_of(choice.key))
        return _place(target, namespace, name), namespace, name
    there = open_place(source.of_target())
    return _place(there.target, there.namespace, there.name), there.namespace, there.name


def _cluster_of(key: str) -> str:
    """The cluster that a whole key names."""
    folder = key.rpartition("/")[0]
    if parse_key(key, folder) is None or "/" not in folder:
        hint = "bao-backup list --all-clusters shows the keys; or say with --cluster what is overwritten"
        raise ConfigurationError(DOING, f"the key {key!r} does not name a cluster", hint=hint)
    return "/".join(folder.split("/")[-2:])


def _split(cluster: str) -> tuple[str, str]:
    namespace, _, name = cluster.rpartition("/")
    return namespace or "default", name


def _place(target: OpenTarget, namespace: str, name: str) -> Place:
    return Place(
        store=target.settings,
        credentials_folder=target.credentials_folder,
        prefix=cluster_prefix(target.path_prefix, namespace, name),
    )
