"""What the codes in an answer of Azure Blob Storage mean.

Source: Azure Storage REST API Reference, "Blob service error codes".
"""

from __future__ import annotations

from bao_backup.adapters.stores import meanings as m
from bao_backup.adapters.stores.code_row import AZURE, Row, row, rows
from bao_backup.adapters.stores.meanings import Meaning
from bao_backup.core import storage_errors
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageDeniedError, StorageLoginError

_FIREWALL = "see the account's firewall, and the identity's role"
_LEASED = Meaning(StorageDeniedError, "somebody holds a lease on it", "end the lease")
_NETWORK = Meaning(
    StorageDeniedError,
    "the account does not allow it to this identity, or from this network",
    _FIREWALL,
)
_NOT_ACCEPTED = Meaning(
    StorageLoginError,
    "the store does not accept the credentials, or they have expired",
    "see the key, signature or token, and this machine's clock",
)
_TENANT = "correct clientId and tenantId: the account's own tenant"

AZURE_CODES: tuple[Row, ...] = (
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
    *rows(AZURE, 403, _NOT_ACCEPTED, "AuthenticationFailed"),
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
    *rows(AZURE, 401, m.LOGIN, "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
    *rows(AZURE, 409, m.LOGIN, "PublicAccessNotPermitted"),
    *rows(AZURE, 403, m.DENIED, "AuthorizationPermissionMismatch", "AuthorizationResourceTypeMismatch"),
    *rows(AZURE, 403, m.DENIED, "AuthorizationServiceMismatch", "InsufficientAccountPermissions"),
    *rows(AZURE, 403, m.DENIED, "UnauthorizedBlobOverwrite"),
    *rows(AZURE, 403, _NETWORK, "AuthorizationFailure", "AuthorizationSourceIPMismatch"),
    *rows(AZURE, 403, _NETWORK, "AuthorizationProtocolMismatch"),
    *rows(AZURE, 403, m.ACCOUNT, "AccountIsDisabled"),
    row(
        AZURE,
        403,
        "KeyBasedAuthenticationNotPermitted",
        StorageDeniedError,
        "the account allows no keys and no signatures by them",
        "use a workload identity, a managed identity or a client's secret",
    ),
    *rows(AZURE, 403, m.KEY, "KeyVaultEncryptionKeyNotFound"),
    *rows(AZURE, 409, m.LOCKED, "BlobImmutableDueToPolicy"),
    *rows(AZURE, 412, _LEASED, "LeaseIdMissing"),
    *rows(AZURE, 409, m.EXISTS, "BlobAlreadyExists"),
    *rows(AZURE, 409, m.ARCHIVED, "BlobArchived"),
    row(
        AZURE,
        409,
        "BlobBeingRehydrated",
        storage_errors.StorageUnavailableError,
        "it is being brought back from its archive",
        "try again later",
    ),
    *rows(AZURE, 404, m.NO_OBJECT, "BlobNotFound", "ResourceNotFound"),
    *rows(AZURE, 404, m.NO_BUCKET, "ContainerNotFound"),
    *rows(AZURE, 409, m.NO_BUCKET, "ContainerBeingDeleted", "ContainerDisabled"),
    row(
        AZURE,
        400,
        "InvalidResourceName",
        storage_errors.BucketNotFoundError,
        "no container can have this name",
    ),
    *rows(AZURE, 412, m.CHANGED, "ConditionNotMet"),
    *rows(AZURE, 416, m.CHANGED, "InvalidRange"),
    *rows(AZURE, 400, m.DROPPED, "InvalidBlockList"),
    *rows(AZURE, 400, m.GARBLED, "Md5Mismatch"),
    *rows(AZURE, 500, m.UNAVAILABLE, "InternalError", "OperationTimedOut"),
    *rows(AZURE, 503, m.THROTTLED, "ServerBusy"),
    row(
        AZURE,
        413,
        "RequestBodyTooLarge",
        StorageError,
        "a part is larger than the store takes",
        "lower partSize",
    ),
    row(
        AZURE,
        409,
        "BlockCountExceedsLimit",
        StorageError,
        "it has more parts than the store takes",
        m.PART_SIZE,
    ),
    row(
        AZURE,
        409,
        "InvalidBlobType",
        StorageError,
        "a blob of another kind has this name",
        "remove it, or use another pathPrefix",
    ),
    row(
        AZURE, 409, "SnapshotsPresent", StorageError, "it has snapshots of Azure's own", "remove those first"
    ),
)
