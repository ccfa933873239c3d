"""What the codes in an answer of Google Cloud Storage mean.

Source: Cloud Storage documentation, "HTTP status and error codes" of the XML and of the JSON API. The
JSON API is asked for uploads alone: what is not found there is the bucket. The XML API has codes of
Amazon's, which are not repeated here.
"""

from __future__ import annotations

from bao_backup.adapters.stores import meanings as m
from bao_backup.adapters.stores.code_row import GOOGLE, Row, row, rows
from bao_backup.adapters.stores.meanings import Meaning
from bao_backup.core import storage_errors
from bao_backup.core.storage_errors import StorageDeniedError

_HELD = Meaning(storage_errors.ObjectLockedError, "a hold keeps it", "lift the hold")
_PROJECT = Meaning(
    StorageDeniedError,
    "the bucket's reader pays, and the project that would is missing, not allowed, or without billing",
    "use a bucket that is paid by its owner, or see the project's billing",
)

GCS_CODES: tuple[Row, ...] = (
    Row(GOOGLE, 401, "authError", m.EXPIRED, "expired"),
    *rows(GOOGLE, 401, m.LOGIN, "authError", "required", "AuthenticationRequired"),
    Row(GOOGLE, 403, "AccessDenied", m.LOCKED, "retention policy"),
    Row(GOOGLE, 403, "AccessDenied", _HELD, "hold"),
    Row(GOOGLE, 403, "AccessDenied", m.KEY_DENIED, "Cloud KMS key"),
    Row(GOOGLE, 403, "forbidden", m.KEY_DENIED, "Cloud KMS key"),
    Row(GOOGLE, 403, "forbidden", m.ACCOUNT, "billing account"),
    *rows(GOOGLE, 403, m.DENIED, "forbidden", "insufficientPermissions"),
    row(
        GOOGLE,
        403,
        "accessNotConfigured",
        StorageDeniedError,
        "the project's storage API is switched off",
        "switch it on in the project",
    ),
    *rows(GOOGLE, 403, m.ACCOUNT, "accountDisabled"),
    *rows(GOOGLE, 403, m.LOCKED, "retentionPolicyNotMet", "RetentionPolicyNotMet"),
    *rows(GOOGLE, 403, _HELD, "objectUnderActiveHold", "ObjectUnderActiveHold"),
    *rows(GOOGLE, 403, _PROJECT, "UserProjectAccountProblem", "UserProjectAccessDenied"),
    *rows(GOOGLE, 400, _PROJECT, "UserProjectMissing", "userProjectMissing", "UserProjectInvalid"),
    *rows(GOOGLE, 404, m.NO_BUCKET, "notFound"),
    *rows(GOOGLE, 412, m.CHANGED, "conditionNotMet"),
    row(
        GOOGLE,
        412,
        "orgPolicyConstraintFailed",
        StorageDeniedError,
        "a policy of the organization forbids it",
        "see its constraints",
    ),
    *rows(GOOGLE, 500, m.UNAVAILABLE, "internalError"),
    *rows(GOOGLE, 503, m.UNAVAILABLE, "backendError"),
    *rows(GOOGLE, 408, m.UNAVAILABLE, "uploadBrokenConnection"),
    *rows(GOOGLE, 429, m.THROTTLED, "rateLimitExceeded", "userRateLimitExceeded"),
    *rows(GOOGLE, 403, m.QUOTA, "quotaExceeded"),
    *rows(GOOGLE, 400, m.KEY, "cloudKmsDisabledKey", "cloudKmsBadKey", "cloudKmsKeyLocationNotAllowed"),
    *rows(GOOGLE, 400, m.KEY, "cloudKmsEncryptionKeyNotFound", "cloudKmsDecryptionKeyNotFound"),
    *rows(GOOGLE, 413, m.LARGE, "uploadTooLarge"),
)
