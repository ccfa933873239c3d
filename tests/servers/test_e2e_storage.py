"""A store that refuses, fails, is slow or goes away: the right reason, nothing visible, and recovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy, Way
from tests.harness.s3 import Keys
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, assert_backup, assert_failed, assert_untouched
from tests.servers.program import Site

pytestmark = pytest.mark.servers

#: A store is asked so much less patiently than the minutes of the defaults.
IMPATIENT = {"max_retries": 2, "retry_timeout": 3.0, "request_timeout": 3.0, "connect_timeout": 1.0}
#: What a run does to put a backup into a bucket; without these MinIO refuses it.
TO_PUT = ("s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:AbortMultipartUpload")


@pytest.fixture
def proxy(minio: Minio) -> Iterator[FaultyProxy]:
    """What spoils the calls to the store."""
    with FaultyProxy(minio.url) as proxy:
        yield proxy


def assert_recovers(site: Site, place: BucketPlace, **job: Any) -> None:
    """The same run again, with nothing in its way."""
    assert_backup(place, site.begin_job(site.job("stored", **job)).wait())


@pytest.mark.parametrize(
    ("call", "status", "code", "reason"),
    [
        (Call.PART, 500, "InternalError", "StorageUnavailable"),
        (Call.PART, 503, "SlowDown", "StorageThrottled"),
        (Call.PART, 403, "AccessDenied", "StorageDenied"),
        (Call.INITIATE, 503, "ServiceUnavailable", "StorageUnavailable"),
        (Call.INITIATE, 403, "AccessDenied", "StorageDenied"),
        (Call.COMPLETE, 500, "InternalError", "StorageUnavailable"),
        (Call.COMPLETE, 403, "AccessDenied", "StorageDenied"),
        (Call.PART, 507, "XMinioStorageFull", "StorageFull"),
    ],
)
def test_store_answers_an_error(
    full_vault: VaultCluster,
    proxy: FaultyProxy,
    site: Site,
    in_bucket: BucketPlace,
    call: Call,
    status: int,
    code: str,
    reason: str,
) -> None:
    """Exit 5 and its reason; nothing is visible and no upload is left; then it is well again."""
    proxy.set(CallFault(CallFaultKind.ANSWER, call, status=status, code=code, times=None))
    site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
    ended = site.begin_job(site.job("stored", store=IMPATIENT)).wait()
    message = assert_failed(ended, 5, reason)
    assert str(status) in message
    assert_untouched(in_bucket)
    proxy.set()
    assert_recovers(site, in_bucket)


@pytest.mark.parametrize("call", [Call.PART, Call.COMPLETE, Call.PUT, Call.HEAD])
def test_single_errors_cost_no_backup(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, in_bucket: BucketPlace, call: Call
) -> None:
    """One 503 is only a call made again: the backup and its receipt are whole."""
    proxy.set(CallFault(CallFaultKind.ANSWER, call, status=503, code="SlowDown"))
    site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
    assert_recovers(site, in_bucket)
    assert proxy.reached.is_set()


def test_receipt_cannot_be_written(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, in_bucket: BucketPlace
) -> None:
    """The body is whole and there, but without its receipt it is no success, and listed as unproven."""
    proxy.set(CallFault(CallFaultKind.ANSWER, Call.PUT, status=403, code="AccessDenied", times=None))
    site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
    ended = site.begin_job(site.job("stored", store=IMPATIENT)).wait()
    assert_failed(ended, 5, "StorageDenied")
    listed = site.run("list", "stored", "--output", "json").json["backups"]
    assert [backup["proven"] for backup in listed] == [False]
    assert in_bucket.visible() == [listed[0]["key"]]


def test_slow_store_is_waited_for(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, in_bucket: BucketPlace
) -> None:
    """Calls that are answered late, but within their time, are no failure."""
    proxy.set(CallFault(CallFaultKind.DELAY, Call.PART, seconds=1.5, times=None))
    site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
    assert_recovers(site, in_bucket, store=IMPATIENT)


def test_store_that_never_answers_is_given_up(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, in_bucket: BucketPlace
) -> None:
    """A part that is taken and never acknowledged ends the run in the time that the settings allow."""
    proxy.set(CallFault(CallFaultKind.HOLD, Call.PART, times=None))
    site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
    impatient = IMPATIENT | {"request_timeout": 1.0, "max_retries": 1}
    ended = site.begin_job(site.job("stored", store=impatient)).wait()
    assert_failed(ended, 5, "StorageUnavailable")
    assert ended.seconds < 20
    assert_untouched(in_bucket)


def test_store_goes_away_in_mid_upload(
    full_vault: VaultCluster, minio: Minio, site: Site, in_bucket: BucketPlace
) -> None:
    """Exit 5 in bounded time; back again, the next run removes what was left, and succeeds."""
    with TcpProxy(minio.url) as proxy:
        proxy.set(ByteFault(ByteFaultKind.WATCH, 2 << 20, Way.UP))
        site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
        run = site.begin_job(site.job("stored", store=IMPATIENT))
        assert proxy.reached.wait(30)
        proxy.go_away()
        ended = run.wait(30)
        assert_failed(ended, 5, "StorageUnreachable")
        # Nobody could tell it to forget the upload.
        assert in_bucket.visible() == []
        assert len(in_bucket.leftovers()) == 1
        proxy.come_back()
        ended = site.begin_job(site.job("stored", store={"dead_after": 0.0})).wait()
        assert "removed 1 leftovers" in ended.err
        assert_backup(in_bucket, ended)


def test_store_is_back_before_patience_ends(
    full_vault: VaultCluster, minio: Minio, site: Site, in_bucket: BucketPlace
) -> None:
    """Connections cut in mid-upload, to a store that is back at once, cost a repeated part and no more."""
    with TcpProxy(minio.url) as proxy:
        proxy.set(ByteFault(ByteFaultKind.RESET, 2 << 20, Way.UP))
        site.describe("stored", full_vault, in_bucket.target(site, endpoint=proxy.url))
        assert_recovers(site, in_bucket)
        assert proxy.reached.is_set()


def test_store_is_not_there(full_vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """No such port, and no such host: exit 5, and the endpoint is named."""
    for endpoint in ("http://127.0.0.1:9", "http://no-such-host.invalid:9000"):
        site.describe("stored", full_vault, in_bucket.target(site, endpoint=endpoint))
        ended = site.begin_job(site.job("stored", store=IMPATIENT)).wait()
        assert_failed(ended, 5, "StorageUnreachable")


def test_wrong_credentials(full_vault: VaultCluster, minio: Minio, site: Site, bucket: str) -> None:
    """A wrong secret and an unknown key are exit 5, with a reason of their own, and not repeated."""
    place = BucketPlace(minio, bucket)
    for keys in (Keys(minio.root.keys.access_key, "wrong-secret"), Keys("nobody-at-all", "wrong-secret")):
        site.describe("stored", full_vault, place.target(site, keys=keys))
        ended = site.backup("stored")
        assert ended.code == 5
        assert ended.json["reason"] == "StorageLoginFailed"
        assert ended.seconds < 10
    assert_untouched(place)


def test_missing_bucket_is_not_created(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace, minio: Minio
) -> None:
    """Exit 5 says that there is no such bucket; there is none afterwards either."""
    site.describe("stored", full_vault, in_bucket.target(site, bucket="no-such-bucket"))
    ended = site.backup("stored")
    assert (ended.code, ended.json["reason"]) == (5, "BucketNotFound")
    assert minio.root.request("HEAD", "/no-such-bucket").status == 404
    assert_untouched(in_bucket)


def test_user_who_may_not_put(full_vault: VaultCluster, minio: Minio, site: Site, bucket: str) -> None:
    """Exit 5, denied; and nothing is there."""
    reader = minio.add_user("reader", "reader-secret", ["s3:GetObject", "s3:ListBucket"], [bucket])
    place = BucketPlace(minio, bucket)
    site.describe("stored", full_vault, place.target(site, keys=reader.keys))
    ended = site.backup("stored")
    assert (ended.code, ended.json["reason"]) == (5, "StorageDenied")
    assert_untouched(place)


def test_user_who_may_not_delete(full_vault: VaultCluster, minio: Minio, site: Site, bucket: str) -> None:
    """He needs no right to create buckets or to list uploads; what retention cannot drop is reported."""
    keeper = minio.add_user("keeper", "keeper-secret", TO_PUT, [bucket])
    place = BucketPlace(minio, bucket)
    site.describe("stored", full_vault, place.target(site, keys=keeper.keys), retention={"maxCount": 1})
    first = site.begin_job(site.job("stored")).wait()
    assert first.code == 0, first.err
    old = place.visible()
    second = site.begin_job(site.job("stored")).wait()
    assert second.code == 0, second.err
    retention = second.result["retention"]
    assert (retention["kept"], retention.get("dropped", [])) == (2, [])
    assert first.result["key"] in retention["failed"][0]
    assert "access" in retention["failed"][0].lower()
    assert set(old) < set(place.visible())
    assert list(place.leftovers()) == []
