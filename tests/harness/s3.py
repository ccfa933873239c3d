"""Signed S3 requests: what a test asks of a store beside the adapter that it tests.

Signature: AWS Signature Version 4, with the whole body's hash.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from tests.harness import client
from tests.harness.errors import HarnessError

REGION = "us-east-1"
NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}


@dataclass(frozen=True)
class Keys:
    """An access key and its secret; those that last for a while only have a session token, too."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str


class S3:
    """An S3 service as one user sees it, with path-style addresses."""

    def __init__(
        self, url: str, keys: Keys, context: ssl.SSLContext | None = None, region: str = REGION
    ) -> None:
        self.url = url
        self.keys = keys
        self.context = context
        self.region = region

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> client.Answer:
        """One signed request, whatever its answer's status; more headers by their names in lower case."""
        target = quote(path, safe="/-_.~")
        arguments = "&".join(
            f"{_escape(name)}={_escape(value)}" for name, value in sorted((query or {}).items())
        )
        host = urlsplit(self.url).netloc
        signed = signature(self.keys, method, host, target, arguments, body, headers, region=self.region)
        url = self.url + target + (f"?{arguments}" if arguments else "")
        return client.request(method, url, body=body, headers=signed, context=self.context)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> client.Answer:
        """One signed request; raises HarnessError unless it succeeds."""
        answer = self.request(method, path, query, body, headers)
        if answer.status >= 300:
            raise HarnessError(
                f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')[:500]}"
            )
        return answer

    def make_bucket(self, bucket: str) -> None:
        """Create a bucket."""
        self.ask("PUT", f"/{bucket}")

    def make_lockable(self, bucket: str) -> None:
        """Create a bucket whose objects may be locked; it keeps old versions, too."""
        self.ask("PUT", f"/{bucket}", headers={"x-amz-bucket-object-lock-enabled": "true"})

    def make_versioned(self, bucket: str) -> None:
        """Keep old versions of the bucket's objects from now on."""
        body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.ask("PUT", f"/{bucket}", {"versioning": ""}, body.encode())

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object."""
        self.ask("PUT", f"/{bucket}/{key}", body=body)

    def get(self, bucket: str, key: str) -> bytes:
        """Read an object."""
        return self.ask("GET", f"/{bucket}/{key}").body

    def keys_in(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys of all objects whose key begins with `prefix`."""
        found: list[str] = []
        query = {"list-type": "2", "prefix": prefix}
        while True:
            page = _xml(self.ask("GET", f"/{bucket}", query))
            found += [each.text or "" for each in page.findall("s3:Contents/s3:Key", NAMESPACE)]
            token = page.findtext("s3:NextContinuationToken", None, NAMESPACE)
            if token is None:
                return found
            query["continuation-token"] = token

    def uploads(self, bucket: str, prefix: str = "") -> list[Upload]:
        """Uploads that nobody finished.

        MinIO lists them for the prefix "" and for an exact key only.
        """
        page = _xml(self.ask("GET", f"/{bucket}", {"uploads": "", "prefix": prefix}))
        return [
            Upload(each.findtext("s3:Key", "", NAMESPACE), each.findtext("s3:UploadId", "", NAMESPACE))
            for each in page.findall("s3:Upload", NAMESPACE)
        ]

    def begin_upload(self, bucket: str, key: str) -> Upload:
        """Begin a multipart upload and leave it, as a killed program does."""
        page = _xml(self.ask("POST", f"/{bucket}/{key}", {"uploads": ""}))
        return Upload(key, page.findtext("s3:UploadId", "", NAMESPACE))

    def empty(self, bucket: str) -> None:
        """Remove every object, version and unfinished upload of a bucket."""
        for upload in self.uploads(bucket):
            self.ask("DELETE", f"/{bucket}/{upload.key}", {"uploadId": upload.upload_id})
        while versions := self._versions(bucket):
            for key, version in versions:
                self.ask("DELETE", f"/{bucket}/{key}", {"versionId": version})

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket and all that is in it."""
        self.empty(bucket)
        self.ask("DELETE", f"/{bucket}")

    def _versions(self, bucket: str) -> list[tuple[str, str]]:
        page = _xml(self.ask("GET", f"/{bucket}", {"versions": ""}))
        every = page.findall("s3:Version", NAMESPACE) + page.findall("s3:DeleteMarker", NAMESPACE)
        return [
            (each.findtext("s3:Key", "", NAMESPACE), each.findtext("s3:VersionId", "", NAMESPACE))
            for each in every
        ]


def signature(
    keys: Keys,
    method: str,
    host: str,
    path: str,
    query: str,
    body: bytes,
    more: Mapping[str, str] | None = None,
    *,
    region: str = REGION,
) -> dict[str, str]:
    """The headers that sign a request; `path` and `query` are escaped, the query's names sorted."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": host,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": moment,
        **(more or {}),
    }
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    headers = {name: headers[name] for name in sorted(headers)}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join((method, path, query, lines, names, headers["x-amz-content-sha256"]))
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys.secret_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = f"Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return headers | {"authorization": f"AWS4-HMAC-SHA256 {signed}"}


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")


def _xml(answer: client.Answer) -> ET.Element:
    return ET.fromstring(answer.body)
