"""The fixtures of real backups on a real node: one namespace, one manager and one witness a module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.crd_server import with_our_crds
from tests.cluster.e2e_manager import NAMESPACE, Release
from tests.cluster.e2e_site import RESTRICTED, NodeSite
from tests.cluster.operator_program import Operator
from tests.harness.control_plane import ControlPlane
from tests.harness.minio import ROOT, Minio
from tests.harness.vault import VaultCluster
from tests.servers.program import Witness


@pytest.fixture(scope="module")
def run_witness() -> Iterator[Witness]:
    """Sees all runs of a module; when they are over, no secret was in anything that was said."""
    witness = Witness()
    witness.secret("MinIO's root key", ROOT.secret_key)
    yield witness
    assert witness.places > 0
    assert witness.leaks() == []


@pytest.fixture(scope="module")
def node_site(
    control_plane: ControlPlane,
    operator_image: str,
    pod_vault: VaultCluster,
    pod_minio: Minio,
    run_witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[NodeSite]:
    """A namespace of this module's own, in which pods of the image really run."""
    assert operator_image
    with_our_crds(control_plane)
    control_plane.create_namespace(NAMESPACE, RESTRICTED)
    stem = Path(request.node.nodeid).stem.removeprefix("test_")
    name = re.sub(r"[^a-z0-9]+", "-", f"{stem}-{pod_vault.binary.name}")
    folder = tmp_path_factory.mktemp(name) / "program"
    site = NodeSite(control_plane, pod_vault, pod_minio, name, folder, run_witness)
    yield site
    site.close()


@pytest.fixture(scope="module")
def release(node_site: NodeSite) -> Iterator[Release]:
    """The chart's account and its rights for all namespaces, without a manager in a pod."""
    with Release(node_site.plane, {"replicas": 0}) as release:
        yield release


@pytest.fixture(scope="module")
def manager(
    release: Release, node_site: NodeSite, operator_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """A manager of all namespaces, as a process."""
    log = tmp_path_factory.mktemp("manager") / "manager.log"
    with release.operator(log, operator_image) as operator:
        yield operator
        node_site.witness.saw("metrics", operator.metrics())
    node_site.witness.saw("the manager's log", log.read_text(encoding="utf-8"))
