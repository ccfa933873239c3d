"""The document `OpenBaoCluster`: one OpenBao or Vault cluster, and how it is backed up.

Field for field compatible with the existing OpenBao operator's: what it has beside `spec.backup` is
read where it matters here, and left alone where not. Frozen; nothing here is ever written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from bao_backup.core.backup_spec import Backup
from bao_backup.core.connection import AuthMethod
from bao_backup.core.documents import Part, checked, read_document
from bao_backup.core.errors import InternalError, Problem
from bao_backup.core.fields import check_object_name
from bao_backup.core.login import Auth
from bao_backup.core.schedule import Schedule
from bao_backup.core.servers import Connection
from bao_backup.core.status import OperationLock

__all__ = ["OpenBaoCluster", "Problem", "parse_cluster"]

API_VERSION = "openbao.org/v1alpha1"
CLUSTER_KIND = "OpenBaoCluster"
#: The role that the existing operator makes with `selfInit.oidc`.
OIDC_BACKUP_ROLE = "openbao-operator-backup"


class Metadata(Part, frozen=True, kw_only=True):
    """What Kubernetes knows of every object; without it, only the names."""

    name: Annotated[str, Meta(min_length=1), checked(check_object_name, "Name of the cluster.")]
    namespace: Annotated[str, checked(check_object_name, "Its namespace.")] = "default"
    uid: str = ""
    generation: int = 0
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    creation_timestamp: datetime | None = None


class Oidc(Part, frozen=True, kw_only=True):
    """`spec.selfInit.oidc`: the existing operator has set up JWT logins."""

    enabled: bool = False
    audience: str = ""
    issuer: str = ""


class SelfInit(Part, frozen=True, kw_only=True):
    """`spec.selfInit`."""

    oidc: Oidc = Oidc()


class Network(Part, frozen=True, kw_only=True):
    """`spec.network`."""

    egress_rules: tuple[dict[str, Any], ...] = ()


class RestoreOptions(Part, frozen=True, kw_only=True):
    """`spec.restore`."""

    jwt_auth_role: str = ""


class BlueGreen(Part, frozen=True, kw_only=True):
    """`spec.upgrade.blueGreen`."""

    pre_upgrade_snapshot: bool = False


class Upgrade(Part, frozen=True, kw_only=True):
    """`spec.upgrade`."""

    pre_upgrade_snapshot: bool = False
    blue_green: BlueGreen = BlueGreen()


class ClusterSpec(Part, frozen=True, kw_only=True):
    """What a person wants of the cluster, as far as backups go."""

    backup: Annotated[Backup | None, Meta(description="Without it, nothing is backed up.")] = None
    connection: Annotated[
        Connection | None, Meta(description="Where the servers are, when no operator manages them.")
    ] = None
    replicas: Annotated[int, Meta(ge=1, le=99, description="How many servers the cluster has.")] = 3
    paused: Annotated[bool, Meta(description="Nothing is done for this cluster.")] = False
    #: "Hardened" or "Development"; empty when it is not said
    profile: str = ""
    network: Network = Network()
    self_init: SelfInit = SelfInit()
    restore: RestoreOptions = RestoreOptions()
    upgrade: Upgrade = Upgrade()
    #: "Retain", "DeletePVCs" or "DeleteAll"; empty when it is not said
    deletion_policy: str = ""


class ClusterStatus(Part, frozen=True, kw_only=True):
    """What others say of the cluster. Read leniently: a surprise here must not stop backups."""

    #: "Running" when it is healthy; empty when nobody writes it
    phase: str = ""
    #: Anything but None: an upgrade is in progress.
    upgrade: Any = None
    #: Anything but None: a restore is in progress.
    restore: Any = None
    operation_lock: OperationLock | None = None


class OpenBaoCluster(Part, frozen=True, kw_only=True):
    """A cluster's document."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: ClusterSpec = ClusterSpec()
    status: ClusterStatus = ClusterStatus()

    def faults(self) -> Iterable[tuple[str, str]]:
        """It is what it says."""
        if self.api_version != API_VERSION:
            yield "apiVersion", f"expected {API_VERSION}"
        if self.kind != CLUSTER_KIND:
            yield "kind", f"expected {CLUSTER_KIND}"

    @property
    def identity(self) -> str:
        """What tells this cluster from all others: its uid, or "namespace/name" where it has none."""
        return self.metadata.uid or f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def schedule(self) -> Schedule:
        """The schedule of `spec.backup`, which must be there."""
        backup = self.spec.backup
        if backup is None:
            raise InternalError("read a schedule", "the document has no spec.backup")
        return Schedule.parse(backup.schedule, backup.time_zone, backup.jitter_seconds, self.identity)

    @property
    def login(self) -> Auth | None:
        """The one way to log in, from `auth`, its short forms, or `selfInit.oidc`; None: none is there.

        An empty audience means the manager's own default.
        """
        backup, oidc = self.spec.backup, self.spec.self_init.oidc
        if backup is None:
            return None
        auth = backup.auth
        if auth is None and backup.token_secret_ref is not None and backup.token_secret:
            auth = Auth(method=AuthMethod.TOKEN, secret_ref=backup.token_secret_ref)
        role = backup.jwt_auth_role or (OIDC_BACKUP_ROLE if oidc.enabled else "")
        if auth is None and role:
            auth = Auth(method=AuthMethod.JWT, role=role)
        if auth is not None and auth.role and not auth.audience:
            return replace(auth, audience=oidc.audience)
        return auth

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of fields of later versions that are accepted and have no effect here."""
        backup = self.spec.backup
        return ("spec.backup.restoreTest",) if backup and backup.restore_test is not None else ()


def parse_cluster(document: Mapping[str, object], *, strict: bool) -> OpenBaoCluster:
    """Read a document, as YAML or JSON was decoded.

    Args:
        document: the whole of it, with apiVersion, kind, metadata and spec.
        strict: a field in `spec.backup` or `spec.connection` that nobody knows is wrong. On
            Kubernetes the API server prunes such fields, or another operator's CRD has them.

    Raises:
        DocumentError: with every problem that was found.
    """
    strict_below = ("spec.backup", "spec.connection") if strict else ()
    cluster = read_document(OpenBaoCluster, document, strict_below)
    return with_status(cluster, document.get("status"))


def with_status(cluster: OpenBaoCluster, status: object) -> OpenBaoCluster:
    """The document with this as its status, which is never wrong: what cannot be read is passed over."""
    return replace(cluster, status=_read_status(status))


def _read_status(status: object) -> ClusterStatus:
    if not isinstance(status, Mapping):
        return ClusterStatus()
    phase, lock = status.get("phase"), status.get("operationLock")
    return ClusterStatus(
        phase=phase if isinstance(phase, str) else "",
        upgrade=status.get("upgrade"),
        restore=status.get("restore"),
        operation_lock=None if lock is None else _read_lock(lock),
    )


def _read_lock(lock: object) -> OperationLock:
    try:
        return msgspec.convert(lock, OperationLock)
    except msgspec.ValidationError:
        # A lock that cannot be read is still somebody's.
        return OperationLock(operation="unknown", holder="unknown", message="its form is not known")
