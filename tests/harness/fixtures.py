"""The fixtures of real servers, for every folder of tests.

Each server is built at its first use where it is missing, started once, and ended with the run. They
are meant for one process: with pytest-xdist every worker would start servers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.minio import Minio


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this run's servers keep their data, logs and certificates."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def authority(servers_folder: Path) -> Authority:
    """The certificate authority of this run's servers and proxies."""
    return Authority(servers_folder / "authority")


@pytest.fixture(scope="session")
def _minio_for_all(servers_folder: Path) -> Iterator[Minio]:
    with Minio(servers_folder / "minio", build.binary("minio")) as server:
        yield server


@pytest.fixture
def minio(_minio_for_all: Minio) -> Minio:
    """MinIO over plain HTTP, running, whatever the test before did to it."""
    if not _minio_for_all.process.running:
        _minio_for_all.start()
    return _minio_for_all


@pytest.fixture(scope="session")
def minio_tls(servers_folder: Path, authority: Authority) -> Iterator[Minio]:
    """MinIO over TLS, with a certificate of `authority`."""
    with Minio(servers_folder / "minio-tls", build.binary("minio"), authority) as server:
        yield server


@pytest.fixture
def bucket(minio: Minio, request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket of this test's own on `minio`; it is removed with all that is in it."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    minio.root.make_bucket(name)
    yield name
    if not minio.process.running:
        minio.start()
    minio.root.remove_bucket(name)
