"""The MinIO of the harness."""

from __future__ import annotations

import pytest
from tests.harness.client import request
from tests.harness.minio import Minio

pytestmark = pytest.mark.servers


def test_an_object_survives_a_kill(minio: Minio, bucket: str) -> None:
    minio.root.put(bucket, "folder/a b+ü.txt", b"kept")
    minio.kill()
    assert not minio.answers()
    minio.start()
    assert minio.root.get(bucket, "folder/a b+ü.txt") == b"kept"


def test_an_unfinished_upload_is_listed_for_no_prefix_and_for_its_key_only(minio: Minio, bucket: str) -> None:
    upload = minio.root.begin_upload(bucket, "folder/key")
    assert minio.root.uploads(bucket) == [upload]
    assert minio.root.uploads(bucket, "folder/key") == [upload]
    assert minio.root.uploads(bucket, "folder/") == []
    assert minio.root.keys_in(bucket) == []


def test_a_user_has_the_rights_it_was_given_and_no_others(minio: Minio, bucket: str) -> None:
    minio.root.put(bucket, "key", b"content")
    reader = minio.add_user("reader", "secret-of-reader", ["s3:GetObject", "s3:ListBucket"], [bucket])
    assert reader.get(bucket, "key") == b"content"
    assert reader.keys_in(bucket) == ["key"]
    assert reader.request("PUT", f"/{bucket}/other", body=b"x").status == 403
    assert reader.request("DELETE", f"/{bucket}/key").status == 403
    assert reader.request("PUT", "/another-bucket").status == 403


def test_a_request_without_a_signature_is_refused(minio: Minio, bucket: str) -> None:
    assert request("GET", f"{minio.url}/{bucket}").status == 403


def test_a_versioned_bucket_is_removed_with_its_old_versions(minio: Minio) -> None:
    minio.root.make_bucket("versioned")
    minio.root.make_versioned("versioned")
    minio.root.put("versioned", "key", b"first")
    minio.root.put("versioned", "key", b"second")
    minio.root.remove_bucket("versioned")
    assert minio.root.request("GET", "/versioned").status == 404


def test_it_speaks_tls_with_a_certificate_of_the_private_authority(minio_tls: Minio) -> None:
    assert minio_tls.url.startswith("https://127.0.0.1:")
    minio_tls.root.make_bucket("over-tls")
    minio_tls.root.put("over-tls", "key", b"content")
    assert minio_tls.root.get("over-tls", "key") == b"content"
