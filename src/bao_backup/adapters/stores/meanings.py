"""What the signs in an answer of a store mean, as tables that a test walks in full.

The first that fits wins: code, class, status, then words of the library's dump.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from obstore import exceptions

from bao_backup.core import errors
from bao_backup.core.errors import StorageError


class Meaning(NamedTuple):
    """What one sign in an answer means."""

    type: type[StorageError]
    why: str
    hint: str | None = None


_REGION = "correct spec.backup.target: region and endpoint"
_OPTIONS = "correct spec.backup.target.s3"
_CLOCK = "set this machine's clock"
_TRUST = "give the store's CA as caCert beside the credentials, and use the name that its certificate has"

_DENIED = Meaning(errors.StorageDeniedError, "the store does not allow it")
_LOGIN = Meaning(errors.StorageLoginError, "the store does not accept the credentials")
_EXPIRED = Meaning(errors.StorageLoginError, "the credentials have expired")
_ELSEWHERE = Meaning(StorageError, "the bucket is in another region or at another endpoint", _REGION)
_NO_BUCKET = Meaning(errors.BucketNotFoundError, "there is no such bucket")
_NO_OBJECT = Meaning(errors.ObjectNotFoundError, "there is no such object")
EXISTS = Meaning(errors.ObjectExistsError, "there is one already")
_CHANGED = Meaning(errors.ObjectChangedError, "the object is not the one that was seen before")
UNAVAILABLE = Meaning(errors.StorageUnavailableError, "the store cannot serve now")
_THROTTLED = Meaning(errors.StorageUnavailableError, "the store asks for fewer requests")
_FULL = Meaning(errors.StorageFullError, "the store has no space left, or a quota is reached")

#: <Code> of an answer of S3 (Amazon S3 API Reference, "Error responses"; XMinio... are MinIO's own).
OF_S3: Mapping[str, Meaning] = {
    "AccessDenied": _DENIED,
    "AccessForbidden": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "MethodNotAllowed": _DENIED,
    "ObjectLocked": _DENIED,
    "InvalidAccessKeyId": _LOGIN,
    "InvalidClientTokenId": _LOGIN,
    "InvalidIdentityToken": _LOGIN,
    "InvalidToken": _LOGIN,
    "SignatureDoesNotMatch": _LOGIN,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": Meaning(errors.StorageLoginError, "this machine's clock is wrong", _CLOCK),
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": Meaning(errors.BucketNotFoundError, "no bucket can have this name"),
    "NoSuchKey": _NO_OBJECT,
    "NoSuchVersion": _NO_OBJECT,
    "NoSuchUpload": Meaning(errors.StorageUnavailableError, "the store has dropped the upload"),
    "PreconditionFailed": _CHANGED,
    "InvalidRange": _CHANGED,
    "InternalError": UNAVAILABLE,
    "OperationAborted": UNAVAILABLE,
    "RequestTimeout": UNAVAILABLE,
    "ServiceUnavailable": UNAVAILABLE,
    "XMinioServerNotInitialized": UNAVAILABLE,
    "SlowDown": _THROTTLED,
    "SlowDownRead": _THROTTLED,
    "SlowDownWrite": _THROTTLED,
    "TooManyRequests": _THROTTLED,
    "QuotaExceeded": _FULL,
    "XMinioAdminBucketQuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
    "InvalidTag": Meaning(StorageError, "the store does not take these tags", _OPTIONS),
    "InvalidStorageClass": Meaning(StorageError, "the store has no such storage class", _OPTIONS),
    "EntityTooLarge": Meaning(StorageError, "the object is larger than the store takes"),
}

_LEASED = Meaning(errors.StorageDeniedError, "somebody holds a lease on it", "end the lease")
_NETWORK = Meaning(
    errors.StorageDeniedError,
    "the account does not allow it to this identity, or from this network",
    "see the account's firewall, and the identity's role",
)

#: <Code> of an answer of Azure's (Azure Storage REST API Reference, "Blob service error codes").
OF_AZURE: Mapping[str, Meaning] = {
    "AccountIsDisabled": _DENIED,
    "AuthenticationFailed": Meaning(
        errors.StorageLoginError,
        "the store does not accept the credentials, or they have expired",
        "see the key, signature or token, and this machine's clock",
    ),
    "AuthorizationFailure": _NETWORK,
    "AuthorizationPermissionMismatch": _DENIED,
    "AuthorizationProtocolMismatch": _NETWORK,
    "AuthorizationResourceTypeMismatch": _DENIED,
    "AuthorizationServiceMismatch": _DENIED,
    "AuthorizationSourceIPMismatch": _NETWORK,
    "BlobAlreadyExists": EXISTS,
    "BlobArchived": Meaning(StorageError, "it is in the archive tier", "bring it back to another tier first"),
    "BlobBeingRehydrated": Meaning(errors.StorageUnavailableError, "it is being brought back to its tier"),
    "BlobImmutableDueToPolicy": _DENIED,
    "BlobNotFound": _NO_OBJECT,
    "ConditionNotMet": _CHANGED,
    "ContainerBeingDeleted": _NO_BUCKET,
    "ContainerDisabled": _DENIED,
    "ContainerNotFound": _NO_BUCKET,
    "InsufficientAccountPermissions": _DENIED,
    "InvalidAuthenticationInfo": _LOGIN,
    "InvalidBlockList": Meaning(errors.StorageUnavailableError, "the store has dropped the upload"),
    "InvalidResourceName": Meaning(errors.BucketNotFoundError, "no container can have this name"),
    "KeyBasedAuthenticationNotPermitted": Meaning(
        errors.StorageDeniedError,
        "the account allows no keys and no signatures by them",
        "use a workload identity, a managed identity or a client's secret",
    ),
    "LeaseIdMissing": _LEASED,
    "NoAuthenticationInformation": _LOGIN,
    "OperationTimedOut": UNAVAILABLE,
    "PublicAccessNotPermitted": _LOGIN,
    "RequestBodyTooLarge": Meaning(StorageError, "a part is larger than the store takes", "lower partSize"),
    "ResourceNotFound": _NO_OBJECT,
    "ServerBusy": _THROTTLED,
}

#: <Code> and `reason` of an answer of Google's (Cloud Storage documentation, "HTTP status and error codes"
#: of the XML and of the JSON API). The latter is asked for uploads alone: what is not found is the bucket.
OF_GOOGLE: Mapping[str, Meaning] = {
    "AuthenticationRequired": _LOGIN,
    "authError": _LOGIN,
    "required": _LOGIN,
    "accessNotConfigured": Meaning(errors.StorageDeniedError, "the project's storage API is switched off"),
    "accountDisabled": _DENIED,
    "forbidden": _DENIED,
    "insufficientPermissions": _DENIED,
    "objectUnderActiveHold": _DENIED,
    "retentionPolicyNotMet": _DENIED,
    "UserProjectAccountProblem": _DENIED,
    "UserProjectMissing": _DENIED,
    "notFound": _NO_BUCKET,
    "conditionNotMet": _CHANGED,
    "backendError": UNAVAILABLE,
    "internalError": UNAVAILABLE,
    "rateLimitExceeded": _THROTTLED,
    "userRateLimitExceeded": _THROTTLED,
    "quotaExceeded": _FULL,
    "uploadTooLarge": Meaning(StorageError, "the object is larger than the store takes"),
}

#: No code means one thing to one store and another to the next.
BY_CODE: Mapping[str, Meaning] = {**OF_S3, **OF_AZURE, **OF_GOOGLE}

#: Classes of the library, and of Python where it raises those. None: the message has to say.
BY_CLASS: Mapping[type[BaseException], Meaning | None] = {
    exceptions.AlreadyExistsError: EXISTS,
    exceptions.PreconditionError: _CHANGED,
    exceptions.NotModifiedError: _CHANGED,
    exceptions.PermissionDeniedError: _DENIED,
    exceptions.UnauthenticatedError: _LOGIN,
    exceptions.NotFoundError: _NO_OBJECT,
    FileNotFoundError: _NO_OBJECT,
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
    301: _ELSEWHERE,
    307: _ELSEWHERE,
    401: _LOGIN,
    403: _DENIED,
    404: _NO_OBJECT,
    409: EXISTS,
    412: _CHANGED,
    416: _CHANGED,
    408: UNAVAILABLE,
    429: _THROTTLED,
    500: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
    507: _FULL,
}

OTHER = Meaning(StorageError, "the store refused it or did not answer as it should")

_UNTRUSTED = Meaning(errors.StorageUntrustedError, "its certificate does not verify", _TRUST)

#: Words of the dump, searched in this order: names of errors of Rust, hyper, reqwest and rustls.
BY_WORDS: tuple[tuple[str, Meaning], ...] = (
    ("UnknownIssuer", Meaning(errors.StorageUntrustedError, "its certificate is of an unknown CA", _TRUST)),
    ("NotValidForName", Meaning(errors.StorageUntrustedError, "its certificate has another name", _TRUST)),
    ("certificate expired", Meaning(errors.StorageUntrustedError, "its certificate has expired", _CLOCK)),
    ("InvalidCertificate(", _UNTRUSTED),
    ("InvalidContentType", Meaning(errors.StorageUnreachableError, "it does not speak TLS at this port")),
    ("dns error", Meaning(errors.StorageUnreachableError, "its name does not resolve")),
    ("ConnectionRefused", Meaning(errors.StorageUnreachableError, "the connection was refused")),
    ("NetworkUnreachable", Meaning(errors.StorageUnreachableError, "there is no route to it")),
    ("HostUnreachable", Meaning(errors.StorageUnreachableError, "there is no route to it")),
    ("TimedOut", Meaning(errors.StorageUnavailableError, "it did not answer in time")),
    ("ConnectionReset", Meaning(errors.StorageUnavailableError, "the connection was reset")),
    ("BrokenPipe", Meaning(errors.StorageUnavailableError, "the connection was cut")),
    ("IncompleteMessage", Meaning(errors.StorageUnavailableError, "the connection was cut")),
    ("UnexpectedEof", Meaning(errors.StorageUnavailableError, "the connection was cut")),
    ("response body error", Meaning(errors.StorageUnavailableError, "the answer was cut")),
    ("error sending request", Meaning(errors.StorageUnreachableError, "no connection to it")),
)
