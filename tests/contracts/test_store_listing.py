"""More than 10,000 objects are listed in pages by every store: each once, in order, none left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.contracts.answering import Reply, answering, open_vendor
from tests.contracts.stores import s3_credentials
from tests.harness import build
from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.calls import Call
from tests.harness.gcs import FakeGcs
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageUnavailableError
from bao_backup.ports import Store

#: Made in an order that is not that of keys, in three folders, with what has to be escaped.
NAMES = [f"many/{('a b', 'ä+ö', 'z')[number % 3]}/{number:05}" for number in range(10_050)]
#: What a listing of `many` must not give.
BESIDE = ["many-more/1", "mane/1", "manz"]


def check(store: Store, requests: Callable[[], int], pages: int) -> None:
    """Each object once, in the order of keys, by so many requests, each made when it is needed."""
    before = requests()
    listed = store.list("many")
    first = next(listed)
    assert requests() - before <= 2  # the library may ask for one page ahead
    found = [first.key, *(stored.key for stored in listed)]
    assert len(found) == len(set(found)) == len(NAMES)
    assert found == sorted(NAMES)
    assert requests() - before == pages


@pytest.mark.servers
def test_s3(minio: Minio, bucket: str, proxy: FaultyProxy) -> None:
    """MinIO, as Amazon, gives 1,000 at once."""
    minio.root.ask("PUT", f"/{bucket}/manz", body=b"")
    minio.copy_on_disk(bucket, "manz", [*NAMES, *BESIDE[:2]])
    settings = StoreSettings(provider="s3", bucket=bucket, endpoint=proxy.url)
    check(open_store(settings, s3_credentials(minio)), lambda: proxy.count(Call.LIST), pages=11)
    minio.remove_on_disk(bucket, "many")


@pytest.mark.servers
def test_azure(azurite: Azurite, container: str) -> None:
    """Azure gives 5,000 at once."""
    azurite.root.put_empty(container, [*NAMES, *BESIDE])
    with FaultyProxy(azurite.url.removesuffix(f"/{ACCOUNT}")) as proxy:
        settings = StoreSettings(
            provider="azure", account=ACCOUNT, bucket=container, endpoint=f"{proxy.url}/{ACCOUNT}"
        )
        check(open_store(settings, {"accountKey": KEY}), lambda: len(proxy.seen), pages=3)


def google_page(method: str, path: str) -> Reply | None:
    """As Google lists by its XML API ("List objects" of Cloud Storage's documentation): 1,000 at once."""
    query = parse_qs(urlsplit(path).query)
    if method != "GET" or query.get("list-type") != ["2"]:
        return None
    names = sorted(name for name in [*NAMES, *BESIDE] if name.startswith(query["prefix"][0]))
    start = int(query.get("continuation-token", ["0"])[0])
    page, end = names[start : start + 1000], start + 1000
    told = "".join(
        f"<Contents><Key>{name}</Key><Generation>1</Generation><LastModified>2026-11-22T02:00:00.000Z"
        f'</LastModified><ETag>"etag"</ETag><Size>7</Size></Contents>'
        for name in page
    )
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < len(names) else ""
    cut = json.dumps(end < len(names))
    head = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://doc.s3.amazonaws.com/2006-03-01">'
    return Reply(
        200, f"{head}<Name>bucket</Name><IsTruncated>{cut}</IsTruncated>{more}{told}</ListBucketResult>"
    )


def test_gcs_in_pages() -> None:
    """Google gives 1,000 at once; shown on a stand-in, since fake-gcs-server puts all into one answer."""
    with answering() as server:
        server.first = google_page
        check(open_vendor("gs", server.url), lambda: len(server.asked), pages=11)


def test_a_page_that_fails() -> None:
    """What was listed before a page that fails is not taken for the whole: the listing ends in an error."""

    def third_fails(method: str, path: str) -> Reply | None:
        return google_page(method, path) if "continuation-token=2000" not in path else Reply(503)

    with answering() as server:
        server.first = third_fails
        listed = open_vendor("gs", server.url).list("many")
        with pytest.raises(StorageUnavailableError):
            list(listed)
        assert len(server.asked) == 3


@pytest.mark.servers
@pytest.mark.thorough
def test_gcs(servers_folder: Path, tmp_path: Path) -> None:
    """fake-gcs-server gives all at once, and takes about a minute to take so many in."""
    for name in [*NAMES, *BESIDE]:
        path = tmp_path / "data" / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    binary, folder = build.binary("fake-gcs-server"), servers_folder / "gcs-many"
    with FakeGcs(folder, binary, data=tmp_path / "data") as server:
        store = open_vendor("gs", server.url, request_timeout=30)
        assert [stored.key for stored in store.list("many")] == sorted(NAMES)


def test_file(tmp_path: Path) -> None:
    """A folder is read name by name: nothing of it is asked for in pages."""
    for name in [*NAMES, *BESIDE]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    store = open_store(StoreSettings(provider="file", path=str(tmp_path)), {})
    check(store, lambda: 0, pages=0)
