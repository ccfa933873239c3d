"""What stores promise to programs: memory that does not grow, and nothing left of a killed one."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from tests.contracts.asking import KEY, blocks, keys, read
from tests.contracts.stores import STORES, Place
from tests.contracts.streaming import start
from tests.harness.process import wait_until

from bao_backup.adapters.stores import open_store

OUTSIDE = [store for store in STORES if store.id in {"file", "s3", "azure", "gcs"}]
pytestmark = pytest.mark.parametrize("place", OUTSIDE, indirect=True)


@pytest.fixture
def killed(place: Place) -> Place:
    """A store into which a program was writing 12 MiB when it was killed."""
    with start(place, KEY, 12, hold=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"held\n"
        # What is on its way then is not yet there.
        wait_until("what it leaves", lambda: len(list(place.hidden())) == place.leaves, seconds=20)
        program.kill()
    return place


@pytest.mark.thorough
def test_memory(place: Place) -> None:
    """256 MiB go in and out in a memory that grows by far less."""
    with start(place, KEY, 256) as program:
        output, _ = program.communicate(timeout=120)
    assert program.returncode == 0
    grown = json.loads(output)
    assert grown["put"] < 80 * 1024
    assert grown["get"] < 80 * 1024


def test_killed(killed: Place) -> None:
    """Of an upload that was killed, nothing is visible, and its key can be written again."""
    assert len(list(killed.hidden())) == killed.leaves
    assert keys(killed.store) == []
    killed.store.put(KEY, blocks(6))
    assert read(killed.store) == b"".join(blocks(6))


def test_sweep(killed: Place) -> None:
    """What is dead is swept, below the prefix only, and once; or it is left to the store to drop."""
    assert killed.settings is not None
    time.sleep(1.1)
    store = open_store(msgspec.structs.replace(killed.settings, dead_after=1.0), killed.credentials)
    assert store.sweep("backups/staging") == 0
    assert store.sweep("backups/production/bao/2026") == 0
    if killed.traits.sweeps:
        assert store.sweep("backups/production/bao") == 1
        assert list(killed.hidden()) == []
    assert store.sweep("") == 0


def test_sweep_beside(place: Place) -> None:
    """What another program is writing is not swept."""
    with start(place, KEY, 12, hold=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"held\n"
            wait_until("what it has sent", lambda: len(list(place.hidden())) == place.leaves, seconds=20)
            assert place.store.sweep(KEY.rpartition("/")[0]) == place.store.sweep("") == 0
            assert len(list(place.hidden())) == place.leaves
        finally:
            program.kill()
            program.wait()
