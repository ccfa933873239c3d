"""Locks on the objects of an S3 bucket: set by a request of their own after the upload.

The library can send no lock along with an upload in parts. So the object is there for a moment
without one; it counts only with its receipt, which is written after that.
Source: Amazon S3 API Reference, "PutObjectRetention" and "GetObjectRetention".
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

from bao_backup.adapters.stores.retries import patiently
from bao_backup.adapters.stores.s3_requests import NAMESPACE, Requests
from bao_backup.core.errors import StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage import StoreSettings

_HINT = (
    "objectLock needs a bucket that was made with object lock, and the right s3:PutObjectRetention; "
    "without objectLock the bucket's own default retention counts"
)


class Locks:
    """Locks the objects of one bucket as the settings say."""

    def __init__(self, requests: Requests, settings: StoreSettings) -> None:
        self._requests = requests
        self._settings = settings

    def lock(self, stored: Stored, until: datetime) -> datetime:
        """Lock this version of the object; until when it is locked, by the bucket's default perhaps longer.

        Raises StorageError: it is not locked so long.
        """
        query = {"retention": ""} | ({"versionId": stored.version} if stored.version else {})
        body = (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{self._settings.lock_mode}</Mode>"
            f"<RetainUntilDate>{until:%Y-%m-%dT%H:%M:%SZ}</RetainUntilDate></Retention>"
        ).encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"content-md5": digest, "content-type": "application/xml"}

        def attempt() -> None:
            self._requests.ask(
                "lock",
                "PUT",
                stored.key,
                query,
                timeout=self._settings.request_timeout,
                body=body,
                headers=headers,
            )

        try:
            patiently(attempt, self._settings)
        except StorageError as error:
            longer = self._locked_until(stored.key, query)
            if longer is not None and longer >= until:
                return longer  # its bucket's default is longer, and may not be made shorter
            raise type(error)(error.doing, error.why, hint=_HINT, details=error.details) from error
        return until

    def find(self, stored: Stored, _until: datetime) -> datetime | None:
        """Until when the bucket's default locks it; None: it does not, or nobody may tell us."""
        query = {"retention": ""} | ({"versionId": stored.version} if stored.version else {})
        return self._locked_until(stored.key, query)

    def _locked_until(self, key: str, query: dict[str, str]) -> datetime | None:
        """Until when it is locked; None: it is not, or nobody may tell us."""
        try:
            found = patiently(
                lambda: self._requests.ask("lock", "GET", key, query, timeout=self._settings.request_timeout),
                self._settings,
            )
            text = found.findtext(f"{NAMESPACE}RetainUntilDate") or found.findtext("RetainUntilDate") or ""
            mode = found.findtext(f"{NAMESPACE}Mode") or found.findtext("Mode") or ""
            weaker = self._settings.lock_mode == "COMPLIANCE" and mode != "COMPLIANCE"
            return None if weaker else datetime.fromisoformat(text).astimezone(UTC)
        except (StorageError, ValueError):
            return None
