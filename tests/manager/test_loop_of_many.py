"""The manager's loop with many clusters: the first looks at all, and those that nobody asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.manager.loop_stage import Stage, until, went_round

from bao_backup.flows.manager import Manager


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A manager that was not started yet."""
    return Stage(tmp_path)


def test_looks_are_spread(stage: Stage) -> None:
    """With nothing to do each cluster is looked at every 5 minutes at least, but not all of them at once."""
    uids = [stage.put(f"bao-{number:02}") for number in range(40)]
    bursts = []

    async def play(manager: Manager) -> None:
        await until(lambda: set(stage.runtime.asked) == set(uids))
        await until(partial(went_round, manager, manager.rounds + 3))
        stage.runtime.asked.clear()
        for _ in range(20):
            seen = len(stage.runtime.asked)
            stage.clock.time += timedelta(seconds=15)
            await until(partial(went_round, manager, manager.rounds + 3))
            bursts.append(len(stage.runtime.asked) - seen)

    stage.run(play, *uids, rest=0.005)
    assert set(stage.runtime.asked) == set(uids)
    assert max(bursts) <= len(uids) / 4


def test_caught_up_when_all_were_looked_at(stage: Stage) -> None:
    """Whoever waits for the first looks goes on when all of them are over."""
    uids = [stage.put(f"bao-{number:02}") for number in range(40)]

    async def play(manager: Manager) -> None:
        await manager.caught_up(0.05)
        assert set(stage.runtime.asked) == set(uids)
        assert all(stage.runtime.status(uid).next_scheduled_backup for uid in uids)

    stage.run(play, *uids)


def test_caught_up_though_one_hangs(stage: Stage) -> None:
    """A look that does not end, as when a server hangs, holds up nobody who waits for the others."""
    uids = [stage.put(f"bao-{number:02}") for number in range(4)]
    stage.runtime.slow = {uids[0]: asyncio.Event()}
    stage.runtime.ask(uids[0], "please")

    async def play(manager: Manager) -> None:
        await manager.caught_up(0.05)
        assert set(stage.runtime.asked) == set(uids)
        assert not stage.runtime.started
        stage.runtime.slow[uids[0]].set()
        await until(lambda: stage.runtime.started)

    stage.run(play, *uids)
