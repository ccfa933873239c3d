"""What the codes in an answer of Amazon S3, or of a store that speaks as it does, mean.

Source: Amazon S3 API Reference, "Error responses"; XMinio..., kms:... are MinIO's own.
"""

from __future__ import annotations

from bao_backup.adapters.stores import meanings as m
from bao_backup.adapters.stores.code_row import S3, Row, row, rows
from bao_backup.adapters.stores.meanings import Meaning
from bao_backup.core import storage_errors
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageDeniedError, StorageLoginError

_OPTIONS = "correct spec.backup.target.s3"
_NO_BUCKET_NAMED = Meaning(storage_errors.BucketNotFoundError, "no bucket can have this name")

S3_CODES: tuple[Row, ...] = (
    Row(S3, 403, "AccessDenied", m.LOCKED, "object lock"),
    Row(S3, 400, "InvalidRequest", m.LOCKED, "WORM protected"),
    Row(S3, 403, "AccessDenied", m.KEY_DENIED, "perform: kms:"),
    Row(S3, 403, "AccessDenied", m.EXPIRED, "Request has expired"),
    *rows(S3, 400, m.LOCKED, "ObjectLocked"),
    *rows(S3, 403, m.DENIED, "AccessDenied", "AccessForbidden"),
    *rows(S3, 403, m.ACCOUNT, "AccountProblem", "AllAccessDisabled", "NotSignedUp"),
    row(
        S3,
        405,
        "MethodNotAllowed",
        StorageDeniedError,
        "the store does not allow this of this object",
        "see whether it was deleted",
    ),
    Row(S3, 403, "SignatureDoesNotMatch", m.CLOCK, "Signature expired"),
    Row(S3, 403, "SignatureDoesNotMatch", m.CLOCK, "Signature not yet current"),
    row(
        S3,
        403,
        "SignatureDoesNotMatch",
        StorageLoginError,
        "the secret key is not that of the access key",
        "correct it",
    ),
    row(
        S3,
        403,
        "InvalidAccessKeyId",
        StorageLoginError,
        "the store does not know the access key",
        "correct it, or make another",
    ),
    *rows(S3, 400, m.LOGIN, "InvalidToken", "InvalidIdentityToken"),
    *rows(S3, 403, m.LOGIN, "InvalidClientTokenId", "InvalidSecurity"),
    *rows(S3, 400, m.EXPIRED, "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
    *rows(S3, 403, m.CLOCK, "RequestTimeTooSkewed"),
    Row(S3, 400, "AuthorizationHeaderMalformed", m.ELSEWHERE, "region"),
    *rows(S3, 400, m.LOGIN, "AuthorizationHeaderMalformed"),
    *rows(S3, 400, m.ELSEWHERE, "IllegalLocationConstraintException", "InvalidRegion"),
    *rows(S3, 301, m.ELSEWHERE, "PermanentRedirect"),
    *rows(S3, 307, m.ELSEWHERE, "TemporaryRedirect"),
    *rows(S3, 404, m.NO_BUCKET, "NoSuchBucket"),
    *rows(S3, 400, _NO_BUCKET_NAMED, "InvalidBucketName"),
    *rows(S3, 404, m.NO_OBJECT, "NoSuchKey", "NoSuchVersion"),
    *rows(S3, 404, m.DROPPED, "NoSuchUpload"),
    *rows(S3, 400, m.DROPPED, "InvalidPart", "InvalidPartOrder"),
    *rows(S3, 412, m.CHANGED, "PreconditionFailed"),
    *rows(S3, 416, m.CHANGED, "InvalidRange"),
    *rows(S3, 500, m.UNAVAILABLE, "InternalError"),
    *rows(S3, 409, m.UNAVAILABLE, "OperationAborted", "ConditionalRequestConflict"),
    *rows(S3, 400, m.UNAVAILABLE, "RequestTimeout"),
    *rows(S3, 503, m.UNAVAILABLE, "ServiceUnavailable", "XMinioServerNotInitialized", "XMinioBackendDown"),
    *rows(S3, 400, m.GARBLED, "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"),
    *rows(S3, 503, m.THROTTLED, "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded"),
    *rows(S3, 400, m.THROTTLED, "Throttling", "ThrottlingException"),
    *rows(S3, 429, m.THROTTLED, "TooManyRequests"),
    *rows(S3, 403, m.QUOTA, "QuotaExceeded"),
    *rows(S3, 400, m.QUOTA, "XMinioAdminBucketQuotaExceeded"),
    *rows(S3, 507, m.FULL, "XMinioStorageFull"),
    *rows(S3, 403, m.ARCHIVED, "InvalidObjectState"),
    *rows(S3, 400, m.KEY, "KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"),
    *rows(S3, 400, m.KEY, "KMS.InvalidKeyUsageException", "KMS.KeyUnavailableException", "kms:KeyNotFound"),
    *rows(S3, 403, m.KEY_DENIED, "KMSAccessDenied", "KMS.AccessDeniedException", "kms:NotAuthorized"),
    row(S3, 400, "InvalidTag", StorageError, "the store does not take these tags", _OPTIONS),
    row(S3, 400, "InvalidStorageClass", StorageError, "the store has no such storage class", _OPTIONS),
    row(
        S3,
        400,
        "InvalidEncryptionAlgorithmError",
        StorageError,
        "the store does not encrypt in this way",
        _OPTIONS,
    ),
    row(S3, 501, "NotImplemented", StorageError, "the store cannot do this", _OPTIONS),
    row(S3, 400, "EntityTooSmall", StorageError, "a part is smaller than the store takes", m.PART_SIZE),
    *rows(S3, 400, m.LARGE, "EntityTooLarge"),
)
