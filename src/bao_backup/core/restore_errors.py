"""The branch of the tree of errors that only a restore needs.

It is drawn with the others at the head of `errors.py`. All of them but RestoreSealedError mean that
the server still has what it had before.
"""

from __future__ import annotations

from bao_backup.core.errors import SnapshotError, VerificationError


class RestoreError(SnapshotError):
    """The restore call failed, or must not be made."""

    reason = "RestoreFailed"
    transient = False


class RestoreDeniedError(RestoreError):
    """The login may not restore."""

    reason = "RestoreDenied"
    default_hint = 'the policy needs: path "sys/storage/raft/snapshot" { capabilities = ["update"] }'


class RestoreRefusedError(RestoreError):
    """The server read the snapshot and does not take it."""

    reason = "RestoreRefused"
    default_hint = "where it is of a cluster with other keys, only force: true (--force) restores it"


class RestoreCutOffError(RestoreError):
    """The connection ended before the server had the whole snapshot: nothing was applied."""

    reason = "RestoreCutOff"
    default_hint = "nothing was applied; look for a restart of the server or a proxy, and restore again"


class SnapshotNewerError(RestoreError):
    """The snapshot is of a newer version than the server that it would go to."""

    reason = "SnapshotNewer"
    default_hint = "restore into a server of that version, or use force: true (--force)"


class SafetyBackupError(RestoreError):
    """What is there could not be backed up first."""

    reason = "SafetyBackupFailed"
    default_hint = "remove the cause, or give up the way back: safetyBackup: false (--no-safety-backup)"


class RestoreSealedError(RestoreError):
    """The server took the snapshot, and is sealed now."""

    reason = "RestoreSealed"
    # Vault goes on counting key shares as before until it is started anew (decision 17).
    default_hint = (
        "start every server again, then unseal it with the unseal keys of the time of the backup; "
        "do not submit again"
    )


class BackupUnexpectedError(VerificationError):
    """The backup is whole, and not the one that was expected: digest, size, cluster or version."""

    reason = "BackupUnexpected"
    default_hint = "nothing was restored; name another backup, or correct what is expected"
