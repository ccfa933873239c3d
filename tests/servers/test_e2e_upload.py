"""What a document says of parts is what MinIO sees."""

from __future__ import annotations

import re
import time

import pytest
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, assert_backup
from tests.servers.program import PART, Site

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("part_size", [PART, PART + (1 << 20)])
def test_part_size(full_cluster: VaultCluster, site: Site, in_bucket: BucketPlace, part_size: int) -> None:
    """A snapshot larger than a part is stored in parts of `partSize`: the ETag ends with their number."""
    site.describe("parts", full_cluster, in_bucket.target(site, partSize=part_size))
    ended = site.begin_job(site.job("parts")).wait()
    assert_backup(in_bucket, ended)
    parts = -(-ended.result["size"] // part_size)
    assert parts > 2
    listing = in_bucket.minio.root.ask("GET", f"/{in_bucket.bucket}", {"list-type": "2"}).body.decode()
    etags = re.findall(r"\.snap</Key>.*?<ETag>&#34;(.*?)&#34;</ETag>", listing)
    assert [etag.partition("-")[2] for etag in etags] == [str(parts)]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_concurrency(
    full_cluster: VaultCluster, minio: Minio, site: Site, in_bucket: BucketPlace, concurrency: int
) -> None:
    """`concurrency` parts are under way at once, and no more."""
    with FaultyProxy(minio.url) as proxy:
        proxy.set(CallFault(CallFaultKind.HOLD, Call.PART, times=None))
        target = in_bucket.target(site, endpoint=proxy.url, concurrency=concurrency)
        site.describe("parts", full_cluster, target)
        run = site.begin_job(site.job("parts"))
        wait_until("parts are under way", lambda: proxy.count(Call.PART) == concurrency, seconds=30)
        time.sleep(0.5)  # more would come now
        assert proxy.count(Call.PART) == concurrency
        proxy.set()
        ended = run.wait()
        assert_backup(in_bucket, ended)
        assert proxy.count(Call.PART) == -(-ended.result["size"] // PART) > 2
