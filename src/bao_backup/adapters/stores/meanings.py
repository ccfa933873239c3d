"""What the signs in an answer of a store mean beside its code, as tables that a test walks in full.

The first that fits wins: the code (`vendor_codes`), a status without a body, the class, the status,
then words of the library's dump.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from obstore import exceptions

from bao_backup.adapters.stores.connecting import NOWHERE
from bao_backup.core import storage_errors
from bao_backup.core.errors import StorageError


class Meaning(NamedTuple):
    """What one sign in an answer means."""

    type: type[StorageError]
    why: str
    hint: str | None = None


_TRUST = "give the store's CA as caCert beside the credentials, and use the name that its certificate has"
_CERTIFICATE = "renew the store's certificate, and look at this machine's clock"
PART_SIZE = "change spec.backup.target.partSize"
_AGAIN = "take the backup again; if it lasts, look at the network in between"

# Denied without a hint: `permissions` says which right is missing.
DENIED = Meaning(storage_errors.StorageDeniedError, "the store does not allow it")
LOGIN = Meaning(storage_errors.StorageLoginError, "the store does not accept the credentials")
EXPIRED = Meaning(storage_errors.StorageExpiredError, "the credentials have expired")
CLOCK = Meaning(storage_errors.StorageClockError, "this machine's clock is wrong")
ELSEWHERE = Meaning(
    storage_errors.StorageRegionError, "the bucket is in another region or at another endpoint"
)
NO_BUCKET = Meaning(storage_errors.BucketNotFoundError, "there is no such bucket")
NO_OBJECT = Meaning(storage_errors.ObjectNotFoundError, "there is no such object")
EXISTS = Meaning(storage_errors.ObjectExistsError, "there is one already")
CHANGED = Meaning(storage_errors.ObjectChangedError, "the object is not the one that was seen before")
UNAVAILABLE = Meaning(storage_errors.StorageUnavailableError, "the store cannot serve now")
THROTTLED = Meaning(storage_errors.StorageThrottledError, "the store asks for fewer requests")
FULL = Meaning(storage_errors.StorageFullError, "the store has no space left")
QUOTA = Meaning(storage_errors.StorageQuotaError, "a quota is reached")
LOCKED = Meaning(storage_errors.ObjectLockedError, "an object lock or a retention policy keeps it")
ACCOUNT = Meaning(
    storage_errors.StorageDeniedError,
    "the account is disabled or has not paid",
    "see the account and its billing",
)
DROPPED = Meaning(storage_errors.StorageUnavailableError, "the store has dropped the upload", _AGAIN)
GARBLED = Meaning(storage_errors.StorageUnavailableError, "what arrived is not what was sent", _AGAIN)
LARGE = Meaning(StorageError, "the object is larger than the store takes", PART_SIZE)
ARCHIVED = Meaning(storage_errors.ObjectArchivedError, "it is in an archive")
KEY = Meaning(storage_errors.StorageKeyError, "the key that encrypts it is switched off or not there")
KEY_DENIED = Meaning(storage_errors.StorageKeyError, "the key that encrypts it may not be used")
_CONFLICT = Meaning(StorageError, "the state of the bucket or the object does not allow it")

#: Classes of the library, and of Python where it raises those. None: the message has to say.
BY_CLASS: Mapping[type[BaseException], Meaning | None] = {
    exceptions.AlreadyExistsError: EXISTS,
    exceptions.PreconditionError: CHANGED,
    exceptions.NotModifiedError: CHANGED,
    exceptions.PermissionDeniedError: DENIED,
    exceptions.UnauthenticatedError: LOGIN,
    exceptions.NotFoundError: NO_OBJECT,
    FileNotFoundError: NO_OBJECT,
    exceptions.NotSupportedError: Meaning(StorageError, "the store cannot do this"),
    exceptions.GenericError: None,
    exceptions.BaseError: None,
    # These are mistakes in how the library is called: a defect of ours.
    exceptions.InvalidPathError: None,
    exceptions.JoinError: None,
    exceptions.UnknownConfigurationKeyError: None,
}

DEFECTS = (
    exceptions.InvalidPathError,
    exceptions.JoinError,
    exceptions.UnknownConfigurationKeyError,
    NotImplementedError,
    TypeError,
    ValueError,
)

BY_STATUS: Mapping[int, Meaning] = {
    301: ELSEWHERE,
    307: ELSEWHERE,
    401: LOGIN,
    403: DENIED,
    404: NO_OBJECT,
    409: _CONFLICT,
    412: CHANGED,
    416: CHANGED,
    408: UNAVAILABLE,
    429: THROTTLED,
    500: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
    507: FULL,
}

#: Of answers without a body, as those to HEAD are: they cannot say more than their status.
WITHOUT_BODY: Mapping[int, Meaning] = {
    400: Meaning(
        StorageError,
        "the store does not take the request, and an answer of this kind cannot say why",
        "look at the region, at this machine's clock, and whether the credentials have expired",
    ),
    403: Meaning(
        storage_errors.StorageDeniedError,
        "the store does not allow it, or does not accept the credentials or the clock: an answer of this"
        " kind cannot say which",
    ),
    404: Meaning(storage_errors.ObjectNotFoundError, "there is no such object, or no such bucket"),
}

OTHER = Meaning(StorageError, "the store refused it or did not answer as it should")

_UNTRUSTED = Meaning(storage_errors.StorageUntrustedError, "its certificate does not verify", _TRUST)

#: Words of the dump, searched in this order: names of errors of Rust, hyper, reqwest and rustls.
BY_WORDS: tuple[tuple[str, Meaning], ...] = (
    (
        "UnknownIssuer",
        Meaning(storage_errors.StorageUntrustedError, "its certificate is of an unknown CA", _TRUST),
    ),
    (
        "NotValidForName",
        Meaning(storage_errors.StorageUntrustedError, "its certificate has another name", _TRUST),
    ),
    (
        "certificate expired",
        Meaning(storage_errors.StorageUntrustedError, "its certificate has expired", _CERTIFICATE),
    ),
    ("InvalidCertificate(", _UNTRUSTED),
    # The proxy that is not there: see `connecting`.
    (
        NOWHERE.removeprefix("http://") + ",",
        Meaning(
            storage_errors.StorageRegionError,
            "the store sends to another host, and no redirect is followed",
            "give the host that the store is really at as spec.backup.target.endpoint",
        ),
    ),
    # A redirect without a place, as Amazon's S3 sends: the library keeps neither status nor body.
    ("BareRedirect", ELSEWHERE),
    (
        "InvalidContentType",
        Meaning(storage_errors.StorageUnreachableError, "it does not speak TLS at this port"),
    ),
    ("dns error", Meaning(storage_errors.StorageUnreachableError, "its name does not resolve")),
    ("ConnectionRefused", Meaning(storage_errors.StorageUnreachableError, "the connection was refused")),
    ("NetworkUnreachable", Meaning(storage_errors.StorageUnreachableError, "there is no route to it")),
    ("HostUnreachable", Meaning(storage_errors.StorageUnreachableError, "there is no route to it")),
    ("TimedOut", Meaning(storage_errors.StorageUnavailableError, "it did not answer in time")),
    ("ConnectionReset", Meaning(storage_errors.StorageUnavailableError, "the connection was reset")),
    ("BrokenPipe", Meaning(storage_errors.StorageUnavailableError, "the connection was cut")),
    ("IncompleteMessage", Meaning(storage_errors.StorageUnavailableError, "the connection was cut")),
    ("UnexpectedEof", Meaning(storage_errors.StorageUnavailableError, "the connection was cut")),
    ("response body error", Meaning(storage_errors.StorageUnavailableError, "the answer was cut")),
    ("error sending request", Meaning(storage_errors.StorageUnreachableError, "no connection to it")),
)
