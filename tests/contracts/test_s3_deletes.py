"""Many deletions with one request: what S3 and those who speak as it does answer, and what becomes of it."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree as ET

import pytest

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import (
    ObjectLockedError,
    StorageDeniedError,
    StorageLoginError,
    StorageThrottledError,
    StorageUnavailableError,
)
from bao_backup.ports import Store

SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEYS = ["a/1.snap", "a/2 ü&.snap", "a/3.snap"]
Answer = tuple[int, str]


@dataclass
class Bucket:
    """What a bucket answers: to the request for many, and to one for a single object."""

    many: Callable[[list[str]], Answer]
    one: Callable[[str], Answer] = lambda _key: (204, "")
    asked: list[str] = field(default_factory=list)
    store: Store | None = None


def result(*errors: tuple[str, str, str], space: str = SPACE) -> Answer:
    """What S3 answers when it took the request."""
    refused = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code><Message>{message}</Message></Error>"
        for key, code, message in errors
    )
    xmlns = f' xmlns="{space}"' if space else ""
    return 200, f'<?xml version="1.0"?><DeleteResult{xmlns}>{refused}</DeleteResult>'


def refusal(status: int, code: str) -> Answer:
    """What it answers when it did not."""
    return status, f"<Error><Code>{code}</Code><Message>no</Message></Error>"


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """A bucket on loopback, which takes everything until a test says otherwise."""
    told = Bucket(lambda _keys: result())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            assert self.headers["Content-MD5"] == digest
            assert "content-md5" in self.headers["Authorization"]
            names = [key.text or "" for key in ET.fromstring(body).iter(f"{{{SPACE}}}Key")]
            told.asked.append(f"many {len(names)}")
            self.reply(told.many(names))

        def do_DELETE(self) -> None:
            told.asked.append(f"one {self.path}")
            self.reply(told.one(self.path))

        def reply(self, answer: Answer) -> None:
            body = answer[1].encode()
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_what: object) -> None:
            """Nothing on the test's standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = StoreSettings(
            provider="s3",
            bucket="b",
            endpoint=f"http://127.0.0.1:{server.server_port}",
            path_style=True,
            max_retries=1,
        )
        told.store = open_store(settings, {"accessKeyId": "id", "secretAccessKey": "key"})
        try:
            yield told
        finally:
            server.shutdown()


def deleted(bucket: Bucket, keys: list[str] = KEYS) -> dict[str, type[StorageError]]:
    """Delete them; gives what failed, and how."""
    assert bucket.store is not None
    return {key: type(error) for key, error in bucket.store.delete_many(keys).items()}


@pytest.mark.parametrize("space", [SPACE, "", "urn:other"])
def test_each_refusal_is_told_with_its_key(bucket: Bucket, space: str) -> None:
    """By the same table as a refusal of one; what was not there any more is no refusal."""
    bucket.many = lambda _keys: result(
        ("a/1.snap", "AccessDenied", "Access Denied because object protected by object lock."),
        ("a/2 ü&amp;.snap", "SlowDown", "later"),
        ("a/3.snap", "NoSuchKey", ""),
        space=space,
    )
    assert deleted(bucket) == {"a/1.snap": ObjectLockedError, "a/2 ü&.snap": StorageThrottledError}
    assert bucket.asked == ["many 3"]


def test_thousands_are_a_request_a_thousand(bucket: Bucket) -> None:
    """No request names more than S3 takes; one key is asked for by itself."""
    assert deleted(bucket, [f"a/{number}" for number in range(2001)]) == {}
    assert bucket.asked == ["many 1000", "many 1000", "one /b/a/2000"]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(501, "NotImplemented"),
        refusal(405, "MethodNotAllowed"),
        refusal(400, "MalformedXML"),
        refusal(404, "NoSuchKey"),
        refusal(403, "AccessDenied"),
    ],
)
def test_a_store_that_does_not_take_it_is_asked_for_each(bucket: Bucket, answer: Answer) -> None:
    """What becomes of each is then told by the store itself."""
    bucket.many = lambda _keys: answer
    bucket.one = lambda path: refusal(403, "AccessDenied") if path.endswith("3.snap") else (204, "")
    assert deleted(bucket) == {"a/3.snap": StorageDeniedError}
    assert len(bucket.asked) == 4


@pytest.mark.parametrize(
    ("answer", "kind", "requests"),
    [
        (refusal(403, "InvalidAccessKeyId"), StorageLoginError, 1),
        (refusal(503, "ServiceUnavailable"), StorageUnavailableError, 2),
    ],
)
def test_a_store_that_takes_nothing_is_not_asked_for_each(
    bucket: Bucket, answer: Answer, kind: type[StorageError], requests: int
) -> None:
    """Wrong keys are wrong for all of them; what passes is waited for."""
    bucket.many = lambda _keys: answer
    assert deleted(bucket) == dict.fromkeys(KEYS, kind)
    assert bucket.asked == ["many 3"] * requests


@pytest.mark.parametrize(
    "answer", [(200, "<html/>"), result(("other", "AccessDenied", "")), (200, ""), (200, "no XML")]
)
def test_an_answer_of_another_kind_is_no_success(bucket: Bucket, answer: Answer) -> None:
    """A proxy's page does not mean that anything was deleted."""
    bucket.many = lambda _keys: answer
    bucket.one = lambda _path: refusal(403, "AccessDenied")
    assert set(deleted(bucket)) == set(KEYS)
