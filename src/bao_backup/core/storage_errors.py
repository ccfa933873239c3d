"""Failures of stores: the types below `StorageError`, drawn with the others at the head of `errors.py`.

Where one stands below another (StorageExpiredError below StorageLoginError), who watches for the upper
by its type sees it as well; the reason is the finer one.
"""

from __future__ import annotations

from bao_backup.core.errors import StorageError


class StorageDeniedError(StorageError):
    """The store knows us and does not allow this."""

    reason = "StorageDenied"
    default_hint = "the credentials need to put, get, list and delete objects below the prefix"


class ObjectLockedError(StorageDeniedError):
    """An object lock, a hold or a retention policy keeps the object as it is."""

    reason = "ObjectLocked"
    default_hint = "nothing is wrong: wait until its retention ends, or lift the hold"


class StorageLoginError(StorageError):
    """The store does not accept the credentials."""

    reason = "StorageLoginFailed"
    default_hint = "check the credentials: wrong, expired, or for another account"


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


class BucketNotFoundError(StorageError):
    """There is no such bucket, container or folder."""

    reason = "BucketNotFound"
    default_hint = "create it, or correct spec.backup.target.bucket; bao-backup never creates buckets"


class ObjectNotFoundError(StorageError):
    """There is no object of that key."""

    reason = "ObjectNotFound"
    default_hint = "bao-backup list shows what is there"


class ObjectExistsError(StorageError):
    """A create-only write found an object of that key."""

    reason = "ObjectExists"
    default_hint = "nothing was overwritten"


class ObjectChangedError(StorageError):
    """The object is not the one that was seen before."""

    reason = "ObjectChanged"
    default_hint = "somebody else writes to this prefix; run it again"


class StorageUnreachableError(StorageError):
    """No connection to the store: its name, a route or its port."""

    reason = "StorageUnreachable"
    default_hint = "check spec.backup.target.endpoint, DNS and network policies"
    transient = True


class StorageUntrustedError(StorageError):
    """The store's certificate does not verify."""

    reason = "StorageUntrusted"
    default_hint = "give its CA as caCert beside the credentials"


class StorageUnavailableError(StorageError):
    """The store answers that it cannot now: 5xx, a time-out; or too many requests."""

    reason = "StorageUnavailable"
    default_hint = "try again later; if it lasts, ask the store's operator"
    transient = True


class StorageThrottledError(StorageUnavailableError):
    """The store asks for fewer requests."""

    reason = "StorageThrottled"
    default_hint = "try again later; if it lasts, spread the schedules (jitterSeconds) or raise the limits"
    transient = True


class StorageFullError(StorageError):
    """No space left, or a quota reached."""

    reason = "StorageFull"
    default_hint = "free or add space, or keep fewer backups (spec.backup.retention)"


class StorageQuotaError(StorageFullError):
    """A quota is reached, though there may be space."""

    reason = "StorageQuotaReached"
    default_hint = "raise the quota, or keep fewer backups (spec.backup.retention)"


class StorageKeyError(StorageError):
    """The key that encrypts the objects is missing, switched off, or not ours to use."""

    reason = "StorageKeyUnusable"
    default_hint = "look at the key in the key management service: its state, and who may use it"


class ObjectArchivedError(StorageError):
    """The object is in an archive, from which it has to be brought back first."""

    reason = "ObjectArchived"
    default_hint = "bring it back in the store first, and keep backups out of archives by the bucket's rules"
