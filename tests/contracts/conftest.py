"""What the contracts' tests share."""

from __future__ import annotations

import pytest
from tests.contracts.stores import STORES, Place

from bao_backup.ports import Store


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store in turn, fresh and empty."""
    opened: Place = request.param(request)
    return opened


@pytest.fixture
def store(place: Place) -> Store:
    """The store alone."""
    return place.store
