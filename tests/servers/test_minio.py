"""The MinIO of the harness."""

from __future__ import annotations

import pytest
from tests.harness.client import request
from tests.harness.minio import Minio

pytestmark = pytest.mark.servers


def test_kill(minio: Minio, bucket: str) -> None:
    """An object survives that the server is killed."""
    minio.root.put(bucket, "folder/a b+ü.txt", b"kept")
    minio.kill()
    assert not minio.answers()
    minio.start()
    assert minio.root.get(bucket, "folder/a b+ü.txt") == b"kept"


def test_uploads(minio: Minio, bucket: str) -> None:
    """An unfinished upload is listed for no prefix and for its exact key only, and is no object."""
    upload = minio.root.begin_upload(bucket, "folder/key")
    assert minio.root.uploads(bucket) == [upload]
    assert minio.root.uploads(bucket, "folder/key") == [upload]
    assert minio.root.uploads(bucket, "folder/") == []
    assert minio.root.keys_in(bucket) == []


def test_user(minio: Minio, bucket: str) -> None:
    """A user has the rights that it was given and no others."""
    minio.root.put(bucket, "key", b"content")
    reader = minio.add_user("reader", "secret-of-reader", ["s3:GetObject", "s3:ListBucket"], [bucket])
    assert reader.get(bucket, "key") == b"content"
    assert reader.keys_in(bucket) == ["key"]
    assert reader.request("PUT", f"/{bucket}/other", body=b"x").status == 403
    assert reader.request("DELETE", f"/{bucket}/key").status == 403
    assert reader.request("PUT", "/another-bucket").status == 403


def test_unsigned(minio: Minio, bucket: str) -> None:
    """A request without a signature is refused."""
    assert request("GET", f"{minio.url}/{bucket}").status == 403


def test_versions(minio: Minio) -> None:
    """A versioned bucket is removed with its old versions."""
    minio.root.make_bucket("versioned")
    minio.root.make_versioned("versioned")
    minio.root.put("versioned", "key", b"first")
    minio.root.put("versioned", "key", b"second")
    minio.root.remove_bucket("versioned")
    assert minio.root.request("GET", "/versioned").status == 404


def test_tls(minio_tls: Minio) -> None:
    """It speaks TLS with a certificate of the private authority."""
    assert minio_tls.url.startswith("https://127.0.0.1:")
    minio_tls.root.make_bucket("over-tls")
    minio_tls.root.put("over-tls", "key", b"content")
    assert minio_tls.root.get("over-tls", "key") == b"content"
