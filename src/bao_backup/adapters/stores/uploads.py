"""The unfinished multipart uploads of an S3 bucket: found and aborted when they are dead.

A program that is killed leaves its upload behind: invisible, and paid for. The library cannot list
them, so these three requests are signed here, by AWS Signature Version 4 (AWS Identity and Access
Management User Guide, "Create a signed AWS API request").
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.plain_http import ask
from bao_backup.adapters.stores.s3_identity import Keys
from bao_backup.core.errors import StorageError
from bao_backup.core.naming import backup_key_of_receipt, parse_key

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Bucket(NamedTuple):
    """Where the requests go: the URL ends at the bucket, without a slash."""

    url: str
    region: str
    context: Callable[[], ssl.SSLContext]
    timeout: float


class _Upload(NamedTuple):
    key: str
    id: str
    begun: datetime


class Uploads:
    """The unfinished uploads of one bucket."""

    def __init__(
        self, bucket: Bucket, keys: Callable[[], Keys], translator: Translator, dead_after: float
    ) -> None:
        """`dead_after`: seconds without any part, after which an upload counts as dead."""
        self._bucket = bucket
        self._keys = keys
        self._translator = translator
        self._dead_after = timedelta(seconds=dead_after)
        self._context: ssl.SSLContext | None = None

    def sweep(self, prefix: str) -> int:
        """Abort the dead uploads of backups and receipts directly in the folder `prefix`; how many.

        Anybody may upload beside them, and into folders below it: those are not ours to end.
        By this machine's clock, which the store has checked: it refuses a signature whose time is
        15 minutes off.
        """
        if self._context is None and self._bucket.url.startswith("https:"):
            self._context = self._bucket.context()
        limit = datetime.now(UTC) - self._dead_after
        swept = 0
        for upload in list(self._all()):
            ours = parse_key(backup_key_of_receipt(upload.key) or upload.key, prefix) is not None
            if ours and upload.begun < limit and self._last_part(upload) < limit:
                self._request("DELETE", upload.key, {"uploadId": upload.id})
                swept += 1
        return swept

    def _all(self) -> Iterator[_Upload]:
        """Every upload of the bucket: asked for a folder's, MinIO answers that there are none."""
        query = {"uploads": ""}
        while True:
            page = self._request("GET", "", query)
            for each in page.iter(f"{NAMESPACE}Upload"):
                begun = _time(_text(each, "Initiated"))
                yield _Upload(_text(each, "Key"), _text(each, "UploadId"), begun)
            if _text(page, "IsTruncated") != "true":
                return
            query["key-marker"] = _text(page, "NextKeyMarker")
            query["upload-id-marker"] = _text(page, "NextUploadIdMarker")

    def _last_part(self, upload: _Upload) -> datetime:
        latest = upload.begun
        query = {"uploadId": upload.id}
        while True:
            page = self._request("GET", upload.key, query)
            times = [_time(_text(part, "LastModified")) for part in page.iter(f"{NAMESPACE}Part")]
            latest = max([latest, *times])
            if _text(page, "IsTruncated") != "true":
                return latest
            query["part-number-marker"] = _text(page, "NextPartNumberMarker")

    def _request(self, method: str, key: str, query: Mapping[str, str]) -> ET.Element:
        path = urlsplit(self._bucket.url).path + (f"/{_escape(key, '/')}" if key else "/")
        arguments = "&".join(f"{_escape(name)}={_escape(query[name])}" for name in sorted(query))
        host = urlsplit(self._bucket.url).netloc
        headers = sign(self._keys(), method, host, path, arguments, self._bucket.region, datetime.now(UTC))
        scheme = urlsplit(self._bucket.url).scheme
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked: http or https
            f"{scheme}://{host}{path}?{arguments}", method=method, headers=headers
        )
        body = self._answer(request, key)
        try:
            # expat bounds the growth of entities since 2.4, and the store is one that we log in to.
            return ET.fromstring(body) if body else ET.Element("Nothing")  # noqa: S314
        except ET.ParseError as error:
            raise StorageError(self._doing(key), "the answer is not XML", details=str(error)) from error

    def _answer(self, request: urllib.request.Request, key: str) -> bytes:
        answer = ask(request, self._doing(key), self._bucket.timeout, self._context)
        if answer.status >= 300:
            raise self._translator.answered(answer.status, answer.text, "sweep", key)
        return answer.body

    def _doing(self, key: str) -> str:
        return self._translator.named("sweep", key)


def sign(
    keys: Keys, method: str, host: str, path: str, query: str, region: str, moment: datetime
) -> dict[str, str]:
    """The headers that sign a request without a body; `path` and `query` escaped, the latter sorted."""
    time = moment.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": time}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys.secret}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}"):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


def _escape(text: str, safe: str = "") -> str:
    return quote(text, safe=f"-_.~{safe}")


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{NAMESPACE}{name}", "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
