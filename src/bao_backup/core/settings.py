"""What one run works with, and how it travels to the executor: as environment variables.

The names are those that the existing operator's Jobs set; what has no name there travels as one
JSON in `BACKUP_CONFIG`. No secret is in any of them: only paths of the files that hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import ConfigurationError, one_line
from bao_backup.core.model import Moment, Trigger, Value, VerifyLevel
from bao_backup.core.naming import (
    PRE_UPGRADE_KIND,
    checked_kind,
    checked_path_prefix,
    cluster_prefix,
    is_object_name,
    parse_key,
)
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.storage import StoreSettings

T = TypeVar("T")

DEFAULT_JWT_FILE = "/var/run/secrets/tokens/openbao-token"
DEFAULT_TOKEN_FOLDER = "/etc/bao/backup/token"  # noqa: S105 - a path
DEFAULT_CA_FILE = "/etc/bao/tls/ca.crt"
#: Four hours, as `spec.backup.activeDeadlineSeconds`; the run's own deadline is a minute before.
DEFAULT_DEADLINE = 4 * 3600 - 60


class RunSettings(Value, frozen=True, kw_only=True):
    """Everything that an executor needs to know, and no secret."""

    namespace: str
    name: str
    uid: str = ""
    path_prefix: str = ""
    #: The class before the timestamp in a key that the executor makes itself.
    kind: str = ""
    #: Empty: the executor makes it from the time.
    key: str = ""
    slot: datetime | None = None
    trigger: Trigger = Trigger.SCHEDULED
    number: int = 1
    bao: BaoSettings
    store: StoreSettings
    #: The folder with the storage credentials, a file each; empty: the environment's own.
    credentials_folder: str = ""
    verify: VerifyLevel = VerifyLevel.HEAD
    retention: RetentionPolicy | None = None
    deadline_seconds: float = DEFAULT_DEADLINE

    @property
    def prefix(self) -> str:
        """The folder of this cluster's backups in the store."""
        return cluster_prefix(self.path_prefix, self.namespace, self.name)


class _Rest(Value, frozen=True, kw_only=True):
    """What travels in BACKUP_CONFIG."""

    uid: str = ""
    slot: Moment | None = None
    trigger: Trigger = Trigger.SCHEDULED
    number: int = 1
    bao: BaoSettings | None = None
    store: StoreSettings | None = None
    verify: VerifyLevel = VerifyLevel.HEAD
    retention: RetentionPolicy | None = None
    deadline_seconds: float = DEFAULT_DEADLINE


def to_environment(settings: RunSettings) -> dict[str, str]:
    """The variables that make an executor work with these settings.

    Those that say nothing are there and empty, so that no other value shows through from the
    environment of who starts the executor.
    """
    rest = _Rest(
        uid=settings.uid,
        slot=settings.slot,
        trigger=settings.trigger,
        number=settings.number,
        bao=settings.bao,
        store=settings.store,
        verify=settings.verify,
        retention=settings.retention,
        deadline_seconds=settings.deadline_seconds,
    )
    store = settings.store
    return {
        "CLUSTER_NAMESPACE": settings.namespace,
        "CLUSTER_NAME": settings.name,
        "BACKUP_PROVIDER": store.provider,
        "BACKUP_BUCKET": store.bucket,
        "BACKUP_ENDPOINT": store.endpoint,
        "BACKUP_REGION": store.region,
        "BACKUP_PATH_PREFIX": settings.path_prefix,
        "BACKUP_FILENAME_PREFIX": settings.kind,
        "BACKUP_KEY": settings.key,
        "BACKUP_CREDENTIALS_PATH": settings.credentials_folder,
        "BACKUP_CONFIG": msgspec.json.encode(rest).decode(),
    }


def from_environment(environment: Mapping[str, str]) -> RunSettings:
    """Read the settings of one run.

    Raises ConfigurationError, which names every variable that is missing or wrong.
    """
    reader = _Reader(environment)
    rest = reader.rest()
    namespace, name = reader.name("CLUSTER_NAMESPACE"), reader.name("CLUSTER_NAME")
    if rest is None:  # what it would have said cannot be missed elsewhere
        raise reader.error()
    bao = rest.bao or _bao(reader, namespace, name)
    store = rest.store or _store(reader)
    kind = reader.checked("BACKUP_FILENAME_PREFIX", checked_kind).removesuffix("-")
    settings = RunSettings(
        namespace=namespace,
        name=name,
        uid=rest.uid,
        path_prefix=reader.checked("BACKUP_PATH_PREFIX", checked_path_prefix),
        kind=kind,
        key=reader.text("BACKUP_KEY"),
        slot=rest.slot,
        trigger=rest.trigger if reader.text("BACKUP_CONFIG") else _trigger_of(kind),
        number=rest.number,
        bao=bao,
        store=store,
        credentials_folder=reader.text("BACKUP_CREDENTIALS_PATH"),
        verify=rest.verify,
        retention=rest.retention,
        deadline_seconds=rest.deadline_seconds,
    )
    if settings.key and not reader.complaints and parse_key(settings.key, settings.prefix) is None:
        reader.complain(
            f"BACKUP_KEY is {settings.key!r}, expected {settings.prefix}/[KIND-]TIMESTAMP-ID.snap, "
            "with a time like 2026-11-22T02-00-00Z and 8 hex digits"
        )
    if reader.complaints:
        raise reader.error()
    return settings


def _bao(reader: _Reader, namespace: str, name: str) -> BaoSettings:
    """The existing operator's way: the pods of a StatefulSet, and JWT or a token."""
    replicas = reader.number("CLUSTER_REPLICAS", 1, 1, 99)
    pods = reader.text("STATEFULSET_NAME") or name
    suffix = reader.text("CLUSTER_DOMAIN_SUFFIX").strip(".")
    domain = f"{name}.{namespace}.svc" + (f".{suffix}" if suffix else "")
    addresses = tuple(f"https://{pods}-{index}.{domain}:8200" for index in range(replicas))
    method = reader.one_of("BACKUP_AUTH_METHOD", ("jwt", "token"), "jwt")
    if method == "token":
        # The file, or the folder with the file `token`: both are in use.
        file = reader.text("BACKUP_TOKEN_PATH") or DEFAULT_TOKEN_FOLDER
        auth = BaoAuth(method=AuthMethod.TOKEN, token_file=file)
    else:
        auth = BaoAuth(
            method=AuthMethod.JWT,
            role=reader.required("BACKUP_JWT_AUTH_ROLE"),
            jwt_file=reader.text("JWT_TOKEN_PATH") or DEFAULT_JWT_FILE,
        )
    return BaoSettings(addresses=addresses, auth=auth, ca_file=reader.text("TLS_CA_PATH") or DEFAULT_CA_FILE)


def _store(reader: _Reader) -> StoreSettings:
    return StoreSettings(
        provider=reader.text("BACKUP_PROVIDER") or "s3",
        bucket=reader.text("BACKUP_AZURE_CONTAINER") or reader.required("BACKUP_BUCKET"),
        account=reader.text("BACKUP_AZURE_STORAGE_ACCOUNT"),
        endpoint=reader.text("BACKUP_ENDPOINT"),
        region=reader.text("BACKUP_REGION"),
        path_style=reader.flag("BACKUP_USE_PATH_STYLE"),
        insecure_skip_verify=reader.flag("BACKUP_INSECURE_SKIP_VERIFY"),
        role_arn=reader.text("AWS_ROLE_ARN"),
        role_token_file=reader.text("AWS_WEB_IDENTITY_TOKEN_FILE"),
        part_size=reader.number("BACKUP_PART_SIZE", 10 * 1024 * 1024, 5 * 1024 * 1024, 5 * 1024**3),
        concurrency=reader.number("BACKUP_CONCURRENCY", 3, 1, 10),
    )


def _trigger_of(kind: str) -> Trigger:
    """The existing operator's Jobs say it by the class alone."""
    return Trigger.PRE_UPGRADE if kind == PRE_UPGRADE_KIND else Trigger.SCHEDULED


class _Reader:
    """Reads variables, and keeps every complaint until the end, so that all are told at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.complaints: list[str] = []

    def complain(self, words: str) -> None:
        self.complaints.append(one_line(words))

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.complain(f"{name} is not set")
        return value

    def checked(self, name: str, check: Callable[[str], object]) -> str:
        value = self.text(name)
        try:
            check(value)
        except ConfigurationError as error:
            self.complain(f"{name} is {value!r}: {error.why}")
        return value

    def name(self, name: str) -> str:
        value = self.required(name)
        if value and not is_object_name(value):
            self.complain(
                f"{name} is {value!r}, expected a Kubernetes name: lower-case letters, digits, - and ."
            )
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        def read(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._read(name, default, read, f"a whole number from {least} to {most}")

    def flag(self, name: str) -> bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        return self._read(name, False, lambda value: words[value.lower()], "true or false")

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        def read(value: str) -> str:
            return choices[choices.index(value)]

        return self._read(name, default, read, " or ".join(choices))

    def _read(self, name: str, default: T, read: Callable[[str], T], expected: str) -> T:
        value = self.text(name)
        if not value:
            return default
        try:
            return read(value)
        except (ValueError, KeyError):
            self.complain(f"{name} is {value!r}, expected {expected}")
            return default

    def rest(self) -> _Rest | None:
        text = self.text("BACKUP_CONFIG")
        if not text:
            return _Rest()
        try:
            return msgspec.json.decode(text, type=_Rest)
        except msgspec.MsgspecError as error:
            self.complain(f"BACKUP_CONFIG: {error}")
        except ConfigurationError as error:
            self.complain(f"BACKUP_CONFIG: {error.why}")
        return None

    def error(self) -> ConfigurationError:
        return ConfigurationError(
            "read the environment",
            "; ".join(self.complaints),
            hint="set them, or use --config FILE --cluster NAMESPACE/NAME",
        )
