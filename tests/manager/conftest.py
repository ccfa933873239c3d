"""What the manager's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.manager.site import Site

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer


@pytest.fixture
def server() -> Iterator[DevelopmentServer]:
    """A development server whose snapshots have some chunks, so that a rate can hold them."""
    with DevelopmentServer(DevelopmentCluster(padding=1 << 20, level=1)) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, server: DevelopmentServer) -> Iterator[Site]:
    """A manager's surroundings; runs that a test left behind are ended with it."""
    site = Site(tmp_path, server)
    yield site
    site.end_runs()
