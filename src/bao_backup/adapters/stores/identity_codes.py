"""What the services that give identities mean when they refuse: one table, which a test walks in full.

Sources: AWS STS API Reference, "AssumeRoleWithWebIdentity" (MinIO's codes are among them); Amazon EKS
Auth API Reference, "AssumeRoleForPodIdentity"; Microsoft identity platform documentation, "Microsoft
Entra authentication and authorization error codes", and RFC 6749, section 5.2; Google Cloud
documentation, "Security Token Service" and "Service Account Credentials API".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from bao_backup.adapters.stores.answer_details import clock_words
from bao_backup.adapters.stores.failures import MAX_DETAILS, Translator
from bao_backup.adapters.stores.meanings import CLOCK, Meaning
from bao_backup.adapters.stores.plain_http import Answer
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import (
    StorageClockError,
    StorageExpiredError,
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
)

STS, POD, ENTRA, GOOGLE = "sts", "pod", "entra", "google"


class Refusal(NamedTuple):
    """What one code of one service means."""

    service: str
    code: str
    meaning: Meaning
    #: Words of the answer that tell it from others of the same code; such a row stands before those.
    says: str = ""


_RENEW = "see why its file is not renewed, and look at both clocks"
LATER = Meaning(StorageUnavailableError, "the token service cannot serve now")
_BUSY = Meaning(StorageThrottledError, "the token service asks for fewer requests")
OLD = Meaning(StorageExpiredError, "the token has expired", _RENEW)

_TRUST_POLICY = "the role's trust policy has to allow this token's issuer, audience and subject"
ROLE = Meaning(StorageLoginError, "the role was not given", _TRUST_POLICY)
_TOKEN = Meaning(StorageLoginError, "the token is not accepted", _TRUST_POLICY)
_ROLE_NAME = Meaning(StorageLoginError, "the role's name is not one", "correct roleArn")
PARAMETER = Meaning(
    StorageLoginError, "the role or the token is not accepted", f"correct roleArn; {_TRUST_POLICY}"
)

_ASSOCIATION = "see the pod identity association of this ServiceAccount, and its role's trust"
POD_ROLE = Meaning(StorageLoginError, "the container has no role, or its token is not accepted", _ASSOCIATION)

_FEDERATION = "see the application's secrets, or its federated credential: issuer, subject and audience"
_IDS = "correct clientId and tenantId"
SECRET = Meaning(StorageLoginError, "the secret or token is not accepted", _FEDERATION)
_OLD_SECRET = Meaning(StorageExpiredError, "the client's secret has expired", "make a new one, and give it")
_TENANT = Meaning(StorageLoginError, "the tenant is not known", "correct tenantId, and AZURE_AUTHORITY_HOST")
_CREDENTIAL = Meaning(
    StorageLoginError, "no federated credential of the application fits this token", _FEDERATION
)

_POOL = "see the pool's provider and condition, and who may take on the service account"
NOT_GIVEN = Meaning(StorageLoginError, "the token was not given", _POOL)
_PROVIDER = Meaning(
    StorageLoginError,
    "the pool or its provider is switched off, deleted, or another",
    "correct the audience in credentials.json, or switch the provider on",
)


def _rows(service: str, meaning: Meaning, *codes: str) -> tuple[Refusal, ...]:
    return tuple(Refusal(service, code, meaning) for code in codes)


REFUSALS: tuple[Refusal, ...] = (
    Refusal(STS, "InvalidIdentityToken", OLD, "expired"),
    *_rows(STS, ROLE, "AccessDenied"),
    *_rows(STS, OLD, "ExpiredToken", "ExpiredTokenException"),
    *_rows(STS, _TOKEN, "IDPRejectedClaim", "InvalidClientTokenId", "InvalidIdentityToken"),
    *_rows(STS, PARAMETER, "InvalidParameterValue"),
    *_rows(
        STS, Meaning(StorageLoginError, "the role's name is not one", "correct roleArn"), "ValidationError"
    ),
    Refusal(
        STS,
        "RegionDisabledException",
        Meaning(
            StorageError, "the token service is switched off in this region", "set s3.stsEndpoint, or region"
        ),
    ),
    Refusal(
        STS,
        "IDPCommunicationError",
        Meaning(StorageUnavailableError, "the token service does not reach the token's issuer"),
    ),
    *_rows(STS, LATER, "InternalError", "InternalFailure", "ServiceUnavailable", "STSNotInitialized"),
    *_rows(STS, _BUSY, "RequestLimitExceeded", "Throttling", "ThrottlingException"),
    *_rows(POD, POD_ROLE, "AccessDeniedException", "InvalidTokenException", "InvalidRequestException"),
    Refusal(
        POD,
        "ResourceNotFoundException",
        Meaning(StorageLoginError, "the pod's ServiceAccount has no association with a role", _ASSOCIATION),
    ),
    *_rows(POD, OLD, "ExpiredTokenException"),
    *_rows(POD, LATER, "InternalServerException", "ServiceUnavailableException"),
    *_rows(POD, _BUSY, "ThrottlingException"),
    *_rows(ENTRA, _OLD_SECRET, "AADSTS7000222"),
    Refusal(
        ENTRA,
        "AADSTS7000215",
        Meaning(
            StorageLoginError, "the client's secret is another", "give the secret's value, and not its id"
        ),
    ),
    *_rows(ENTRA, OLD, "AADSTS700024", "AADSTS50013"),
    *_rows(ENTRA, _CREDENTIAL, "AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213"),
    Refusal(ENTRA, "AADSTS700016", Meaning(StorageLoginError, "the tenant has no such application", _IDS)),
    *_rows(ENTRA, _TENANT, "AADSTS90002", "AADSTS900023", "AADSTS900021"),
    Refusal(
        ENTRA,
        "AADSTS7000112",
        Meaning(StorageLoginError, "the application is switched off", "switch it on in its tenant"),
    ),
    Refusal(
        ENTRA,
        "AADSTS53003",
        Meaning(StorageLoginError, "conditional access forbids it", "see the tenant's rules for it"),
    ),
    *_rows(ENTRA, LATER, "AADSTS90033", "AADSTS50196"),
    *_rows(ENTRA, SECRET, "invalid_client", "invalid_grant"),
    Refusal(
        ENTRA, "unauthorized_client", Meaning(StorageLoginError, "the tenant has no such application", _IDS)
    ),
    Refusal(
        ENTRA, "invalid_request", Meaning(StorageLoginError, "the tenant or application is not known", _IDS)
    ),
    *_rows(ENTRA, Meaning(StorageLoginError, "the tenant has no storage of this kind"), "invalid_resource"),
    *_rows(ENTRA, LATER, "server_error", "temporarily_unavailable"),
    Refusal(GOOGLE, "invalid_grant", OLD, "expired"),
    Refusal(GOOGLE, "invalid_grant", OLD, "stale"),
    Refusal(GOOGLE, "invalid_grant", Meaning(StorageLoginError, "the token is not accepted", _POOL)),
    *_rows(GOOGLE, _PROVIDER, "invalid_target"),
    Refusal(
        GOOGLE,
        "unauthorized_client",
        Meaning(StorageLoginError, "the provider's condition does not hold for this token", _POOL),
    ),
    *_rows(GOOGLE, NOT_GIVEN, "access_denied", "invalid_request", "UNAUTHENTICATED"),
    Refusal(
        GOOGLE,
        "PERMISSION_DENIED",
        Meaning(
            StorageLoginError,
            "the service account may not be taken on",
            "give this identity the role roles/iam.workloadIdentityUser on it",
        ),
    ),
    Refusal(
        GOOGLE,
        "NOT_FOUND",
        Meaning(StorageLoginError, "there is no such service account", "correct credentials.json"),
    ),
    *_rows(GOOGLE, _BUSY, "RESOURCE_EXHAUSTED"),
)


def find_refusal(service: str, codes: Iterable[str], text: str) -> Refusal | None:
    """The first row that fits the first of these codes that has one."""
    for code in codes:
        for row in REFUSALS:
            if (row.service, row.code) == (service, code) and row.says in text:
                return row
    return None


def refused(
    row: Refusal | None, otherwise: Meaning, answer: Answer, code: str, doing: str, translator: Translator
) -> StorageError:
    """Say what a refusal means: a service that is busy, a clock that is wrong, the row, or `otherwise`.

    Args:
        row: what the table says of it; None: nothing.
        otherwise: what it means then.
        answer: the service's.
        code: of the answer, to be shown; empty: none is known.
        doing: what was tried, and with whom.
        translator: keeps secrets out.
    """
    type_, why, hint = row.meaning if row else otherwise
    if row is None and (answer.status == 429 or answer.status >= 500):
        type_, why, hint = _BUSY if answer.status == 429 else LATER
    words = clock_words(answer.text, answer.headers, datetime.now(UTC))
    if issubclass(type_, StorageLoginError) and words:
        type_, why, hint = StorageClockError, words, CLOCK.hint
    said = " ".join(part for part in (str(answer.status), code) if part)
    return type_(doing, f"{why} ({said})", hint=hint, details=translator.redact(answer.text)[:MAX_DETAILS])
