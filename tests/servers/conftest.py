"""What the end-to-end tests share: the witness of all runs, a site, and where backups go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness.certificates import Authority
from tests.harness.minio import ROOT, Minio
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, FolderPlace, Place
from tests.servers.program import FILLED, FILLED_THREE, Site, Witness

_filled = pytest.StashKey[set[Path]]()


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    """Sees all runs of a module; when they are over, no secret was in anything that they said."""
    witness = Witness()
    witness.secret("MinIO's access key", ROOT.access_key)
    witness.secret("MinIO's secret key", ROOT.secret_key)
    yield witness
    assert witness.places > 0
    assert witness.leaks() == []


@pytest.fixture
def site(tmp_path: Path, witness: Witness) -> Iterator[Site]:
    """A folder with documents and Secrets, and the program to run with them."""
    site = Site(tmp_path / "site", witness)
    yield site
    site.end()


@pytest.fixture
def in_bucket(minio: Minio, bucket: str, witness: Witness) -> Iterator[BucketPlace]:
    """A bucket of MinIO; the witness reads the receipts that are left in it."""
    place = BucketPlace(minio, bucket)
    yield place
    _show_receipts(place, witness)


@pytest.fixture
def in_folder(tmp_path: Path, witness: Witness) -> Iterator[FolderPlace]:
    """A folder; the witness reads the receipts that are left in it."""
    (tmp_path / "backups").mkdir()
    place = FolderPlace(tmp_path / "backups")
    yield place
    _show_receipts(place, witness)


@pytest.fixture
def places(in_bucket: BucketPlace, in_folder: FolderPlace) -> dict[str, Place]:
    """Both kinds of target, by the name of the cluster that goes to each."""
    return {"to-bucket": in_bucket, "to-folder": in_folder}


@pytest.fixture(scope="session")
def _full_vault_for_all(
    servers_folder: Path, vault_binary: Path, authority: Authority
) -> Iterator[VaultCluster]:
    folder = servers_folder / f"{vault_binary.name}-full"
    with VaultCluster(folder, vault_binary, authority=authority) as cluster:
        cluster.fill(FILLED)
        yield cluster


@pytest.fixture
def full_vault(_full_vault_for_all: VaultCluster) -> VaultCluster:
    """A cluster of one node, with enough in it for a snapshot of several parts.

    It is not the one of `vault`, whose users count on small snapshots.
    """
    _full_vault_for_all.heal()
    return _full_vault_for_all


@pytest.fixture
def full_cluster(vault_cluster: VaultCluster, request: pytest.FixtureRequest) -> VaultCluster:
    """The cluster of three nodes, with enough in it for a snapshot of several parts."""
    filled = request.config.stash.setdefault(_filled, set())
    if vault_cluster.folder not in filled:
        vault_cluster.fill(FILLED_THREE)
        filled.add(vault_cluster.folder)
    return vault_cluster


def _show_receipts(place: Place, witness: Witness) -> None:
    for key in (key for key in place.visible() if key.endswith(".json")):
        witness.saw(key, place.read(key))
