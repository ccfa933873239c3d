"""The document `OpenBaoRestore`: one restore of one backup into one cluster.

Field for field compatible with the existing OpenBao operator's, with the additions of its later
versions that mean something here; `source.latest`, `source.before`, `safetyBackup`, `auth`,
`activeDeadlineSeconds` and `jobTemplate` are our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from bao_backup.core.backup_spec import JobTemplate
from bao_backup.core.documents import STORED_DEFAULT, Part, checked, read_document
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.fields import check_object_name
from bao_backup.core.login import Auth, JwtAuthRole, TokenSecretRef, faults_of_logins
from bao_backup.core.model import Moment, Value
from bao_backup.core.spec import API_VERSION, Metadata
from bao_backup.core.status import Condition
from bao_backup.core.storage import check_key
from bao_backup.core.target import Target

RESTORE_KIND = "OpenBaoRestore"
_LARGEST_OBJECT = 5 * 1024**4
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")


def check_digest(text: str) -> None:
    """See that it is a SHA-256 digest with its name before it."""
    if not _DIGEST.fullmatch(text):
        raise ConfigurationError("read a digest", 'expected "sha256:" and 64 lower-case hex digits')


class RestoreSource(Part, frozen=True, kw_only=True):
    """What is restored: one of key, latest and before; and what it must be."""

    target: Annotated[
        Target | None, Meta(description="Where the backup is; without, the cluster's own target.")
    ] = None
    key: Annotated[str, Meta(max_length=1024), checked(check_key, "Key of the backup's object.")] = ""
    latest: Annotated[bool, Meta(description="The newest good backup of the cluster.")] = False
    before: Annotated[
        Moment | None, Meta(description="The newest good backup of the cluster until this time.")
    ] = None
    expected_digest: Annotated[
        str, Meta(max_length=71), checked(check_digest, "The object must have this digest, sha256:HEX.")
    ] = ""
    expected_cluster_id: Annotated[
        str, Meta(max_length=128, description="The backup must be of the cluster with this id.")
    ] = msgspec.field(default="", name="expectedClusterID")
    expected_version: Annotated[
        str, Meta(max_length=64, description="The backup must be of a server of this version.")
    ] = ""
    expected_size: Annotated[
        Annotated[int, Meta(ge=1, le=_LARGEST_OBJECT)] | None,
        Meta(description="The object must be of so many bytes."),
    ] = None

    def faults(self) -> Iterable[tuple[str, str]]:
        """There is one source."""
        given = {"key": self.key, "latest": self.latest, "before": self.before}
        names = [name for name, value in given.items() if value]
        if len(names) != 1:
            there = " and ".join(names) or "none of them"
            yield "", f"expected one of key, latest and before, and there is {there}"


class RestoreSpec(Part, frozen=True, kw_only=True):
    """What a person wants restored, and how. It never changes once it is there."""

    decisive: ClassVar[tuple[str, ...]] = ("force", "override_operation_lock")

    cluster: Annotated[
        str, Meta(min_length=1), checked(check_object_name, "Name of the OpenBaoCluster that is overwritten.")
    ]
    source: Annotated[RestoreSource, Meta(description="The backup.")]
    jwt_auth_role: JwtAuthRole = ""
    token_secret_ref: TokenSecretRef = None
    auth: Annotated[Auth | None, Meta(description="How to log in.")] = None
    image: Annotated[
        str, Meta(max_length=1024, description="Image of the run; empty: the manager's own.")
    ] = ""
    force: Annotated[
        bool,
        STORED_DEFAULT,
        Meta(description="Restore also where seal keys differ or the backup's version is newer."),
    ] = False
    override_operation_lock: Annotated[
        bool, STORED_DEFAULT, Meta(description="Take the cluster's lock from whoever has it; needs force.")
    ] = False
    safety_backup: Annotated[
        bool, Meta(description="Back up what is there first, where the cluster is healthy.")
    ] = True
    active_deadline_seconds: Annotated[
        int, Meta(ge=10, le=7 * 24 * 3600, description="How long the restore may take.")
    ] = 4 * 3600
    job_template: Annotated[JobTemplate | None, Meta(description="For the run's Job.")] = None
    cluster_template: Annotated[
        Any, Meta(description="Of a later version: a restore into a cluster of its own is not done here.")
    ] = None
    target_lifecycle: Annotated[Any, Meta(description="Of a later version: accepted, and ignored.")] = None
    cleanup_after_seconds: Annotated[Any, Meta(description="Of a later version: accepted, and ignored.")] = (
        None
    )

    @property
    def token_secret(self) -> str:
        """The name of the Secret that `tokenSecretRef` means; empty when there is none."""
        return self.token_secret_ref.name if self.token_secret_ref else ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """One login; a lock is broken only by force; never another cluster than the one that is meant."""
        yield from faults_of_logins(self.auth, self.jwt_auth_role, self.token_secret)
        if self.override_operation_lock and not self.force:
            yield "overrideOperationLock", "expected only with force: true"
        if self.cluster_template is not None:
            # Ignoring it would overwrite the cluster that it was meant to spare.
            yield "clusterTemplate", "expected none: a restore into a cluster of its own is not supported"


class RestorePhase(StrEnum):
    """How far a restore is."""

    PENDING = "Pending"
    VALIDATING = "Validating"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    #: Of a later version: whether the server took the snapshot is not known.
    UNKNOWN = "Unknown"


#: A restore in one of these is over, and never runs again.
FINAL_PHASES = frozenset({RestorePhase.COMPLETED, RestorePhase.FAILED})
_BEFORE_ITS_RUN = frozenset({RestorePhase.PENDING, RestorePhase.VALIDATING})


class RestoreStatus(Value, frozen=True, kw_only=True):
    """`status` of a restore."""

    phase: Annotated[RestorePhase, STORED_DEFAULT, Meta(description="How far it is.")] = RestorePhase.PENDING
    start_time: Annotated[datetime | None, Meta(description="When it began.")] = None
    completion_time: Annotated[datetime | None, Meta(description="When it ended, in whatever way.")] = None
    snapshot_key: Annotated[str, Meta(description="Key of the object that is restored.")] = ""
    snapshot_size: Annotated[int, Meta(description="Its bytes.")] = 0
    safety_backup_key: Annotated[
        str, Meta(description="Key of the backup of what was there before: the way back.")
    ] = ""
    run_uid: Annotated[str, Meta(description="Uid of the Job that was released; no other ever is.")] = (
        msgspec.field(default="", name="runUID")
    )
    reason: Annotated[str, Meta(description="Why it waits, or how it ended, in one word for machines.")] = ""
    message: Annotated[str, Meta(description="What happened, and what a person must do next.")] = ""
    conditions: tuple[Condition, ...] = ()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((c for c in self.conditions if c.type == type_), None)


class OpenBaoRestore(Part, frozen=True, kw_only=True):
    """A restore's document."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: RestoreSpec
    status: RestoreStatus = RestoreStatus()

    def faults(self) -> Iterable[tuple[str, str]]:
        """It is what it says."""
        if self.api_version != API_VERSION:
            yield "apiVersion", f"expected {API_VERSION}"
        if self.kind != RESTORE_KIND:
            yield "kind", f"expected {RESTORE_KIND}"

    @property
    def unfinished(self) -> bool:
        """Whether it may still write to the cluster: it is neither completed nor failed."""
        return self.status.phase not in FINAL_PHASES

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of fields of later versions that are accepted and have no effect here."""
        fields = {
            "spec.targetLifecycle": self.spec.target_lifecycle,
            "spec.cleanupAfterSeconds": self.spec.cleanup_after_seconds,
        }
        return tuple(path for path, value in fields.items() if value is not None)


def parse_restore(document: Mapping[str, object], *, strict: bool) -> OpenBaoRestore:
    """Read a document, as YAML or JSON was decoded.

    Args:
        document: the whole of it, with apiVersion, kind, metadata and spec.
        strict: a field in `spec` that nobody knows is wrong; on Kubernetes the API server prunes it.

    Raises:
        DocumentError: with every problem that was found.
    """
    restore = read_document(OpenBaoRestore, document, ("spec",) if strict else ())
    return replace(restore, status=read_restore_status(document.get("status")))


def cluster_under_restore(document: Mapping[str, object]) -> str:
    """The cluster's name in the document of an unfinished restore; empty when it is over, or never begins.

    It reads documents that are wrong or of a later version, too: another manager may carry them out.
    """
    spec, metadata = document.get("spec"), document.get("metadata")
    cluster = spec.get("cluster") if isinstance(spec, Mapping) else None
    leaving = isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))
    phase = read_restore_status(document.get("status")).phase
    over = phase in FINAL_PHASES or never_begins(phase, leaving=leaving)
    return cluster if isinstance(cluster, str) and not over else ""


def never_begins(phase: RestorePhase, *, leaving: bool) -> bool:
    """Whether it had no run when its document was deleted, which something may keep a while."""
    return leaving and phase in _BEFORE_ITS_RUN


def read_restore_status(status: object) -> RestoreStatus:
    """Leniently: what cannot be read is not over, unless it says so."""
    if not isinstance(status, Mapping):
        return RestoreStatus()
    given = {name: value for name, value in status.items() if value is not None}
    try:
        return msgspec.convert(given, RestoreStatus)
    except msgspec.ValidationError:
        phase = next((each for each in RestorePhase if each == given.get("phase")), RestorePhase.UNKNOWN)
        return RestoreStatus(phase=phase)
