"""The fixtures of real servers, for every folder of tests.

Each server is built at its first use where it is missing, started once, and ended with the run. They
are meant for one process: with pytest-xdist every worker would start servers of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.gcs import FakeGcs
from tests.harness.identities import OpenIdIssuer
from tests.harness.minio import Minio, OpenId
from tests.harness.vault import VaultCluster

#: Both servers where there is an OpenBao, since all tests of a cluster run against each.
SERVERS = ["vault", "bao"] if shutil.which("bao") else ["vault"]
NOT_TESTED = "OpenBao: not tested, Vault in its place"
_vault_was_used = pytest.StashKey[bool]()


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


@pytest.fixture(scope="session")
def issuer(authority: Authority) -> Iterator[OpenIdIssuer]:
    """Who issues tokens as a Kubernetes API server does, and publishes what proves them."""
    with OpenIdIssuer(authority.server_context("issuer")) as issuer:
        yield issuer


@pytest.fixture(scope="session")
def minio_roles(servers_folder: Path, authority: Authority, issuer: OpenIdIssuer) -> Iterator[Minio]:
    """MinIO over TLS that exchanges the tokens of `issuer` for keys of a role, whose policy a test makes."""
    openid = OpenId(issuer.url, "sts.amazonaws.com", "of-the-role")
    binary = build.binary("minio")
    with Minio(servers_folder / "minio-roles", binary, authority, openid) as server:
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


@pytest.fixture(scope="session")
def fake_gcs(servers_folder: Path) -> Iterator[FakeGcs]:
    """A fake-gcs-server."""
    with FakeGcs(servers_folder / "gcs", build.binary("fake-gcs-server")) as server:
        yield server


@pytest.fixture
def gcs_bucket(fake_gcs: FakeGcs, request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket of this test's own on `fake_gcs`; it is removed with all that is in it."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    fake_gcs.make_bucket(name)
    yield name
    fake_gcs.remove_bucket(name)


@pytest.fixture(scope="session", params=SERVERS)
def vault_binary(request: pytest.FixtureRequest) -> Path:
    """The server of clusters: Vault, built here, and OpenBao where one is on the PATH."""
    request.config.stash[_vault_was_used] = True
    if request.param == "vault":
        return build.binary("vault")
    return Path(shutil.which(request.param) or request.param)


@pytest.fixture(scope="session")
def _vault_for_all(servers_folder: Path, vault_binary: Path, authority: Authority) -> Iterator[VaultCluster]:
    folder = servers_folder / f"{vault_binary.name}-1"
    with VaultCluster(folder, vault_binary, authority=authority) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _cluster_for_all(
    servers_folder: Path, vault_binary: Path, authority: Authority
) -> Iterator[VaultCluster]:
    folder = servers_folder / f"{vault_binary.name}-3"
    with VaultCluster(folder, vault_binary, count=3, authority=authority) as cluster:
        yield cluster


@pytest.fixture
def vault(_vault_for_all: VaultCluster) -> VaultCluster:
    """A cluster of one node with TLS, unsealed, whatever the test before did to it."""
    _vault_for_all.heal()
    return _vault_for_all


@pytest.fixture
def vault_cluster(_cluster_for_all: VaultCluster) -> VaultCluster:
    """A cluster of three nodes with TLS, all unsealed, whatever the test before did to them."""
    _cluster_for_all.heal()
    return _cluster_for_all


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say it where a run that needed a cluster had no OpenBao."""
    if config.stash.get(_vault_was_used, False) and "bao" not in SERVERS:
        terminalreporter.write_line(NOT_TESTED)
