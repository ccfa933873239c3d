"""The one tree of errors. Each type carries its exit code, a reason for machines and a hint.

    BaoBackupError
    ├── ConfigurationError 1        InvalidConfiguration
    │   ├── DocumentError             InvalidDocument: every wrong field of it, with its path
    │   ├── AnotherManagerError       AnotherManager: the state folder is in use
    │   └── KubernetesError           KubernetesFailed: the API server cannot answer now
    │       ├── KubernetesUnreachableError  KubernetesUnreachable: no connection, or no answer
    │       ├── KubernetesDeniedError       KubernetesDenied: no account, or no right
    │       ├── KubernetesRefusedError      KubernetesRefused: it does not take the object
    │       ├── KubernetesConflictError     KubernetesConflict: exists already, or was changed
    │       └── KubernetesMissingError      KubernetesMissing: there is no such object
    ├── LoginError 2                LoginFailed
    │   └── ServerClockError          ServerClockSkewed: this machine's clock, or the server's
    ├── LeaderError 3               NoLeader
    │   └── ServerUntrustedError      ServerUntrusted: its certificate does not verify
    ├── SnapshotError 4             SnapshotFailed
    │   ├── SnapshotDeniedError       SnapshotDenied
    │   ├── SnapshotCutOffError       SnapshotCutOff: the connection ended before the stream did
    │   ├── SnapshotStalledError      SnapshotStalled: no byte for too long
    │   ├── LeaderLostError           LeaderLost: it stepped down, was sealed or went away
    │   └── RestoreError              RestoreFailed
    │       ├── RestoreDeniedError      RestoreDenied
    │       ├── RestoreRefusedError     RestoreRefused: the server does not take the snapshot
    │       ├── RestoreCutOffError      RestoreCutOff: it never had the whole of it
    │       ├── SnapshotNewerError      SnapshotNewer: of a newer version than the server
    │       ├── SafetyBackupError       SafetyBackupFailed: what is there was not backed up
    │       └── RestoreSealedError      RestoreSealed: taken, and the server is sealed now
    ├── StorageError 5              StorageFailed
    │   ├── StorageDeniedError        StorageDenied: authenticated, not allowed
    │   │   └── ObjectLockedError       ObjectLocked: a lock, a hold or a retention keeps it
    │   ├── StorageLoginError         StorageLoginFailed: keys or tokens not accepted
    │   │   ├── StorageExpiredError     StorageLoginExpired: they were good once
    │   │   └── StorageClockError       StorageClockSkewed: this machine's clock, or the store's
    │   ├── StorageRegionError        StorageWrongRegion: the bucket is elsewhere
    │   ├── BucketNotFoundError       BucketNotFound
    │   ├── ObjectNotFoundError       ObjectNotFound
    │   ├── ObjectExistsError         ObjectExists
    │   ├── ObjectChangedError        ObjectChanged: not the object that was read before
    │   ├── StorageUnreachableError   StorageUnreachable: name, route, port
    │   ├── StorageUntrustedError     StorageUntrusted: its certificate does not verify
    │   ├── StorageUnavailableError   StorageUnavailable: 5xx, time-outs
    │   │   └── StorageThrottledError   StorageThrottled: it asks for fewer requests
    │   ├── StorageFullError          StorageFull
    │   │   └── StorageQuotaError       StorageQuotaReached
    │   ├── StorageKeyError           StorageKeyUnusable: what encrypts the objects
    │   └── ObjectArchivedError       ObjectArchived: to be brought back first
    ├── VerificationError 6         VerificationFailed
    │   ├── ArchiveError              ArchiveCorrupt: what arrived is not a whole snapshot
    │   │   └── ArchiveTruncatedError   ArchiveTruncated: it ends before its end
    │   ├── StoredDiffersError        StoredDiffers: what is stored is not what was sent
    │   ├── ReceiptVersionError       ReceiptTooNew: a newer bao-backup wrote it
    │   └── BackupUnexpectedError     BackupUnexpected: whole, and not the one that was meant
    ├── InterruptedRunError 7       Interrupted
    │   └── DeadlineError             DeadlineExceeded
    ├── InternalError 8             InternalError: a defect of this program
    └── RestoreUnknownError 9       RestoreUnknown

Decide by type, never by text. `doing` says what was tried, and on what; `why` says why it
failed; the hint says what to do next. None of them may hold a token, a key or a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec


class BaoBackupError(Exception):
    """What every failure of this program is.

    Args:
        doing: what was tried and on what, e.g. "upload s3://bucket/key".
        why: the cause, in a few words.
        hint: what to do next, where the type's own hint is too general.
        details: for `--verbose` only; may have several lines, never a secret.
    """

    exit_code: ClassVar[int] = 8
    reason: ClassVar[str] = "InternalError"
    default_hint: ClassVar[str] = "run it again with --verbose and report what it prints"
    #: Whether trying the same thing again soon may succeed.
    transient: ClassVar[bool] = False

    def __init__(self, doing: str, why: str, *, hint: str | None = None, details: str = "") -> None:
        self.doing = one_line(doing)
        self.why = one_line(why)
        self.hint = one_line(hint if hint is not None else self.default_hint)
        self.details = details
        super().__init__(f"{self.doing}: {self.why}")

    @property
    def message(self) -> str:
        """The whole error on one line: what failed, on what, why, what to do next."""
        return f"{self.doing}: {self.why}; {self.hint}" if self.hint else f"{self.doing}: {self.why}"


def one_line(text: str) -> str:
    """Fold white space, line ends and control characters, so that a message stays one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class ConfigurationError(BaoBackupError):
    """The configuration, a document or the command line is wrong; nothing was started."""

    exit_code = 1
    reason = "InvalidConfiguration"
    default_hint = "correct it and run again"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one field of a document."""

    #: "spec.backup.target.partSize"
    path: str
    #: "expected a whole number from 5242880 to 5368709120"; never the value that is there
    expected: str


class DocumentError(ConfigurationError):
    """A document is wrong in the fields that `problems` names, all of them at once."""

    reason = "InvalidDocument"
    default_hint = "correct the document"

    def __init__(self, doing: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(doing, "; ".join(f"{problem.path}: {problem.expected}" for problem in problems))


class AnotherManagerError(ConfigurationError):
    """Another manager holds the state folder."""

    reason = "AnotherManager"
    default_hint = "stop the other manager, or give this one a state folder of its own"


class LoginError(BaoBackupError):
    """OpenBao did not accept the login."""

    exit_code = 2
    reason = "LoginFailed"
    default_hint = "check spec.backup.auth: method, mount, role and audience"


class ServerClockError(LoginError):
    """This machine's clock and the server's are too far apart."""

    reason = "ServerClockSkewed"
    default_hint = "set both clocks (NTP): tokens that begin later or ended before are refused"


class LeaderError(BaoBackupError):
    """No active leader was found among the configured addresses."""

    exit_code = 3
    reason = "NoLeader"
    default_hint = "check that the cluster is running and unsealed, and that the addresses are right"
    transient = True


class ServerUntrustedError(LeaderError):
    """The server's certificate does not verify against the configured CA and name."""

    reason = "ServerUntrusted"
    default_hint = "check spec.connection: caFile or caSecretRef, and serverName"
    transient = False


class SnapshotError(BaoBackupError):
    """The snapshot (or restore) call failed."""

    exit_code = 4
    reason = "SnapshotFailed"
    default_hint = "look at the server's log"
    transient = True


class SnapshotDeniedError(SnapshotError):
    """The token may not read the snapshot."""

    reason = "SnapshotDenied"
    default_hint = 'the policy needs: path "sys/storage/raft/snapshot" { capabilities = ["read"] }'
    transient = False


class SnapshotCutOffError(SnapshotError):
    """The connection ended before the stream did."""

    reason = "SnapshotCutOff"
    default_hint = "look for a restart of the server, or for a proxy in between that limits time or size"


class SnapshotStalledError(SnapshotError):
    """The stream gave no byte for too long."""

    reason = "SnapshotStalled"
    default_hint = "look at the server's load and at the network between"


class LeaderLostError(SnapshotError):
    """The server is not the leader any more: it stepped down, was sealed or went away."""

    reason = "LeaderLost"
    default_hint = "look for an election in the server's log"


class StorageError(BaoBackupError):
    """The object store failed."""

    exit_code = 5
    reason = "StorageFailed"
    default_hint = "check spec.backup.target and the store's own log"


class VerificationError(BaoBackupError):
    """What is there is not what it must be."""

    exit_code = 6
    reason = "VerificationFailed"
    default_hint = "do not rely on this backup; take another one"


class ArchiveError(VerificationError):
    """The bytes are not one whole, consistent snapshot archive."""

    reason = "ArchiveCorrupt"
    default_hint = "it was not kept; look for a restart of the server or a proxy in between"
    transient = True


class ArchiveTruncatedError(ArchiveError):
    """The archive ends before its end; what came until there was right."""

    reason = "ArchiveTruncated"


class StoredDiffersError(VerificationError):
    """What is stored is not what was sent, or not what its receipt says."""

    reason = "StoredDiffers"
    default_hint = "do not restore from it; look at who else writes to the bucket, and take another backup"


class ReceiptVersionError(VerificationError):
    """A receipt of a version that this program does not know; it is left as it is."""

    reason = "ReceiptTooNew"
    default_hint = "use the bao-backup that wrote it, or a newer one"


class InterruptedRunError(BaoBackupError):
    """A signal ended the run; nothing half-written is visible."""

    exit_code = 7
    reason = "Interrupted"
    default_hint = "nothing half-written was left visible; run it again"


class DeadlineError(InterruptedRunError):
    """The run's own deadline passed."""

    reason = "DeadlineExceeded"
    default_hint = "raise spec.backup.activeDeadlineSeconds, or look for what is slow"


class InternalError(BaoBackupError):
    """A defect of this program, or of the machine under it."""

    @classmethod
    def unforeseen(cls, doing: str, error: BaseException) -> Self:
        """What no code foresaw. Of its text only what the system says: nobody knows what the rest holds."""
        said = f": {error.strerror.lower()}" if isinstance(error, OSError) and error.strerror else ""
        wrapped = cls(doing, f"{type(error).__name__}{said}")
        wrapped.__cause__ = error
        return wrapped


class RestoreUnknownError(BaoBackupError):
    """The server may or may not have taken the snapshot."""

    exit_code = 9
    reason = "RestoreUnknown"
    default_hint = "look at the server before doing anything else; do not submit again"
