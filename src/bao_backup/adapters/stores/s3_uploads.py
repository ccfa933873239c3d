"""The unfinished multipart uploads of an S3 bucket: found and aborted when they are dead.

A program that is killed leaves its upload behind: invisible, and paid for. The library cannot list
them, so these three requests are our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from xml.etree import ElementTree as ET

from bao_backup.adapters.stores.s3_requests import NAMESPACE, Requests
from bao_backup.core.naming import backup_key_of_receipt, parse_key

#: Seconds for each wait: a sweep is a courtesy, and must not hold up a backup for long.
TIMEOUT = 10.0


class _Upload(NamedTuple):
    key: str
    id: str
    begun: datetime


class Uploads:
    """The unfinished uploads of one bucket."""

    def __init__(self, requests: Requests, dead_after: float) -> None:
        """`dead_after`: seconds without any part, after which an upload counts as dead."""
        self._requests = requests
        self._dead_after = timedelta(seconds=dead_after)

    def sweep(self, prefix: str) -> int:
        """Abort the dead uploads of backups and receipts directly in the folder `prefix`; how many.

        Anybody may upload beside them, and into folders below it: those are not ours to end.
        By this machine's clock, which the store has checked: it refuses a signature whose time is
        15 minutes off.
        """
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
        return self._requests.ask("sweep", method, key, query, timeout=TIMEOUT)


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{NAMESPACE}{name}", "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
