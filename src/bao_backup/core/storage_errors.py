"""Failures of stores that a machine has to tell apart, though each is one of another kind, too.

They are drawn with the others at the head of `errors.py`. Who watches for the kind above
(StorageLoginFailed, say) by its type sees these as well; the reason is the finer one.
"""

from __future__ import annotations

from bao_backup.core.errors import (
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageLoginError,
    StorageUnavailableError,
)


class ObjectLockedError(StorageDeniedError):
    """An object lock, a hold or a retention policy keeps the object as it is."""

    reason = "ObjectLocked"
    default_hint = "nothing is wrong: wait until its retention ends, or lift the hold"


class StorageExpiredError(StorageLoginError):
    """The credentials were good once: a session, a token or a signature that has ended."""

    reason = "StorageLoginExpired"
    default_hint = "give fresh credentials, or see why they are not renewed; look at this machine's clock"


class StorageClockError(StorageLoginError):
    """This machine's clock and the store's are too far apart."""

    reason = "StorageClockSkewed"
    default_hint = "set this machine's clock (NTP)"


class StorageRegionError(StorageError):
    """The bucket is in another region, or at another endpoint."""

    reason = "StorageWrongRegion"
    default_hint = "correct spec.backup.target: region and endpoint"


class StorageKeyError(StorageError):
    """The key that encrypts the objects is missing, switched off, or not ours to use."""

    reason = "StorageKeyUnusable"
    default_hint = "look at the key in the key management service: its state, and who may use it"


class ObjectArchivedError(StorageError):
    """The object is in an archive, from which it has to be brought back first."""

    reason = "ObjectArchived"
    default_hint = "bring it back in the store first, and keep backups out of archives by the bucket's rules"


class StorageThrottledError(StorageUnavailableError):
    """The store asks for fewer requests."""

    reason = "StorageThrottled"
    default_hint = "try again later; if it lasts, spread the schedules (jitterSeconds) or raise the limits"
    transient = True


class StorageQuotaError(StorageFullError):
    """A quota is reached, though there may be space."""

    reason = "StorageQuotaReached"
    default_hint = "raise the quota, or keep fewer backups (spec.backup.retention)"
