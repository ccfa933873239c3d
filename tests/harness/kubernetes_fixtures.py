"""The fixtures of a real Kubernetes, for every folder of tests.

The control plane needs nothing but its binaries. A node needs root and three packages of Debian's:
where they cannot be had, the tests that need a node are skipped, and the summary says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import network
from tests.harness.control_plane import ControlPlane
from tests.harness.network import Network


@pytest.fixture(scope="session")
def pod_network() -> Iterator[Network]:
    """The subnet of this run's pods, which no other run uses at the same time."""
    with network.claimed() as claimed:
        yield claimed


@pytest.fixture(scope="session")
def _control_plane_for_all(servers_folder: Path, pod_network: Network) -> Iterator[ControlPlane]:
    with ControlPlane(servers_folder / "control-plane", network=pod_network, audit=True) as plane:
        yield plane


@pytest.fixture
def control_plane(_control_plane_for_all: ControlPlane) -> ControlPlane:
    """A whole control plane, all of it running, whatever the test before did to it."""
    _control_plane_for_all.heal()
    return _control_plane_for_all
