"""The fixtures of a real Kubernetes, for every folder of tests.

The control plane needs nothing but its binaries. A node needs root and three packages of Debian's, which
are installed where that can be done: where not, the tests that need a node are skipped, and the
summary says why. All are for the whole run; what a test breaks is mended before the next one that uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import account_logins, build, image, network, node_machine
from tests.harness.certificates import Authority
from tests.harness.control_plane import ControlPlane
from tests.harness.minio import Minio, OpenId
from tests.harness.network import Network
from tests.harness.node import Node
from tests.harness.vault import VaultCluster

#: Whom the tokens are for that AWS, and here MinIO, exchanges for keys.
KEYS_AUDIENCE = "sts.amazonaws.com"
#: What such keys may do: nothing, until a test calls `Minio.add_policy` with this name.
KEYS_POLICY = "for-tokens"
#: What needs mending, by the fixture that gives it.
_running = pytest.StashKey[dict[str, ControlPlane | Node | VaultCluster]]()
_no_node = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing runs yet."""
    config.stash[_running] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start whatever the test before left dead, if this one uses it."""
    used = getattr(item, "fixturenames", ())
    for name, server in item.config.stash[_running].items():
        if name in used:
            server.heal()


@pytest.fixture(scope="session")
def pod_network() -> Iterator[Network]:
    """The subnet of this run's pods, which no other run uses at the same time."""
    with network.claimed() as claimed:
        yield claimed


@pytest.fixture(scope="session")
def control_plane(
    servers_folder: Path, pod_network: Network, pytestconfig: pytest.Config
) -> Iterator[ControlPlane]:
    """A whole control plane with an authority of its own; it writes down who asked for what."""
    with ControlPlane(servers_folder / "control-plane", network=pod_network, audit=True) as plane:
        pytestconfig.stash[_running]["control_plane"] = plane
        yield plane
        del pytestconfig.stash[_running]["control_plane"]


@pytest.fixture(scope="session")
def real_node(
    control_plane: ControlPlane, servers_folder: Path, pytestconfig: pytest.Config
) -> Iterator[Node]:
    """A node of `control_plane`, ready for pods; skips, with the reason, where there can be none."""
    lacks = node_machine.provide()
    if lacks:
        pytestconfig.stash[_no_node] = lacks
        pytest.skip(lacks)
    with Node(control_plane, servers_folder / "node") as node:
        pytestconfig.stash[_running]["real_node"] = node
        yield node
        del pytestconfig.stash[_running]["real_node"]


@pytest.fixture(scope="session")
def operator_image(real_node: Node, servers_folder: Path) -> str:
    """The name of bao-backup's image on the node, made from the wheel; no pod may pull it."""
    tar = image.build_image(servers_folder / "image" / "bao-backup.tar")
    real_node.image_import(tar)
    tar.unlink()
    return image.NAME


@pytest.fixture(scope="session")
def pod_vault(
    real_node: Node,
    servers_folder: Path,
    vault_binary: Path,
    authority: Authority,
    pytestconfig: pytest.Config,
) -> Iterator[VaultCluster]:
    """A cluster of one node with TLS at an address that pods reach; `account_logins` sets up logins."""
    folder = servers_folder / f"{vault_binary.name}-for-pods"
    plugins = account_logins.plugin_folder()
    with VaultCluster(
        folder, vault_binary, authority=authority, address=real_node.address, plugins=plugins
    ) as cluster:
        pytestconfig.stash[_running]["pod_vault"] = cluster
        yield cluster
        del pytestconfig.stash[_running]["pod_vault"]


@pytest.fixture(scope="session")
def pod_minio(
    real_node: Node, control_plane: ControlPlane, servers_folder: Path, authority: Authority
) -> Iterator[Minio]:
    """MinIO with TLS at an address that pods reach; it exchanges tokens for `KEYS_AUDIENCE`."""
    openid = minio_openid(control_plane)
    folder = servers_folder / "minio-for-pods"
    with Minio(folder, build.binary("minio"), authority, openid, real_node.address) as server:
        yield server


def minio_openid(control_plane: ControlPlane) -> OpenId:
    """Whom a MinIO trusts that takes a control plane's tokens; its `role` is what a client names."""
    return OpenId(control_plane.issuer, KEYS_AUDIENCE, KEYS_POLICY, control_plane.ca_file)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say it where pods could not run."""
    lacks = config.stash.get(_no_node, "")
    if lacks:
        terminalreporter.write_line(f"Kubernetes pods: not tested, {lacks}")
