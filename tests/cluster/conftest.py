"""The control plane of the manager's tests: without a scheduler, its pods are played by a stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.crd_server import with_our_crds
from tests.cluster.operator_site import Site
from tests.harness.control_plane import ControlPlane, Part
from tests.harness.pod_fates import Succeeds
from tests.harness.stand_in_node import StandInNode


@pytest.fixture(scope="session")
def _plane_without_nodes(servers_folder: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(
        servers_folder / "operator-plane",
        parts=(Part.CONTROLLER_MANAGER,),
        # Namespaces are emptied after each test.
        api_arguments=("--delete-collection-workers", "8"),
    )
    with plane:
        yield plane


@pytest.fixture(scope="session")
def _stand_in_for_all(_plane_without_nodes: ControlPlane) -> Iterator[StandInNode]:
    with StandInNode(_plane_without_nodes) as node:
        yield node


@pytest.fixture
def plane(_plane_without_nodes: ControlPlane) -> ControlPlane:
    """A control plane with our CRDs, all of it running, whatever the test before did to it."""
    _plane_without_nodes.heal()
    with_our_crds(_plane_without_nodes)
    return _plane_without_nodes


class Sites:
    """Makes namespaces, each with a name that nobody else uses."""

    def __init__(self, plane: ControlPlane, node: StandInNode, folder: Path, label: str) -> None:
        node.decide_for_all(Succeeds())
        words = re.sub(r"[^a-z0-9]+", "-", label.rpartition("::")[2].lower().removeprefix("test_"))
        self._stem = f"{words[:30].strip('-')}-{abs(hash(label)) % 0xFFFFF:05x}"
        self._plane, self._node, self._folder = plane, node, folder
        self._made: list[Site] = []

    def make(self, *, everywhere: bool = False) -> Site:
        """One more; `everywhere` for a manager of all namespaces."""
        name = f"{self._stem}-{len(self._made)}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        self._made.append(Site(self._plane, self._node, name, folder, everywhere=everywhere))
        return self._made[-1]

    def close(self) -> None:
        """End all that runs there; raises what went wrong."""
        for site in self._made:
            site.close()


@pytest.fixture
def sites(
    plane: ControlPlane, _stand_in_for_all: StandInNode, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Sites]:
    """Namespaces of this test's own; every run succeeds, unless the test decides otherwise."""
    made = Sites(plane, _stand_in_for_all, tmp_path, request.node.nodeid)
    yield made
    made.close()


@pytest.fixture
def site(sites: Sites) -> Site:
    """A namespace of this test's own."""
    return sites.make()


@pytest.fixture(scope="module")
def shared_site(
    _plane_without_nodes: ControlPlane,
    _stand_in_for_all: StandInNode,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Site]:
    """A namespace that all tests of a module share, each with clusters of its own."""
    _plane_without_nodes.heal()
    with_our_crds(_plane_without_nodes)
    label = Path(request.node.nodeid).stem
    made = Sites(_plane_without_nodes, _stand_in_for_all, tmp_path_factory.mktemp(label), label)
    yield made.make()
    made.close()
