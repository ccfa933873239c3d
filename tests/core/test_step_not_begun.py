"""Runs that were accepted and never began, or were removed: started again, but not against preflight."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.world import World, at

from bao_backup.core.observed import StartRun
from bao_backup.core.status import OperationLock


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec__paused": True}, "Paused"),
        ({"suspend": True}, "Suspended"),
        ({"status__restore": {"name": "x"}}, "RestoreInProgress"),
    ],
)
def test_a_run_that_was_removed_is_not_started_again_against_preflight(
    change: dict[str, Any], reason: str
) -> None:
    """Whoever pauses a cluster and deletes its Job has it stopped; the lock is free."""
    world = World()
    world.lost = (StartRun,)
    world.until(at("01:00"))
    world.lost = ()
    world.edit(**change)
    world.until(at("01:02"))
    assert not world.started
    assert world.lock is None
    assert world.status.last_failure_reason == reason


def test_a_run_does_not_start_again_under_the_lock_of_another() -> None:
    """A restore that took the lock over is not disturbed; the slot is tried again when it is free."""
    world = World()
    world.lost = (StartRun,)
    world.until(at("01:00"))
    world.lost = ()
    world.lock = OperationLock(operation="Restore", holder="openbaorestore/x")
    world.until(at("01:10"))
    assert not world.started
    assert world.lock.holder == "openbaorestore/x"
    assert world.status.last_failure_reason == "OperationLocked"
    world.lock = None
    world.until(at("01:20"))
    assert world.names == ["backup-prod-20261122-010000-r2"]


def test_a_request_whose_run_is_nowhere_is_given_up() -> None:
    """It holds the lock for minutes, not for ever."""
    world = World()
    world.lost = (StartRun,)
    world.trigger = "now"
    world.until(at("00:10"))
    assert world.lock is None
    assert world.status.last_failure_reason == "RunLost"
