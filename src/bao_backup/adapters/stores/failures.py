"""What an object store's library says, translated into `core.errors`: here and nowhere else.

The library (obstore) tells many faults apart only in its message: the HTTP status, the <Code> of
the store's answer, and the names of Rust's errors in the dump below it. `vendor_codes` and `meanings`
say what each means; `permissions` and `answer_details` what else there is to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from obstore import exceptions

from bao_backup.adapters.stores.answer_details import clock_words, region_of
from bao_backup.adapters.stores.meanings import (
    BY_CLASS,
    BY_STATUS,
    BY_WORDS,
    CHANGED,
    CLOCK,
    DEFECTS,
    DENIED,
    ELSEWHERE,
    EXISTS,
    OTHER,
    UNAVAILABLE,
    WITHOUT_BODY,
    Meaning,
)
from bao_backup.adapters.stores.permissions import missing_permission, named_permission
from bao_backup.adapters.stores.vendor_codes import find_row
from bao_backup.core.errors import BaoBackupError, InternalError, StorageError
from bao_backup.core.storage_errors import StorageKeyError, StorageLoginError

MAX_DETAILS = 4000
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z][A-Za-z0-9.:]{0,63})</Code>")
#: Requests whose answers have no body.
_BODILESS = "Error performing HEAD "
#: Of an answer of Google's in JSON.
_REASON = re.compile(r'"reason":\s*"([A-Za-z]+)"')
#: What a signed URL or an answer about signatures holds that nobody else should see.
_SECRET_QUERY = re.compile(r"(?i)\b(x-amz-(?:signature|credential|security-token)|sig|token)=[^&\s\"'>]*")
_SECRET_ELEMENT = re.compile(
    r"<(AWSAccessKeyId|StringToSign|StringToSignBytes|SignatureProvided|CanonicalRequest"
    r"|CanonicalRequestBytes|WebIdentityToken|SecretAccessKey|SessionToken)>.*?</\1>",
    re.DOTALL,
)
#: In the message of Azure's, which quotes what came.
_SECRET_QUOTE = re.compile(r"(?<=found in the HTTP request \\')[^']*|(?<=found in the HTTP request ')[^']*")


class _Said(NamedTuple):
    """An answer: what it said, and for which verb."""

    verb: str
    status: str
    code: str
    text: str
    headers: Mapping[str, str]


class Translator:
    """Turns what the library raises into our errors, and keeps secrets out of them."""

    def __init__(self, location: str, secrets: tuple[str, ...] = ()) -> None:
        """`secrets` are the values that must not appear anywhere."""
        self._location = location
        self._vendor = location.partition("://")[0]
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
        said = _Said(verb, _found(_STATUS, text), _found(_CODE, text), text, {})
        return self._error(doing, self._meaning(error, said), said, details)

    def answered(
        self,
        status: int,
        text: str,
        verb: str,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        creating: bool = False,
    ) -> StorageError:
        """Say what an answer of the store means that did not come through the library.

        Args:
            status: of the answer.
            text: its body.
            verb: what was tried, and `key` on what.
            key: empty: on the bucket.
            headers: by their names in lower case; they tell of the store's clock, and of a bucket's region.
            creating: the condition was that there is no such object.
        """
        said = _Said(verb, str(status), _found(_CODE, text) or _found(_REASON, text), text, headers or {})
        row = find_row(self._vendor, said.code, text)
        meaning = row.meaning if row else _by_status(said.status)
        if creating and meaning is CHANGED:
            meaning = EXISTS
        return self._error(self.named(verb, key), meaning, said, self.redact(text)[:MAX_DETAILS])

    def named(self, verb: str, key: str = "") -> str:
        """What is being done, and on what."""
        return f"{verb} {self._location}/{key}" if key else f"{verb} {self._location}"

    def redact(self, text: str) -> str:
        """Take out signatures, keys and tokens."""
        text = _SECRET_QUERY.sub(r"\1=REDACTED", text)
        text = _SECRET_ELEMENT.sub(r"<\1>REDACTED</\1>", text)
        text = _SECRET_QUOTE.sub("REDACTED", text)
        for secret in self._secrets:
            text = text.replace(secret, "REDACTED")
        return text

    def _meaning(self, error: BaseException, said: _Said) -> Meaning:
        row = find_row(self._vendor, said.code, said.text)
        # A create-only write is refused with the same code as a stale etag; only the class differs. And
        # the library takes every conflict for one of those, of which the code knows better.
        if said.status and _BODILESS in said.text:
            return WITHOUT_BODY.get(int(said.status)) or _by_status(said.status)
        if isinstance(error, exceptions.AlreadyExistsError) and (row is None or row.meaning is CHANGED):
            return EXISTS
        if row is not None:
            return row.meaning
        by_class = BY_CLASS.get(type(error))
        if by_class is not None:
            return by_class
        if said.status:
            return _by_status(said.status)
        return next((meaning for words, meaning in BY_WORDS if words in said.text), OTHER)

    def _error(self, doing: str, meaning: Meaning, said: _Said, details: str) -> StorageError:
        """Add to the meaning what else the answer tells."""
        type_, why, hint = meaning
        clock = clock_words(said.text, said.headers, datetime.now(UTC))
        if issubclass(type_, StorageLoginError) and clock:
            type_, why, hint = CLOCK.type, clock, CLOCK.hint
        elif meaning is ELSEWHERE and (region := region_of(said.text, said.headers)):
            why = f"{why}: {region}"
        elif type_ is DENIED.type and hint is None:
            hint = missing_permission(self._vendor, said.verb, said.text)
        elif type_ is StorageKeyError and (permission := named_permission(said.text)):
            hint = f"allow {permission} on the key, and look at its state"
        answer = " ".join(part for part in (said.status, said.code) if part)
        return type_(doing, f"{why} ({answer})" if answer else why, hint=hint, details=details)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""


def _by_status(status: str) -> Meaning:
    return BY_STATUS.get(int(status)) or (UNAVAILABLE if status >= "500" else OTHER)
