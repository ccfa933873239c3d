"""What each code in an answer of a store means: one table, which a test walks in full.

Sources: Amazon S3 API Reference, "Error responses" (XMinio..., kms:... are MinIO's own); Cloud Storage
documentation, "HTTP status and error codes" of the XML and of the JSON API; Azure Storage REST API
Reference, "Blob service error codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bao_backup.adapters.stores import meanings as m
from bao_backup.adapters.stores.meanings import Meaning
from bao_backup.core import errors, storage_errors
from bao_backup.core.errors import StorageDeniedError, StorageError, StorageLoginError

S3, GOOGLE, AZURE = "s3", "gs", "azure"


class Row(NamedTuple):
    """One code of one vendor."""

    #: The scheme of its places: "s3" (also of all who speak as Amazon does), "gs", "azure".
    vendor: str
    #: With which it comes. The code decides, whatever the status is.
    status: int
    #: <Code> of an answer in XML, or `reason` of one of Google's in JSON.
    code: str
    meaning: Meaning
    #: Words of the answer that tell it from others of the same code; such a row stands before those.
    says: str = ""


def _rows(vendor: str, status: int, meaning: Meaning, *codes: str) -> tuple[Row, ...]:
    return tuple(Row(vendor, status, code, meaning) for code in codes)


def _row(
    vendor: str, status: int, code: str, type_: type[StorageError], why: str, hint: str | None = None
) -> Row:
    return Row(vendor, status, code, Meaning(type_, why, hint))


_OPTIONS = "correct spec.backup.target.s3"
_FIREWALL = "see the account's firewall, and the identity's role"
_PART_SIZE = "change spec.backup.target.partSize"
_AGAIN = "take the backup again; if it lasts, look at the network in between"

_LOCKED = Meaning(storage_errors.ObjectLockedError, "an object lock or a retention policy keeps it")
_HELD = Meaning(storage_errors.ObjectLockedError, "a hold keeps it", "lift the hold")
_LEASED = Meaning(StorageDeniedError, "somebody holds a lease on it", "end the lease")
_ACCOUNT = Meaning(
    StorageDeniedError, "the account is disabled or has not paid", "see the account and its billing"
)
_NETWORK = Meaning(
    StorageDeniedError,
    "the account does not allow it to this identity, or from this network",
    _FIREWALL,
)
_DROPPED = Meaning(errors.StorageUnavailableError, "the store has dropped the upload", _AGAIN)
_GARBLED = Meaning(errors.StorageUnavailableError, "what arrived is not what was sent", _AGAIN)
_LARGE = Meaning(StorageError, "the object is larger than the store takes", _PART_SIZE)
_ARCHIVED = Meaning(storage_errors.ObjectArchivedError, "it is in an archive")
_NO_BUCKET_NAMED = Meaning(errors.BucketNotFoundError, "no bucket can have this name")
_KEY = Meaning(storage_errors.StorageKeyError, "the key that encrypts it is switched off or not there")
_KEY_DENIED = Meaning(storage_errors.StorageKeyError, "the key that encrypts it may not be used")
_PROJECT = Meaning(
    StorageDeniedError,
    "the bucket's reader pays, and the project that would is missing, not allowed, or without billing",
    "use a bucket that is paid by its owner, or see the project's billing",
)

_OF_S3: tuple[Row, ...] = (
    Row(S3, 403, "AccessDenied", _LOCKED, "object lock"),
    Row(S3, 400, "InvalidRequest", _LOCKED, "WORM protected"),
    Row(S3, 403, "AccessDenied", _KEY_DENIED, "perform: kms:"),
    Row(S3, 403, "AccessDenied", m.EXPIRED, "Request has expired"),
    *_rows(S3, 400, _LOCKED, "ObjectLocked"),
    *_rows(S3, 403, m.DENIED, "AccessDenied", "AccessForbidden"),
    *_rows(S3, 403, _ACCOUNT, "AccountProblem", "AllAccessDisabled", "NotSignedUp"),
    _row(
        S3,
        405,
        "MethodNotAllowed",
        StorageDeniedError,
        "the store does not allow this of this object",
        "see whether it was deleted",
    ),
    Row(S3, 403, "SignatureDoesNotMatch", m.CLOCK, "Signature expired"),
    Row(S3, 403, "SignatureDoesNotMatch", m.CLOCK, "Signature not yet current"),
    _row(
        S3,
        403,
        "SignatureDoesNotMatch",
        StorageLoginError,
        "the secret key is not that of the access key",
        "correct it",
    ),
    _row(
        S3,
        403,
        "InvalidAccessKeyId",
        StorageLoginError,
        "the store does not know the access key",
        "correct it, or make another",
    ),
    *_rows(S3, 400, m.LOGIN, "InvalidToken", "InvalidIdentityToken"),
    *_rows(S3, 403, m.LOGIN, "InvalidClientTokenId", "InvalidSecurity"),
    *_rows(S3, 400, m.EXPIRED, "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
    *_rows(S3, 403, m.CLOCK, "RequestTimeTooSkewed"),
    Row(S3, 400, "AuthorizationHeaderMalformed", m.ELSEWHERE, "region"),
    *_rows(S3, 400, m.LOGIN, "AuthorizationHeaderMalformed"),
    *_rows(S3, 400, m.ELSEWHERE, "IllegalLocationConstraintException", "InvalidRegion"),
    *_rows(S3, 301, m.ELSEWHERE, "PermanentRedirect"),
    *_rows(S3, 307, m.ELSEWHERE, "TemporaryRedirect"),
    *_rows(S3, 404, m.NO_BUCKET, "NoSuchBucket"),
    *_rows(S3, 400, _NO_BUCKET_NAMED, "InvalidBucketName"),
    *_rows(S3, 404, m.NO_OBJECT, "NoSuchKey", "NoSuchVersion"),
    *_rows(S3, 404, _DROPPED, "NoSuchUpload"),
    *_rows(S3, 400, _DROPPED, "InvalidPart", "InvalidPartOrder"),
    *_rows(S3, 412, m.CHANGED, "PreconditionFailed"),
    *_rows(S3, 416, m.CHANGED, "InvalidRange"),
    *_rows(S3, 500, m.UNAVAILABLE, "InternalError"),
    *_rows(S3, 409, m.UNAVAILABLE, "OperationAborted", "ConditionalRequestConflict"),
    *_rows(S3, 400, m.UNAVAILABLE, "RequestTimeout"),
    *_rows(S3, 503, m.UNAVAILABLE, "ServiceUnavailable", "XMinioServerNotInitialized", "XMinioBackendDown"),
    *_rows(S3, 400, _GARBLED, "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"),
    *_rows(S3, 503, m.THROTTLED, "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded"),
    *_rows(S3, 400, m.THROTTLED, "Throttling", "ThrottlingException"),
    *_rows(S3, 429, m.THROTTLED, "TooManyRequests"),
    *_rows(S3, 403, m.QUOTA, "QuotaExceeded"),
    *_rows(S3, 400, m.QUOTA, "XMinioAdminBucketQuotaExceeded"),
    *_rows(S3, 507, m.FULL, "XMinioStorageFull"),
    *_rows(S3, 403, _ARCHIVED, "InvalidObjectState"),
    *_rows(S3, 400, _KEY, "KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"),
    *_rows(S3, 400, _KEY, "KMS.InvalidKeyUsageException", "KMS.KeyUnavailableException", "kms:KeyNotFound"),
    *_rows(S3, 403, _KEY_DENIED, "KMSAccessDenied", "KMS.AccessDeniedException", "kms:NotAuthorized"),
    _row(S3, 400, "InvalidTag", StorageError, "the store does not take these tags", _OPTIONS),
    _row(S3, 400, "InvalidStorageClass", StorageError, "the store has no such storage class", _OPTIONS),
    _row(
        S3,
        400,
        "InvalidEncryptionAlgorithmError",
        StorageError,
        "the store does not encrypt in this way",
        _OPTIONS,
    ),
    _row(S3, 501, "NotImplemented", StorageError, "the store cannot do this", _OPTIONS),
    _row(S3, 400, "EntityTooSmall", StorageError, "a part is smaller than the store takes", _PART_SIZE),
    *_rows(S3, 400, _LARGE, "EntityTooLarge"),
)

#: Its JSON API is asked for uploads alone: what is not found there is the bucket. Its XML API has
#: codes of Amazon's, which are not repeated here.
_OF_GOOGLE: tuple[Row, ...] = (
    Row(GOOGLE, 401, "authError", m.EXPIRED, "expired"),
    *_rows(GOOGLE, 401, m.LOGIN, "authError", "required", "AuthenticationRequired"),
    Row(GOOGLE, 403, "AccessDenied", _LOCKED, "retention policy"),
    Row(GOOGLE, 403, "AccessDenied", _HELD, "hold"),
    Row(GOOGLE, 403, "AccessDenied", _KEY_DENIED, "Cloud KMS key"),
    Row(GOOGLE, 403, "forbidden", _KEY_DENIED, "Cloud KMS key"),
    Row(GOOGLE, 403, "forbidden", _ACCOUNT, "billing account"),
    *_rows(GOOGLE, 403, m.DENIED, "forbidden", "insufficientPermissions"),
    _row(
        GOOGLE,
        403,
        "accessNotConfigured",
        StorageDeniedError,
        "the project's storage API is switched off",
        "switch it on in the project",
    ),
    *_rows(GOOGLE, 403, _ACCOUNT, "accountDisabled"),
    *_rows(GOOGLE, 403, _LOCKED, "retentionPolicyNotMet", "RetentionPolicyNotMet"),
    *_rows(GOOGLE, 403, _HELD, "objectUnderActiveHold", "ObjectUnderActiveHold"),
    *_rows(GOOGLE, 403, _PROJECT, "UserProjectAccountProblem", "UserProjectAccessDenied"),
    *_rows(GOOGLE, 400, _PROJECT, "UserProjectMissing", "userProjectMissing", "UserProjectInvalid"),
    *_rows(GOOGLE, 404, m.NO_BUCKET, "notFound"),
    *_rows(GOOGLE, 412, m.CHANGED, "conditionNotMet"),
    _row(
        GOOGLE,
        412,
        "orgPolicyConstraintFailed",
        StorageDeniedError,
        "a policy of the organization forbids it",
        "see its constraints",
    ),
    *_rows(GOOGLE, 500, m.UNAVAILABLE, "internalError"),
    *_rows(GOOGLE, 503, m.UNAVAILABLE, "backendError"),
    *_rows(GOOGLE, 408, m.UNAVAILABLE, "uploadBrokenConnection"),
    *_rows(GOOGLE, 429, m.THROTTLED, "rateLimitExceeded", "userRateLimitExceeded"),
    *_rows(GOOGLE, 403, m.QUOTA, "quotaExceeded"),
    *_rows(GOOGLE, 400, _KEY, "cloudKmsDisabledKey", "cloudKmsBadKey", "cloudKmsKeyLocationNotAllowed"),
    *_rows(GOOGLE, 400, _KEY, "cloudKmsEncryptionKeyNotFound", "cloudKmsDecryptionKeyNotFound"),
    *_rows(GOOGLE, 413, _LARGE, "uploadTooLarge"),
)

_NOT_ACCEPTED = Meaning(
    StorageLoginError,
    "the store does not accept the credentials, or they have expired",
    "see the key, signature or token, and this machine's clock",
)
_TENANT = "correct clientId and tenantId: the account's own tenant"
_OF_AZURE: tuple[Row, ...] = (
    Row(AZURE, 403, "AuthenticationFailed", m.EXPIRED, "not valid in the specified time frame"),
    Row(AZURE, 403, "AuthenticationFailed", m.CLOCK, "date header too old"),
    Row(AZURE, 403, "AuthenticationFailed", m.CLOCK, "Date header in the request is incorrect"),
    Row(
        AZURE,
        403,
        "AuthenticationFailed",
        Meaning(StorageLoginError, "the signature (SAS) is not whole", "copy it whole, from sv= to sig="),
        "not well formed",
    ),
    *_rows(AZURE, 403, _NOT_ACCEPTED, "AuthenticationFailed"),
    # Azurite's code for wrong keys and for signatures that have ended.
    Row(AZURE, 403, "AuthorizationFailure", _NOT_ACCEPTED, "failed to authenticate"),
    Row(AZURE, 401, "InvalidAuthenticationInfo", m.EXPIRED, "expired"),
    Row(AZURE, 401, "InvalidAuthenticationInfo", m.EXPIRED, "Lifetime validation failed"),
    Row(
        AZURE,
        401,
        "InvalidAuthenticationInfo",
        Meaning(StorageLoginError, "the token is of another tenant", _TENANT),
        "Issuer validation failed",
    ),
    *_rows(AZURE, 401, m.LOGIN, "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
    *_rows(AZURE, 409, m.LOGIN, "PublicAccessNotPermitted"),
    *_rows(AZURE, 403, m.DENIED, "AuthorizationPermissionMismatch", "AuthorizationResourceTypeMismatch"),
    *_rows(AZURE, 403, m.DENIED, "AuthorizationServiceMismatch", "InsufficientAccountPermissions"),
    *_rows(AZURE, 403, m.DENIED, "UnauthorizedBlobOverwrite"),
    *_rows(AZURE, 403, _NETWORK, "AuthorizationFailure", "AuthorizationSourceIPMismatch"),
    *_rows(AZURE, 403, _NETWORK, "AuthorizationProtocolMismatch"),
    *_rows(AZURE, 403, _ACCOUNT, "AccountIsDisabled"),
    _row(
        AZURE,
        403,
        "KeyBasedAuthenticationNotPermitted",
        StorageDeniedError,
        "the account allows no keys and no signatures by them",
        "use a workload identity, a managed identity or a client's secret",
    ),
    *_rows(AZURE, 403, _KEY, "KeyVaultEncryptionKeyNotFound"),
    *_rows(AZURE, 409, _LOCKED, "BlobImmutableDueToPolicy"),
    *_rows(AZURE, 412, _LEASED, "LeaseIdMissing"),
    *_rows(AZURE, 409, m.EXISTS, "BlobAlreadyExists"),
    *_rows(AZURE, 409, _ARCHIVED, "BlobArchived"),
    _row(
        AZURE,
        409,
        "BlobBeingRehydrated",
        errors.StorageUnavailableError,
        "it is being brought back from its archive",
        "try again later",
    ),
    *_rows(AZURE, 404, m.NO_OBJECT, "BlobNotFound", "ResourceNotFound"),
    *_rows(AZURE, 404, m.NO_BUCKET, "ContainerNotFound"),
    *_rows(AZURE, 409, m.NO_BUCKET, "ContainerBeingDeleted", "ContainerDisabled"),
    _row(AZURE, 400, "InvalidResourceName", errors.BucketNotFoundError, "no container can have this name"),
    *_rows(AZURE, 412, m.CHANGED, "ConditionNotMet"),
    *_rows(AZURE, 416, m.CHANGED, "InvalidRange"),
    *_rows(AZURE, 400, _DROPPED, "InvalidBlockList"),
    *_rows(AZURE, 400, _GARBLED, "Md5Mismatch"),
    *_rows(AZURE, 500, m.UNAVAILABLE, "InternalError", "OperationTimedOut"),
    *_rows(AZURE, 503, m.THROTTLED, "ServerBusy"),
    _row(
        AZURE,
        413,
        "RequestBodyTooLarge",
        StorageError,
        "a part is larger than the store takes",
        "lower partSize",
    ),
    _row(
        AZURE,
        409,
        "BlockCountExceedsLimit",
        StorageError,
        "it has more parts than the store takes",
        _PART_SIZE,
    ),
    _row(
        AZURE,
        409,
        "InvalidBlobType",
        StorageError,
        "a blob of another kind has this name",
        "remove it, or use another pathPrefix",
    ),
    _row(
        AZURE, 409, "SnapshotsPresent", StorageError, "it has snapshots of Azure's own", "remove those first"
    ),
)

ROWS: tuple[Row, ...] = (*_OF_S3, *_OF_GOOGLE, *_OF_AZURE)


def _by_code() -> Mapping[tuple[str, str], tuple[Row, ...]]:
    found: dict[tuple[str, str], tuple[Row, ...]] = {}
    for row in ROWS:
        name = (row.vendor, row.code)
        found[name] = (*found.get(name, ()), row)
    return found


_BY_CODE = _by_code()


def find_row(vendor: str, code: str, text: str) -> Row | None:
    """The first row that fits: of this vendor; for Google's XML API of those, too, that it has from Amazon.

    Args:
        vendor: "s3", "gs" or "azure".
        code: of the answer; empty: it has none.
        text: the answer, or what the library says of it.
    """
    for each in (vendor, S3) if vendor == GOOGLE else (vendor,):
        for row in _BY_CODE.get((each, code), ()):
            if row.says in text:
                return row
    return None
