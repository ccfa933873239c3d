"""Uploads to Google Cloud Storage by its JSON API: in parts whose number nobody knows before, and at once.

A resumable upload becomes an object when its last part is in, and not before. After a broken
connection the service is asked how far it has come. Source: Cloud Storage documentation, "Resumable
uploads" and "Perform resumable uploads".
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.gcs_parts import QUANTUM, Part, multipart, parts
from bao_backup.adapters.stores.gcs_services import Login
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.retries import patiently
from bao_backup.core.errors import BaoBackupError, StorageError, StoredDiffersError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageUnavailableError
from bao_backup.core.store_options import LockMode

#: The largest object.
LARGEST = 5 * 1024**4

#: Google's words for them.
LOCK_MODES = {LockMode.GOVERNANCE: "Unlocked", LockMode.COMPLIANCE: "Locked"}
_LOCK_HINT = (
    "objectLock needs a bucket with object retention enabled, and the right storage.objects.setRetention"
)

_RANGE = re.compile(r"bytes=0-(\d+)")


class Retention(msgspec.Struct, rename="camel"):
    """How an object is locked."""

    mode: str = ""
    retain_until_time: datetime | None = None


class Made(msgspec.Struct, rename="camel"):
    """An object that has been made, as the service describes it: a few of its fields."""

    generation: str = ""
    size: str = ""
    #: In base64.
    md5_hash: str = ""
    retention: Retention | None = None


class _Session(NamedTuple):
    key: str
    url: str


class Uploads:
    """What is written into one bucket."""

    def __init__(
        self,
        url: str,
        login: Login,
        translator: Translator,
        settings: StoreSettings,
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        """`url` is the service's, without a slash at its end."""
        self._service = url
        self._login = login
        self._translator = translator
        self._settings = settings
        self._trust = context
        self._context: ssl.SSLContext | None = None

    def put(self, key: str, chunks: Iterator[bytes]) -> Made:
        """Upload in parts, with one of them in memory; whatever is raised, nothing becomes visible."""
        about = self._about(datetime.now(UTC))
        session = patiently(lambda: self._begin(key, about), self._settings)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            made = None
            for part in parts(chunks, max(self._settings.part_size // QUANTUM, 1) * QUANTUM):
                digest.update(part.body)
                made = self._send(session, part)
                del part  # before the next one is put together
        except BaseException:
            # Google drops it in a week anyway, and what has been raised says more.
            with suppress(StorageError):
                self._ask("DELETE", session.url, session.key)
            raise
        if made is None:
            raise StorageUnavailableError(self._doing(key), "the store did not say that the object is whole")
        self._check(made, key, digest.digest())
        return made

    def create(self, key: str, body: bytes) -> Made:
        """Upload at once, if there is no such object: else ObjectExistsError."""
        url = self._url(f"uploadType=multipart&ifGenerationMatch=0&name={quote(key, safe='')}")
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        about = {**self._about(datetime.now(UTC)), "md5Hash": _base64(digest)}
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        sent = multipart(boundary, msgspec.json.encode(about), body)

        def attempt() -> Made:
            answer = self._ask("POST", url, key, sent, headers)
            if answer.status == 412:
                raise self._translator.answered(
                    answer.status, answer.text, "upload", key, answer.headers, creating=True
                )
            return self._made(answer, key)

        made = patiently(attempt, self._settings)
        self._check(made, key, digest)
        return made

    def _about(self, moment: datetime) -> dict[str, object]:
        """What is said of an object with its upload: Cloud Storage documentation, "Objects: insert"."""
        settings = self._settings
        about: dict[str, object] = {}
        if settings.storage_class:
            about["storageClass"] = settings.storage_class
        if settings.metadata:
            about["metadata"] = settings.metadata
        if settings.lock_mode:
            until = moment.replace(microsecond=0) + timedelta(days=settings.lock_days)
            about["retention"] = {
                "mode": LOCK_MODES[settings.lock_mode],
                "retainUntilTime": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            }
        return about

    def _check(self, made: Made, key: str, digest: bytes) -> None:
        """See that the store has what was sent, and keeps it as long as was asked; else it does not stay.

        Raises StoredDiffersError, or StorageError where it is not locked.
        """
        error: BaoBackupError | None = None
        if made.md5_hash and made.md5_hash != _base64(digest):
            error = StoredDiffersError(self._doing(key), "the store's MD5 is not that of what was sent")
        elif self._settings.lock_mode and (made.retention is None or not made.retention.retain_until_time):
            error = StorageError(self._doing(key), "the store did not lock it", hint=_LOCK_HINT)
        if error is None:
            return
        with suppress(StorageError):
            bucket = quote(self._settings.bucket, safe="")
            query = f"?generation={made.generation}" if made.generation else ""
            self._ask("DELETE", f"{self._service}/storage/v1/b/{bucket}/o/{quote(key, safe='')}{query}", key)
        raise error

    def _begin(self, key: str, about: Mapping[str, object]) -> _Session:
        url = self._url(f"uploadType=resumable&name={quote(key, safe='')}")
        headers = {
            "Content-Type": "application/json",
            "X-Upload-Content-Type": "application/octet-stream",
        }
        answer = self._ask("POST", url, key, msgspec.json.encode(about), headers)
        location = answer.headers.get("location", "")
        if answer.status not in (200, 201):
            raise self._translator.answered(answer.status, answer.text, "upload", key, answer.headers)
        if not location:
            raise StorageError(self._doing(key), "the store does not say where to upload to")
        # Who knows it may write; and whatever host it names, what is sent is for the configured one.
        address = urlsplit(location)
        self._translator.hide(address.query, *parse_qs(address.query).get("upload_id", []))
        return _Session(key, f"{self._service}{address.path}?{address.query}")

    def _send(self, session: _Session, part: Part) -> Made | None:
        """Send a part until the service has all of it; of the last one, the object."""
        at, sure = part.offset, True

        def attempt() -> Made | None:
            nonlocal at, sure
            while True:
                asked, sure = sure, False  # until an answer is here, nobody knows what has come in
                answer = self._piece(session, part, at) if asked else self._how_far(session)
                if answer.status in (200, 201):
                    return self._made(answer, session.key, part.end if part.last else None)
                before, at = at, self._reached(answer, session, part)
                sure = True
                if at == part.end and not part.last:
                    return None
                if asked and at == before:
                    raise StorageUnavailableError(self._doing(session.key), "the store takes no more bytes")

        return patiently(attempt, self._settings)

    def _piece(self, session: _Session, part: Part, at: int) -> Answer:
        total = str(part.end) if part.last else "*"
        extent = f"{at}-{part.end - 1}" if at < part.end else "*"
        body = part.body[at - part.offset :] if at > part.offset else part.body
        return self._ask("PUT", session.url, session.key, body, {"Content-Range": f"bytes {extent}/{total}"})

    def _how_far(self, session: _Session) -> Answer:
        return self._ask("PUT", session.url, session.key, b"", {"Content-Range": "bytes */*"})

    def _reached(self, answer: Answer, session: _Session, part: Part) -> int:
        """The byte to go on with. Raises StorageError: the answer says that there is none."""
        doing = self._doing(session.key)
        if answer.status in (404, 410):
            raise StorageUnavailableError(doing, f"the store has dropped the upload ({answer.status})")
        if answer.status != 308:
            raise self._translator.answered(answer.status, answer.text, "upload", session.key, answer.headers)
        match = _RANGE.fullmatch(answer.headers.get("range", ""))
        reached = int(match.group(1)) + 1 if match else 0
        if not part.offset <= reached <= part.end:
            raise StorageError(doing, f"the store has {reached} bytes, and {part.end} were to come")
        return reached

    def _made(self, answer: Answer, key: str, size: int | None = None) -> Made:
        if answer.status not in (200, 201):
            raise self._translator.answered(answer.status, answer.text, "upload", key, answer.headers)
        try:
            made = msgspec.json.decode(answer.body, type=Made)
        except msgspec.MsgspecError as error:
            raise StorageError(self._doing(key), "the answer describes no object") from error
        if size is not None and made.size != str(size):
            why = f"the object has {made.size[:20] or 'no'} bytes, and {size} were sent"
            raise StorageError(self._doing(key), why)
        return made

    def _url(self, query: str) -> str:
        bucket = quote(self._settings.bucket, safe="")
        key = self._settings.kms_key_id
        encrypted = f"&kmsKeyName={quote(key, safe='')}" if key else ""
        return f"{self._service}/upload/storage/v1/b/{bucket}/o?{query}{encrypted}"

    def _ask(
        self,
        method: str,
        url: str,
        key: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if self._context is None and url.startswith("https:"):
            self._context = self._trust()
        sent = {"Authorization": f"Bearer {self._login.current().token}", **(headers or {})}
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked: http or https
            url, data=body, headers=sent, method=method
        )
        settings = self._settings
        return ask(
            request,
            self._doing(key),
            settings.request_timeout,
            self._context,
            proxy=settings.proxy,
            connect_timeout=settings.connect_timeout,
        )

    def _doing(self, key: str) -> str:
        return self._translator.named("upload", key)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
