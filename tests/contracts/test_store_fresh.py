"""Credentials of a Secret that are replaced while a store is in use: it goes on with the new ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.contracts.asking import KEY, MIB, blocks
from tests.harness.azurite import ACCOUNT, Azurite
from tests.harness.gcs_identities import AccountKey
from tests.harness.gcs_uploads import ResumableService
from tests.harness.minio import Minio
from tests.harness.s3 import Keys

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.fresh import LIFE, Fresh
from bao_backup.adapters.stores.s3_identity import Identity, choose_identity
from bao_backup.adapters.system import read_secret_folder
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings

RIGHTS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
]


def chosen(given: Mapping[str, str]) -> tuple[str, str]:
    """A pair of keys, of which both must be there."""
    if not given.get("accessKeyId") or not given.get("secretAccessKey"):
        raise ConfigurationError("choose", "a half")
    return given["accessKeyId"], given["secretAccessKey"]


def pair(name: str) -> dict[str, str]:
    """Keys as a Secret has them."""
    return {"accessKeyId": f"key-{name}", "secretAccessKey": f"secret-{name}"}


def test_without_a_way_to_read_them_again_they_stay() -> None:
    """As those of an environment, which nobody can change from without."""
    fresh = Fresh(("key", "secret"), chosen, None, pair("a"))
    assert fresh() == ("key", "secret")
    assert fresh.until() is None


def test_they_are_those_that_are_there_now() -> None:
    """Each time; and they count for a short while."""
    there = pair("a")
    fresh = Fresh(chosen(there), chosen, lambda: dict(there), there)
    assert fresh() == ("key-a", "secret-a")
    there |= pair("b")
    assert fresh() == ("key-b", "secret-b")
    until = fresh.until()
    assert until is not None
    assert timedelta() < until - datetime.now(UTC) <= LIFE


def test_what_cannot_be_used_changes_nothing() -> None:
    """A folder that is gone, half a Secret, and one that is exchanged in the middle of the reading."""

    def gone() -> Mapping[str, str]:
        raise ConfigurationError("read", "gone")

    between = iter([pair("b") | {"secretAccessKey": "secret-a"}, pair("b")])
    agains: list[Callable[[], Mapping[str, str]]] = [
        gone,
        lambda: {"accessKeyId": "key-b"},
        lambda: next(between),
    ]
    for again in agains:
        assert Fresh(chosen(pair("a")), chosen, again, pair("a"))() == ("key-a", "secret-a")


def test_another_kind_is_none_of_them() -> None:
    """Who came by keys does not go on as somebody else."""
    fresh: Fresh[object] = Fresh(("key", "secret"), lambda _given: "a role", dict, {})
    assert fresh() == ("key", "secret")


def test_keys_that_are_gone_are_not_replaced_by_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes them anew may remove the old files first; a region and a CA are nobody's keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-another")
    settings = StoreSettings(provider="s3", bucket="bucket")

    def choose(given: Mapping[str, str]) -> Identity:
        return choose_identity(settings, given, "us-east-1", os.environ, "open s3://bucket")

    lefts: list[dict[str, str]] = [{}, {"region": "eu-central-1", "caCert": "a CA"}, {"accessKeyId": ""}]
    for left in lefts:
        assert Fresh(choose(pair("a")), choose, left.copy, pair("a"))() == choose(pair("a"))


def test_who_never_was_among_them_may_be_replaced_elsewhere() -> None:
    """As in the file of an environment's variable, beside a Secret that holds a CA alone."""
    elsewhere = ["one"]
    only_a_ca = {"caCert": "a CA"}
    fresh = Fresh("one", lambda _given: elsewhere[0], only_a_ca.copy, only_a_ca)
    elsewhere[0] = "another"
    assert fresh() == "another"


# --- in the middle of an upload ------------------------------------------------------------------


def write(folder: Path, **files: str) -> None:
    """A Secret, as it is mounted."""
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(value)


def source(exchange: Callable[[], None]) -> Iterator[bytes]:
    """Two halves, and between them the old credentials end."""
    yield from blocks(11)
    exchange()
    yield from blocks(12, seed=8)


BODY = b"".join([*blocks(11), *blocks(12, seed=8)])


@pytest.mark.servers
def test_s3(minio: Minio, bucket: str, tmp_path: Path) -> None:
    """The user of the first half is gone in the second; the sweep comes with the new keys, too."""
    users = [minio.add_user(f"fresh-{number}", "secret-of-fresh", RIGHTS, [bucket]) for number in (1, 2)]
    folder = tmp_path / "secret"

    def give(keys: Keys) -> None:
        write(folder, accessKeyId=keys.access_key, secretAccessKey=keys.secret_key)

    def exchange() -> None:
        give(users[1].keys)
        time.sleep(LIFE.total_seconds())  # whoever replaces keys lets the old ones live for a while
        minio.remove_user("fresh-1")

    give(users[0].keys)
    settings = StoreSettings(
        provider="s3", bucket=bucket, endpoint=minio.url, part_size=5 * MIB, concurrency=1, max_retries=0
    )
    store = open_store(settings, read_secret_folder(str(folder)), lambda: read_secret_folder(str(folder)))
    store.put(KEY, source(exchange))
    assert minio.root.get(bucket, KEY) == BODY
    assert store.sweep("") == 0
    fixed = open_store(settings, {"accessKeyId": "fresh-1", "secretAccessKey": "secret-of-fresh"})
    with pytest.raises(StorageError):
        fixed.head(KEY)


@pytest.mark.servers
def test_azure(azurite: Azurite, container: str, tmp_path: Path) -> None:
    """A signature that has ended is followed by the next one, for the library and for our own requests."""
    folder = tmp_path / "secret"
    seconds = int(LIFE.total_seconds()) + 2
    first = azurite.root.shared_access(seconds=seconds)
    write(folder, sasToken=first)

    def exchange() -> None:
        write(folder, sasToken=azurite.root.shared_access(seconds=3600))
        time.sleep(seconds + 1)

    settings = StoreSettings(
        provider="azure",
        account=ACCOUNT,
        bucket=container,
        endpoint=azurite.url,
        part_size=5 * MIB,
        max_retries=0,
    )
    store = open_store(settings, read_secret_folder(str(folder)), lambda: read_secret_folder(str(folder)))
    store.put(KEY, source(exchange))
    assert azurite.root.get(container, KEY) == BODY
    store.delete(KEY)
    with pytest.raises(StorageError):
        open_store(settings, {"sasToken": first}).head(KEY)


def test_google(tmp_path: Path) -> None:
    """Each token is signed with the key that is there then."""
    keys, folder = [AccountKey(), AccountKey()], tmp_path / "secret"
    write(folder, **{"credentials.json": keys[0].file})
    with ResumableService() as service:
        settings = StoreSettings(provider="gcs", bucket="bucket", endpoint=service.url)
        store = open_store(settings, read_secret_folder(str(folder)), lambda: read_secret_folder(str(folder)))
        write(folder, **{"credentials.json": keys[1].file})
        store.put("key", blocks(1))
        (header,) = service.shown
        assert keys[1].claims(header.removeprefix("Bearer "))
