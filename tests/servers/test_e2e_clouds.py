"""Other clouds' stores as targets, end to end: backed up, listed, verified, downloaded and pruned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.http_proxy import FaultyProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import Place, assert_backup, assert_failed, assert_untouched
from tests.servers.program import PART, Site, Witness

pytestmark = pytest.mark.servers


class AzurePlace:
    """A container of Azurite, seen by the account's owner."""

    def __init__(self, azurite: Azurite, container: str) -> None:
        self.azurite = azurite
        self.container = container

    @property
    def server(self) -> str:
        """The URL of the server itself."""
        return self.azurite.url.removesuffix(f"/{ACCOUNT}")

    def target(self, site: Site, server: str = "") -> dict[str, Any]:
        return {
            "provider": "azure",
            "endpoint": f"{server or self.server}/{ACCOUNT}",
            "bucket": "unused",
            "azure": {"storageAccount": ACCOUNT, "container": self.container},
            "partSize": PART,
            "credentialsSecretRef": {"name": site.secret("azure", accountKey=KEY)},
        }

    def wrong_target(self, site: Site) -> dict[str, Any]:
        """A container that is not there."""
        return {**self.target(site), "azure": {"storageAccount": ACCOUNT, "container": "missing"}}

    def visible(self) -> list[str]:
        return self.azurite.root.keys_in(self.container)

    def read(self, key: str) -> bytes:
        return self.azurite.root.get(self.container, key)

    def leftovers(self) -> Sequence[object]:
        return self.azurite.root.unfinished(self.container)


class GooglePlace:
    """A bucket of fake-gcs-server."""

    def __init__(self, gcs: FakeGcs, bucket: str) -> None:
        self.gcs = gcs
        self.bucket = bucket
        self.server = gcs.url

    def target(self, site: Site, server: str = "") -> dict[str, Any]:
        secret = site.secret("google", **{"credentials.json": AccountKey().file})
        return {
            "provider": "gcs",
            "endpoint": server or self.server,
            "bucket": self.bucket,
            "gcs": {"project": "test"},
            "partSize": PART,
            "credentialsSecretRef": {"name": secret},
        }

    def wrong_target(self, site: Site) -> dict[str, Any]:
        """A bucket that is not there."""
        return {**self.target(site), "bucket": "missing"}

    def visible(self) -> list[str]:
        return self.gcs.keys_in(self.bucket)

    def read(self, key: str) -> bytes:
        return self.gcs.get(self.bucket, key)

    def leftovers(self) -> Sequence[object]:
        """Nobody can list them there."""
        return []


@pytest.fixture
def gcs(request: pytest.FixtureRequest) -> GooglePlace:
    """A bucket."""
    return GooglePlace(request.getfixturevalue("fake_gcs"), request.getfixturevalue("gcs_bucket"))


@pytest.fixture
def azure(request: pytest.FixtureRequest) -> AzurePlace:
    """A container."""
    return AzurePlace(request.getfixturevalue("azurite"), request.getfixturevalue("container"))


Cloud = AzurePlace | GooglePlace


@pytest.fixture(params=["azure", "gcs"])
def cloud(request: pytest.FixtureRequest, witness: Witness) -> Iterator[Cloud]:
    """Each cloud in turn; the witness reads the receipts that are left in it."""
    place: Cloud = request.getfixturevalue(request.param)
    yield place
    for key in (key for key in place.visible() if key.endswith(".json")):
        witness.saw(key, place.read(key))


def backed_up(site: Site, place: Place) -> str:
    """Make a backup; gives its key."""
    before = set(place.visible())
    ended = site.begin_job(site.job("clouded", retention=None)).wait()
    assert ended.code == 0, ended.err
    key: str = ended.result["key"]
    assert set(place.visible()) - before == {key, f"{key}.json"}
    return key


def test_all_commands(full_vault: VaultCluster, site: Site, cloud: Cloud, tmp_path: Path) -> None:
    """A backup in several parts is proven where it lies, comes back byte for byte, and is pruned."""
    site.describe("clouded", full_vault, cloud.target(site), retention={"maxCount": 1})
    first = site.begin_job(site.job("clouded")).wait()
    assert_backup(cloud, first)
    assert first.result["size"] > PART
    time.sleep(1)  # keys, and Azure's own times, tell seconds: of two in one nobody knows the newer
    second = backed_up(site, cloud)
    listed = site.run("list", "clouded", "--output", "json").json["backups"]
    assert {(each["key"], each["proven"]) for each in listed} == {
        (key, True) for key in (first.result["key"], second)
    }
    verified = site.run("verify", "clouded", "--all", "--output", "json")
    assert verified.code == 0, verified.err
    assert [each["verdict"] for each in verified.json] == ["Proven", "Proven"]
    file = tmp_path / "latest.snap"
    assert site.run("download", "clouded", second, str(file)).code == 0
    assert file.read_bytes() == cloud.read(second)
    pruned = site.run("prune", "clouded", "--output", "json")
    assert pruned.json["outcome"]["dropped"] == [first.result["key"]], pruned.err
    assert cloud.visible() == [second, f"{second}.json"]


def test_a_run_that_is_killed(full_vault: VaultCluster, site: Site, cloud: Cloud) -> None:
    """Nothing of it is visible, and the next run is well, whatever it left unseen."""
    with FaultyProxy(cloud.server) as proxy:
        proxy.set(CallFault(CallFaultKind.HOLD, Call.PUT, nth=2))
        site.describe("clouded", full_vault, cloud.target(site, proxy.url))
        run = site.begin_job(site.job("clouded"))
        assert proxy.reached.wait(30)
        run.kill()
        assert cloud.visible() == []
    site.describe("clouded", full_vault, cloud.target(site))
    assert len(cloud.read(backed_up(site, cloud))) > PART


def test_bucket_is_missing(full_vault: VaultCluster, site: Site, cloud: Cloud) -> None:
    """Exit 5 says so, and nothing is made."""
    site.describe("clouded", full_vault, cloud.wrong_target(site))
    ended = site.begin_job(site.job("clouded")).wait()
    assert_failed(ended, 5, "BucketNotFound")
    assert_untouched(cloud)
