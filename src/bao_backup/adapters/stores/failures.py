"""What an object store's library says, translated into `core.errors`: here and nowhere else.

The library (obstore) tells many faults apart only in its message: the HTTP status, the <Code> of
the store's answer, and the names of Rust's errors in the dump below it. The tables say what each
means; the first that fits wins: code, class, status, then words of the dump.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from obstore import exceptions

from bao_backup.core import errors
from bao_backup.core.errors import BaoBackupError, InternalError, StorageError

MAX_DETAILS = 4000


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
_EXISTS = Meaning(errors.ObjectExistsError, "there is one already")
_CHANGED = Meaning(errors.ObjectChangedError, "the object is not the one that was seen before")
_UNAVAILABLE = Meaning(errors.StorageUnavailableError, "the store cannot serve now")
_THROTTLED = Meaning(errors.StorageUnavailableError, "the store asks for fewer requests")
_FULL = Meaning(errors.StorageFullError, "the store has no space left, or a quota is reached")

#: <Code> of an S3 answer (Amazon S3 API Reference, "Error responses"; XMinio... are MinIO's own).
BY_CODE: Mapping[str, Meaning] = {
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
    "InternalError": _UNAVAILABLE,
    "OperationAborted": _UNAVAILABLE,
    "RequestTimeout": _UNAVAILABLE,
    "ServiceUnavailable": _UNAVAILABLE,
    "XMinioServerNotInitialized": _UNAVAILABLE,
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

#: Classes of the library, and of Python where it raises those. None: the message has to say.
BY_CLASS: Mapping[type[BaseException], Meaning | None] = {
    exceptions.AlreadyExistsError: _EXISTS,
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
    409: _EXISTS,
    412: _CHANGED,
    416: _CHANGED,
    408: _UNAVAILABLE,
    429: _THROTTLED,
    500: _UNAVAILABLE,
    502: _UNAVAILABLE,
    503: _UNAVAILABLE,
    504: _UNAVAILABLE,
    507: _FULL,
}

_OTHER = Meaning(StorageError, "the store refused it or did not answer as it should")

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

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]+)</Code>")
#: What a signed URL or an answer about signatures holds that nobody else should see.
_SECRET_QUERY = re.compile(r"(?i)\b(x-amz-(?:signature|credential|security-token)|sig|token)=[^&\s\"'>]*")
_SECRET_ELEMENT = re.compile(
    r"<(AWSAccessKeyId|StringToSign|StringToSignBytes|SignatureProvided|CanonicalRequest"
    r"|CanonicalRequestBytes|WebIdentityToken|SecretAccessKey|SessionToken)>.*?</\1>",
    re.DOTALL,
)


class Translator:
    """Turns what the library raises into our errors, and keeps secrets out of them."""

    def __init__(self, location: str, secrets: tuple[str, ...] = ()) -> None:
        """`secrets` are the values that must not appear anywhere."""
        self._location = location
        self._secrets: tuple[str, ...] = ()
        self.hide(*secrets)
        #: Why there is nothing to sign requests with; None while there is, or while nobody has looked.
        self.no_keys: StorageError | None = None

    def hide(self, *secrets: str | None) -> None:
        """Keep these out of everything from now on, too."""
        fresh = {s for s in secrets if s and len(s) > 3} - set(self._secrets)
        self._secrets += tuple(fresh)

    @contextmanager
    def doing(self, verb: str, key: str = "") -> Iterator[None]:
        """What is raised inside leaves as one of our errors: `verb` on `key`."""
        try:
            yield
        except (BaoBackupError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in the library is a BaseException
            raise self.translate(error, verb, key) from None

    def translate(self, error: BaseException, verb: str, key: str = "") -> BaoBackupError:
        """Say what `error` means; the library's own words go into the details."""
        if self.no_keys is not None:
            return self.no_keys
        doing, text = self.named(verb, key), str(error)
        details = self.redact(text)[:MAX_DETAILS]
        if not isinstance(error, tuple(BY_CLASS)) or isinstance(error, DEFECTS):
            return InternalError(
                doing, f"the storage library failed ({type(error).__name__})", details=details
            )
        status, code = _found(_STATUS, text), _found(_CODE, text)
        return _error(doing, _meaning(error, status, code, text), status, code, details)

    def answered(self, status: int, text: str, verb: str, key: str = "") -> StorageError:
        """Say what an answer of the store means that did not come through the library."""
        code = _found(_CODE, text)
        meaning = BY_CODE.get(code) or _by_status(str(status))
        details = self.redact(text)[:MAX_DETAILS]
        return _error(self.named(verb, key), meaning, str(status), code, details)

    def named(self, verb: str, key: str = "") -> str:
        """What is being done, and on what."""
        return f"{verb} {self._location}/{key}" if key else f"{verb} {self._location}"

    def redact(self, text: str) -> str:
        """Take out signatures, keys and tokens."""
        text = _SECRET_QUERY.sub(r"\1=REDACTED", text)
        text = _SECRET_ELEMENT.sub(r"<\1>REDACTED</\1>", text)
        for secret in self._secrets:
            text = text.replace(secret, "REDACTED")
        return text


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""


def _meaning(error: BaseException, status: str, code: str, text: str) -> Meaning:
    # A create-only write is refused with the same code as a stale etag; only the class differs.
    if isinstance(error, exceptions.AlreadyExistsError):
        return _EXISTS
    if code in BY_CODE:
        return BY_CODE[code]
    by_class = BY_CLASS.get(type(error))
    if by_class is not None:
        return by_class
    if status:
        return _by_status(status)
    for words, meaning in BY_WORDS:
        if words in text:
            return meaning
    return _OTHER


def _by_status(status: str) -> Meaning:
    return BY_STATUS.get(int(status)) or (_UNAVAILABLE if status >= "500" else _OTHER)


def _error(doing: str, meaning: Meaning, status: str, code: str, details: str) -> StorageError:
    said = " ".join(part for part in (status, code) if part)
    why = f"{meaning.why} ({said})" if said else meaning.why
    return meaning.type(doing, why, hint=meaning.hint, details=details)
