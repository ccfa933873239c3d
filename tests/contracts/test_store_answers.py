"""Each answer by which a store refuses, given to the real adapter, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from tests.adapters.scripted import ScriptedServer
from tests.contracts.answering import (
    ACTS,
    ECHO,
    SECRET,
    SECRETS,
    SESSION,
    SIGNATURE,
    Answering,
    Reply,
    answering,
    open_vendor,
)
from tests.contracts.asking import KEY
from tests.harness.certificates import Authority

from bao_backup.adapters.stores.code_row import Row
from bao_backup.adapters.stores.permissions import NEEDED
from bao_backup.adapters.stores.vendor_codes import ROWS, find_row
from bao_backup.core import storage_errors
from bao_backup.core.errors import BaoBackupError, StorageError
from bao_backup.core.storage_errors import ObjectExistsError, ObjectNotFoundError

VENDORS = ("s3", "gs", "azure")
#: Those which put in XML what Google's JSON API says as a `reason`.
JSON_CODE = re.compile(r"[a-z][A-Za-z]+")
#: In an answer's body: its moment, so many seconds after the test's.
MOMENT = re.compile(r"@(-?\d+)@")


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    """One server for all of them."""
    with answering() as started:
        yield started


def acts_of(vendor: str) -> list[str]:
    """What asks the store: only at S3 is there anything to sweep."""
    return [name for name in ACTS if name != "sweep" or vendor == "s3"]


def failure(vendor: str, act: str, server: Answering) -> BaoBackupError | None:
    """What the adapter raises; None: nothing."""
    try:
        ACTS[act][1](open_vendor(vendor, server.url))
    except BaoBackupError as error:
        return error
    return None


def check_form(error: BaoBackupError, vendor: str, act: str) -> None:
    """One line with what was tried, on what, why and what to do; nothing of the library, nothing secret."""
    verb, place = ACTS[act][0], {"azure": "azure://account"}.get(vendor, f"{vendor}:/")
    tried = {"create": {"create", "upload"}}.get(act, {verb})
    assert any(error.doing.startswith(f"{each} {place}/bucket") for each in tried), error.doing
    assert KEY in error.doing or act in ("list", "sweep")
    assert error.exit_code == 5
    assert error.reason
    assert error.hint
    assert error.message == f"{error.doing}: {error.why}; {error.hint}"
    assert len(error.message.splitlines()) == 1
    assert len(error.message) < 500
    for word in ("Debug source", "Error performing", "RetryError", "http://", "?", "<"):
        assert word not in error.message
    said = f"{error!r} {error.message} {error.details} {error.__cause__!r}"
    for secret in (SECRET, SESSION, SIGNATURE, "BEGIN PRIVATE KEY", "eyJ"):
        assert secret not in said


# --- the table, row by row ---------------------------------------------------------------------------


def reply_of(row: Row) -> Reply:
    """As the vendor would say it; with secrets where somebody may be careless."""
    message = f"Words. {row.says} {SECRETS[row.vendor]} {ECHO}"
    if row.vendor == "gs" and JSON_CODE.fullmatch(row.code):
        reasons = f'[{{"message": "{message}", "domain": "global", "reason": "{row.code}"}}]'
        return Reply(
            row.status, f'{{"error": {{"code": {row.status}, "message": "{message}", "errors": {reasons}}}}}'
        )
    body = f"<Error><Code>{row.code}</Code><Message>{message}</Message></Error>"
    return Reply(row.status, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}')


def acts_of_row(row: Row) -> list[str]:
    """By which requests such an answer can be got: Google's JSON API is asked for uploads alone."""
    if row.vendor == "gs" and JSON_CODE.fullmatch(row.code):
        return ["put", "put in parts", "create"]
    return acts_of(row.vendor)


CASES = [(row, act) for row in ROWS for act in acts_of_row(row)]


@pytest.mark.parametrize(
    ("row", "act"), CASES, ids=[f"{row.vendor}-{row.code}-{row.says}-{act}" for row, act in CASES]
)
def test_each_code(server: Answering, row: Row, act: str) -> None:
    """Each code of each vendor, at each request, is the error that the table says."""
    server.reply = reply_of(row)
    error = failure(row.vendor, act, server)
    if act == "delete" and row.meaning.type is ObjectNotFoundError:
        assert error is None  # that there is nothing to delete is no failure
        return
    assert error is not None
    check_form(error, row.vendor, act)
    if act == "head":
        return  # it has no body, see below
    if 300 <= row.status < 400 and act != "sweep":
        assert type(error) is storage_errors.StorageRegionError  # of which the library keeps no more
        return
    if act == "create" and row.meaning.type is storage_errors.ObjectChangedError and row.status == 412:
        assert type(error) is ObjectExistsError
        return
    assert type(error) is row.meaning.type
    assert error.why.startswith(row.meaning.why)
    assert error.why.endswith(f"({row.status} {row.code})")
    assert row.meaning.hint in (None, error.hint)


def test_each_row_can_be_reached() -> None:
    """No row stands behind another that always fits before it, and none is there twice."""
    for row in ROWS:
        assert find_row(row.vendor, row.code, f"Words. {row.says}") is row
    assert len({(row.vendor, row.code, row.says) for row in ROWS}) == len(ROWS)
    assert {row for row, _ in CASES} == set(ROWS)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_code_of_another_vendor(vendor: str) -> None:
    """A vendor's own codes mean nothing where another answers; Google shares those of Amazon's."""
    own = {row.code for row in ROWS if row.vendor in {vendor, "s3" if vendor == "gs" else vendor}}
    for row in ROWS:
        assert (find_row(vendor, row.code, row.says) is None) == (row.code not in own)


# --- what has to be told apart, as the vendors say it ------------------------------------------------


class Told(NamedTuple):
    """What a vendor answers, and what a person has to read in the error."""

    vendor: str
    reply: Reply
    reason: str
    words: tuple[str, ...]
    act: str = "put"


def s3(status: int, code: str, message: str = "", more: str = "", **headers: str) -> Reply:
    """As Amazon's S3."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    text = (
        f"<Error><Code>{code}</Code><Message>{message}</Message>{more}<RequestId>4442587FB7D0A2F9</RequestId>"
    )
    return Reply(status, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}</Error>', sent)


def gs(status: int, reason: str, message: str) -> Reply:
    """As Google's JSON API."""
    error = f'{{"message": "{message}", "domain": "global", "reason": "{reason}"}}'
    return Reply(status, f'{{"error": {{"code": {status}, "message": "{message}", "errors": [{error}]}}}}')


def azure(status: int, code: str, message: str, detail: str = "", after: timedelta = timedelta()) -> Reply:
    """As Azure Blob Storage, whose clock is `after` ours."""
    said = f"{message}\nRequestId:6a8fbfd4-501e-0012\nTime:@{after.total_seconds():.0f}@"
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    head = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
    text = f"{head}<Message>{said}</Message>{more}</Error>"
    return Reply(status, text, {"x-ms-error-code": code})


def moment(match: re.Match[str]) -> str:
    """As Azure writes it."""
    return f"{datetime.now(UTC) + timedelta(seconds=int(match[1])):%Y-%m-%dT%H:%M:%S.%f}8Z"


FAILED = "Server failed to authenticate the request. Make sure the value of Authorization header is formed"
NO_IDENTITY = (
    "arn:aws:iam::123456789012:user/backup is not authorized to perform: s3:PutObject on resource: x"
)
TOLD = [
    # No such bucket.
    Told(
        "s3",
        s3(404, "NoSuchBucket", "The specified bucket does not exist"),
        "BucketNotFound",
        ("no such bucket", "create it"),
    ),
    Told(
        "gs",
        gs(404, "notFound", "The specified bucket does not exist."),
        "BucketNotFound",
        ("no such bucket",),
    ),
    Told("gs", s3(404, "NoSuchBucket"), "BucketNotFound", ("no such bucket",), "list"),
    Told(
        "azure",
        azure(404, "ContainerNotFound", "The specified container does not exist."),
        "BucketNotFound",
        ("no such bucket",),
    ),
    # Wrong keys.
    Told("s3", s3(403, "InvalidAccessKeyId"), "StorageLoginFailed", ("does not know the access key",)),
    Told(
        "s3",
        s3(403, "SignatureDoesNotMatch"),
        "StorageLoginFailed",
        ("the secret key is not that of the access key",),
    ),
    Told(
        "gs",
        gs(401, "authError", "Invalid Credentials"),
        "StorageLoginFailed",
        ("does not accept the credentials",),
    ),
    Told(
        "azure",
        azure(
            403,
            "AuthenticationFailed",
            FAILED,
            "The MAC signature found in the HTTP request 'c2lnbmF0dXJl' is not",
        ),
        "StorageLoginFailed",
        ("does not accept the credentials",),
    ),
    # Expired token.
    Told(
        "s3",
        s3(400, "ExpiredToken", "The provided token has expired."),
        "StorageLoginExpired",
        ("have expired", "fresh"),
    ),
    Told(
        "gs",
        gs(401, "authError", "Invalid Credentials: token expired"),
        "StorageLoginExpired",
        ("have expired",),
    ),
    Told(
        "azure",
        azure(
            403,
            "AuthenticationFailed",
            FAILED,
            "Signature not valid in the specified time frame: Start [x] - Expiry [y]",
        ),
        "StorageLoginExpired",
        ("have expired",),
    ),
    Told(
        "azure",
        azure(401, "InvalidAuthenticationInfo", FAILED, "Lifetime validation failed. The token is expired."),
        "StorageLoginExpired",
        ("have expired",),
    ),
    # Denied action: which one.
    Told(
        "s3",
        s3(403, "AccessDenied", f"User: {NO_IDENTITY}"),
        "StorageDenied",
        ("allow these credentials s3:PutObject",),
    ),
    Told("s3", s3(403, "AccessDenied", "Access Denied"), "StorageDenied", ("s3:GetObject",), "get"),
    Told("s3", s3(403, "AccessDenied", "Access Denied"), "StorageDenied", ("s3:ListBucket",), "list"),
    Told("s3", s3(403, "AccessDenied", "Access Denied"), "StorageDenied", ("s3:DeleteObject",), "delete"),
    Told(
        "s3", s3(403, "AccessDenied", "Access Denied"), "StorageDenied", ("s3:AbortMultipartUpload",), "sweep"
    ),
    Told(
        "s3",
        s3(403, "AccessDenied", "User: x is not authorized to perform: s3:PutObjectTagging on resource: y"),
        "StorageDenied",
        ("s3:PutObjectTagging",),
    ),
    Told(
        "gs",
        gs(
            403,
            "forbidden",
            "a@b.iam.gserviceaccount.com does not have storage.objects.create access to the object.",
        ),
        "StorageDenied",
        ("allow these credentials storage.objects.create",),
    ),
    Told(
        "gs",
        s3(403, "AccessDenied", "Access denied."),
        "StorageDenied",
        ("storage.objects.delete",),
        "delete",
    ),
    Told(
        "azure",
        azure(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation.",
        ),
        "StorageDenied",
        ("blobs/delete", "in a SAS it is d"),
        "delete",
    ),
    Told(
        "azure",
        azure(403, "AuthorizationFailure", "This request is not authorized"),
        "StorageDenied",
        ("network", "firewall"),
    ),
    # Wrong region.
    Told(
        "s3",
        s3(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            "<Region>eu-west-1</Region>",
        ),
        "StorageWrongRegion",
        ("region", "eu-west-1"),
    ),
    Told(
        "s3",
        s3(
            400,
            "IllegalLocationConstraintException",
            "The eu-central-1 location constraint is incompatible for the",
        ),
        "StorageWrongRegion",
        ("eu-central-1",),
    ),
    Told(
        "s3",
        s3(301, "PermanentRedirect", "", x_amz_bucket_region="eu-west-3"),
        "StorageWrongRegion",
        ("eu-west-3",),
        "sweep",
    ),
    Told(
        "s3",
        s3(301, "PermanentRedirect", "", "<Endpoint>bucket.s3.eu-west-3.amazonaws.com</Endpoint>"),
        "StorageWrongRegion",
        ("bucket.s3.eu-west-3.amazonaws.com",),
        "sweep",
    ),
    # Clock skew.
    Told(
        "s3",
        s3(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "<RequestTime>20261126T020000Z</RequestTime><ServerTime>2026-11-26T02:20:00Z</ServerTime>",
        ),
        "StorageClockSkewed",
        ("20 min behind the store's", "NTP"),
    ),
    Told("s3", s3(403, "RequestTimeTooSkewed"), "StorageClockSkewed", ("clock is wrong",)),
    Told(
        "azure",
        azure(
            403,
            "AuthenticationFailed",
            FAILED,
            "Request date header too old: 'x'",
            timedelta(minutes=31),
        ),
        "StorageClockSkewed",
        ("31 min behind the store's",),
    ),
    Told(
        "azure",
        azure(403, "AuthenticationFailed", FAILED, "", timedelta(hours=-3)),
        "StorageClockSkewed",
        ("3.0 h ahead of the store's",),
        "get",
    ),
    Told(
        "s3",
        s3(403, "InvalidAccessKeyId", date="Tue, 02 Jan 2001 00:00:00 GMT"),
        "StorageClockSkewed",
        ("days ahead of the store's",),
        "sweep",
    ),
    Told(
        "gs",
        gs(401, "authError", "Invalid JWT")._replace(headers={"Date": "Tue, 02 Jan 2001 00:00:00 GMT"}),
        "StorageClockSkewed",
        ("days ahead of the store's",),
    ),
    # Throttled.
    Told(
        "s3",
        s3(503, "SlowDown", "Please reduce your request rate."),
        "StorageThrottled",
        ("fewer requests", "later"),
    ),
    Told("s3", Reply(429), "StorageThrottled", ("fewer requests",)),
    Told(
        "gs",
        gs(429, "rateLimitExceeded", "The rate limit is exceeded"),
        "StorageThrottled",
        ("fewer requests",),
    ),
    Told(
        "azure",
        azure(503, "ServerBusy", "Operations per second is over the account limit."),
        "StorageThrottled",
        ("fewer",),
    ),
    # Quota.
    Told("s3", s3(400, "XMinioAdminBucketQuotaExceeded"), "StorageQuotaReached", ("quota",)),
    Told("s3", s3(507, "XMinioStorageFull"), "StorageFull", ("no space left",)),
    Told("gs", gs(403, "quotaExceeded", "The quota is exceeded"), "StorageQuotaReached", ("quota",)),
    # Precondition.
    Told(
        "s3",
        s3(412, "PreconditionFailed"),
        "ObjectExists",
        ("there is one already", "nothing was overwritten"),
        "create",
    ),
    Told(
        "gs",
        gs(412, "conditionNotMet", "Precondition Failed"),
        "ObjectExists",
        ("there is one already",),
        "create",
    ),
    Told(
        "azure",
        azure(409, "BlobAlreadyExists", "The specified blob already exists."),
        "ObjectExists",
        ("already",),
        "create",
    ),
    Told("s3", s3(412, "PreconditionFailed"), "ObjectChanged", ("not the one that was seen",), "get"),
    Told("gs", s3(412, "PreconditionFailed"), "ObjectChanged", ("not the one that was seen",), "get"),
    Told(
        "azure",
        azure(412, "ConditionNotMet", "The condition"),
        "ObjectChanged",
        ("not the one that was seen",),
        "get",
    ),
    # A conflict that is none of names, though the library takes it for one.
    Told("s3", s3(409, "OperationAborted"), "StorageUnavailable", ("cannot serve now",)),
    Told(
        "azure",
        azure(409, "ContainerBeingDeleted", "The container is being deleted."),
        "BucketNotFound",
        ("bucket",),
        "create",
    ),
    # Locked, archived, and keys that are gone.
    Told(
        "s3",
        s3(403, "AccessDenied", "Access Denied because object protected by object lock."),
        "ObjectLocked",
        ("lock",),
        "delete",
    ),
    Told(
        "s3",
        s3(400, "InvalidRequest", "Object is WORM protected and cannot be overwritten"),
        "ObjectLocked",
        ("lock",),
        "delete",
    ),
    Told(
        "gs",
        s3(403, "AccessDenied", "Object is subject to bucket's retention policy"),
        "ObjectLocked",
        ("retention",),
        "delete",
    ),
    Told(
        "azure", azure(409, "BlobImmutableDueToPolicy", "immutable"), "ObjectLocked", ("retention",), "delete"
    ),
    Told(
        "s3",
        s3(403, "InvalidObjectState", "not valid for the object's storage class"),
        "ObjectArchived",
        ("bring it back",),
        "get",
    ),
    Told("azure", azure(409, "BlobArchived", "archived"), "ObjectArchived", ("bring it back",), "get"),
    Told(
        "s3",
        s3(400, "KMS.DisabledException", "arn:aws:kms:x is disabled."),
        "StorageKeyUnusable",
        ("switched off",),
    ),
    Told(
        "s3",
        s3(403, "AccessDenied", "User: x is not authorized to perform: kms:GenerateDataKey on resource: y"),
        "StorageKeyUnusable",
        ("allow kms:GenerateDataKey on the key",),
    ),
    Told(
        "gs",
        gs(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure"),
        "StorageKeyUnusable",
        ("key",),
    ),
    # Billing.
    Told(
        "gs",
        gs(403, "forbidden", "The billing account for the owning project is disabled"),
        "StorageDenied",
        ("billing",),
    ),
    Told(
        "gs", gs(400, "UserProjectMissing", "Bucket is a requester pays bucket"), "StorageDenied", ("pays",)
    ),
    Told(
        "azure",
        azure(403, "AccountIsDisabled", "The account is disabled."),
        "StorageDenied",
        ("account", "billing"),
    ),
]


@pytest.mark.parametrize(
    "told", TOLD, ids=[f"{told.vendor}-{told.reason}-{told.act}-{number}" for number, told in enumerate(TOLD)]
)
def test_told_apart(server: Answering, told: Told) -> None:
    """What vendors say in their own words has its reason, and the words that a person needs."""
    server.reply = told.reply._replace(body=MOMENT.sub(moment, told.reply.body))
    error = failure(told.vendor, told.act, server)
    assert error is not None
    check_form(error, told.vendor, told.act)
    assert error.reason == told.reason
    for words in told.words:
        assert words in error.message
    assert "c2lnbmF0dXJl" not in error.details


def test_nothing_of_the_issue_is_left_out() -> None:
    """Each kind of failure is told apart for each vendor that has it."""
    told = {(each.vendor, each.reason) for each in TOLD}
    of_all = [
        "BucketNotFound",
        "StorageLoginFailed",
        "StorageLoginExpired",
        "StorageDenied",
        "StorageThrottled",
    ]
    of_all += ["StorageClockSkewed", "ObjectExists", "ObjectChanged", "ObjectLocked"]
    assert {(vendor, reason) for vendor in VENDORS for reason in of_all} <= told
    # Google and Azure have no regions in their addresses; no code of Azure's for a quota is known.
    assert {
        ("s3", "StorageWrongRegion"),
        ("s3", "StorageQuotaReached"),
        ("gs", "StorageQuotaReached"),
    } <= told


@pytest.mark.parametrize(("vendor", "act"), [(vendor, act) for vendor in VENDORS for act in acts_of(vendor)])
def test_denied_names_the_permission(server: Answering, vendor: str, act: str) -> None:
    """Whoever is denied something reads which permission is missing, also where the store does not say it."""
    server.reply = Reply(403)
    error = failure(vendor, act, server)
    assert type(error) is storage_errors.StorageDeniedError
    check_form(error, vendor, act)
    assert error.hint == f"allow these credentials {NEEDED[vendor, error.doing.partition(' ' + vendor)[0]]}"


# --- answers without a body --------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("status", "type_", "words"),
    [
        (400, StorageError, "look at the region, at this machine's clock"),
        (403, storage_errors.StorageDeniedError, "or does not accept the credentials or the clock"),
        (404, ObjectNotFoundError, "there is no such object, or no such bucket"),
        (401, storage_errors.StorageLoginError, "does not accept the credentials"),
        (409, StorageError, "the state of the bucket or the object"),
        (429, storage_errors.StorageThrottledError, "fewer requests"),
        (503, storage_errors.StorageUnavailableError, "cannot serve now"),
    ],
)
def test_head(server: Answering, vendor: str, status: int, type_: type[StorageError], words: str) -> None:
    """An answer to HEAD cannot say why: the error says what it may be."""
    server.reply = Reply(status, "<Error><Code>NoSuchBucket</Code></Error>")
    error = failure(vendor, "head", server)
    assert type(error) is type_
    check_form(error, vendor, "head")
    assert words in error.message


# --- where an upload fails ---------------------------------------------------------------------------

BEGUN = Reply(
    200,
    '<?xml version="1.0"?><InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Bucket>bucket</Bucket><Key>key</Key><UploadId>upload-1</UploadId></InitiateMultipartUploadResult>",
)


@pytest.mark.parametrize("stage", ["part", "complete"])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (s3(403, "AccessDenied", "Access Denied"), "StorageDenied"),
        (s3(400, "ExpiredToken"), "StorageLoginExpired"),
        (s3(503, "SlowDown"), "StorageThrottled"),
        (s3(507, "XMinioStorageFull"), "StorageFull"),
        (s3(400, "KMS.DisabledException"), "StorageKeyUnusable"),
        (
            s3(200, "InternalError", "We encountered an internal error. Please try again."),
            "StorageUnavailable",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.status}",
)
def test_in_an_upload(server: Answering, stage: str, reply: Reply, reason: str) -> None:
    """What fails after an upload was begun is told in the same words, and the upload is aborted."""
    if (stage, reply.status) == ("part", 200):
        return  # only the last request is answered before it is done

    def first(method: str, path: str) -> Reply | None:
        if method == "POST" and "uploads" in path:
            return BEGUN
        if method == "DELETE":
            return Reply(204)
        is_part = method == "PUT" and "partNumber=" in path
        return Reply(200, "", {"ETag": '"part"'}) if is_part and stage == "complete" else None

    server.reply, server.first, server.asked = reply, first, []
    try:
        error = failure("s3", "put in parts", server)
    finally:
        server.first = lambda _method, _path: None
    assert error is not None
    check_form(error, "s3", "put in parts")
    assert error.reason == reason
    assert any(asked.startswith("DELETE ") and "uploadId=upload-1" in asked for asked in server.asked)


# --- no answer at all --------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "act"), [(vendor, act) for vendor in VENDORS for act in acts_of(vendor)])
def test_unreachable(vendor: str, act: str) -> None:
    """A port on which nobody listens."""
    with pytest.raises(storage_errors.StorageUnreachableError) as raised:
        ACTS[act][1](open_vendor(vendor, "http://127.0.0.1:9"))
    check_form(raised.value, vendor, act)
    assert raised.value.transient


@pytest.mark.parametrize(("vendor", "act"), [(vendor, act) for vendor in VENDORS for act in acts_of(vendor)])
def test_untrusted(authority: Authority, vendor: str, act: str) -> None:
    """A certificate of a CA that nobody named."""
    with ScriptedServer({}, authority.server_context(f"store-{vendor}")) as server:
        with pytest.raises(storage_errors.StorageUntrustedError) as raised:
            ACTS[act][1](open_vendor(vendor, server.url))
        assert server.seen == []
    check_form(raised.value, vendor, act)
    assert "caCert" in raised.value.hint
