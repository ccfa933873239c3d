"""What an object store's library says, translated into `core.errors`: here and nowhere else.

The library (obstore) tells many faults apart only in its message: the HTTP status, the <Code> of
the store's answer, and the names of Rust's errors in the dump below it. `meanings` says what each
means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from bao_backup.adapters.stores.meanings import (
    BY_CLASS,
    BY_CODE,
    BY_STATUS,
    BY_WORDS,
    DEFECTS,
    EXISTS,
    OTHER,
    UNAVAILABLE,
    Meaning,
)
from bao_backup.core.errors import BaoBackupError, InternalError, StorageError

MAX_DETAILS = 4000


_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]+)</Code>")
#: Of an answer of Google's in JSON.
_REASON = re.compile(r'"reason":\s*"([A-Za-z]+)"')
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
        code = _found(_CODE, text) or _found(_REASON, text)
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
        return EXISTS
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
    return OTHER


def _by_status(status: str) -> Meaning:
    return BY_STATUS.get(int(status)) or (UNAVAILABLE if status >= "500" else OTHER)


def _error(doing: str, meaning: Meaning, status: str, code: str, details: str) -> StorageError:
    said = " ".join(part for part in (status, code) if part)
    why = f"{meaning.why} ({said})" if said else meaning.why
    return meaning.type(doing, why, hint=meaning.hint, details=details)
