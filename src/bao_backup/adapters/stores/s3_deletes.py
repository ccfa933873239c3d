"""Deletes up to 1,000 objects of an S3 bucket with one request, and tells of each that is still there why.

The library can do that, too, but does not say which were refused. Not every store that speaks S3 takes
this request: one that does not is asked for each object by itself. Source: Amazon S3 API Reference,
"DeleteObjects".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from bao_backup.adapters.stores.code_row import S3
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.many import delete_each
from bao_backup.adapters.stores.retries import patiently
from bao_backup.adapters.stores.s3_requests import NAMESPACE, Requests
from bao_backup.adapters.stores.vendor_codes import find_row
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectNotFoundError, StorageDeniedError

#: So many keys a request may name.
MOST = 1000
#: What one that was written off is answered with, where the store says so at all: no error.
_GONE = ("NoSuchKey", "NoSuchVersion")
#: Answers to the whole request that say nothing of a single object.
_NOT_TAKEN = (StorageDeniedError, ObjectNotFoundError)


class Deletes:
    """What is deleted from one bucket."""

    def __init__(self, requests: Requests, settings: StoreSettings, translator: Translator) -> None:
        self._requests = requests
        self._settings = settings
        self._translator = translator

    def delete(self, keys: Sequence[str], one: Callable[[str], None]) -> dict[str, StorageError]:
        """Delete them all, by `one` where that is better; gives those that may still be there, and why."""
        failed: dict[str, StorageError] = {}
        for start in range(0, len(keys), MOST):
            failed |= self._delete_page(keys[start : start + MOST], one)
        return failed

    def _delete_page(self, keys: Sequence[str], one: Callable[[str], None]) -> dict[str, StorageError]:
        if len(keys) == 1:
            return delete_each(one, keys)
        try:
            answer = patiently(lambda: self._ask(keys), self._settings)
        except StorageError as error:
            if type(error) is not StorageError and not isinstance(error, _NOT_TAKEN):
                return dict.fromkeys(keys, error)
            return delete_each(one, keys)
        return self._refused(answer, keys)

    def _ask(self, keys: Sequence[str]) -> ET.Element:
        objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        space = NAMESPACE.strip("{}")
        body = f'<Delete xmlns="{space}"><Quiet>true</Quiet>{objects}</Delete>'.encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"content-md5": digest, "content-type": "application/xml"}
        timeout = self._settings.request_timeout
        return self._requests.ask(
            "delete from", "POST", "", {"delete": ""}, timeout=timeout, body=body, headers=headers
        )

    def _refused(self, answer: ET.Element, keys: Sequence[str]) -> dict[str, StorageError]:
        """What the answer says of single objects; stores differ in the namespace of its elements."""
        if _name(answer) != "DeleteResult":
            error = StorageError(self._translator.named("delete from"), "the answer is of another kind")
            return dict.fromkeys(keys, error)
        failed: dict[str, StorageError] = {}
        for each in answer:
            said = {_name(part): part.text or "" for part in each}
            if _name(each) != "Error" or said.get("Code") in _GONE:
                continue
            key, text = said.get("Key", ""), f"<Code>{said.get('Code', '')}</Code>{said.get('Message', '')}"
            row = find_row(S3, said.get("Code", ""), text)
            failed[key] = self._translator.answered(row.status if row else 400, text, "delete", key)
        if not failed.keys() <= set(keys):
            error = StorageError(self._translator.named("delete from"), "the answer is about other objects")
            return dict.fromkeys(keys, error)
        return failed


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
