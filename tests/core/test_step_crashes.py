"""Whatever happens, in whatever order: no slot is lost, no run begins twice, no success is made up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.core.world import HOUR, MINUTE, SECOND, World

from bao_backup.core.model import Trigger
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Health, RunState, StartRun
from bao_backup.core.status import LOCK_HOLDER, BackupStatus, OperationLock
from bao_backup.core.step import step

OTHERS = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade")
BACKUP = World().content["spec"]["backup"]
EDITS = [
    {"suspend": True},
    {"suspend": False},
    {"spec__paused": True},
    {"spec__paused": False},
    {"schedule": "*/15 * * * *"},
    {"schedule": "0 * * * *"},
    {"schedule": "@every 20s"},
    {"schedule": "not a schedule"},
    {"startingDeadlineSeconds": 100},
    {"startingDeadlineSeconds": None},
    {"jitterSeconds": 45},
    {"status__phase": "Upgrading"},
    {"status__phase": "Running"},
    {"spec__backup": None},
    {"spec__backup": BACKUP},
]


class Watched(World):
    """A world that reckons by itself how many slots failed one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[object] = set()
        self.succeeded = 0

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        decided, before = step(self.seen, self.now), self.status.attempt
        assert decided.status == status
        saved = await super().save(uid, version, status, lock)
        for event in decided.actions if saved else ():
            if isinstance(event, Emit):
                self._count(event, before and (before.slot, before.trigger))
        return saved

    def _count(self, event: Emit, attempt: object) -> None:
        if event.reason == "BackupCompleted":
            self.failed.clear()
            self.succeeded += 1
        elif event.reason == "BackupFailed":
            self.failed.add(attempt)
        elif event.reason == "BackupMissed":
            self.failed.add(event.message)


class Life(RuleBasedStateMachine):
    """A cluster's life: time passes, runs end, people change things, the manager dies anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Watched()
        self.good: set[str] = set()
        self.others: list[str] = []

    @rule(seconds=st.sampled_from([1, 19, 60, 61, 300, 900, 3600, 40_000, 400_000]), rounds=st.booleans())
    def time_passes(self, seconds: int, rounds: bool) -> None:
        """With the manager awake at each wake, or busy elsewhere until the end."""
        later = self.world.now + timedelta(seconds=seconds)
        if rounds and seconds < 4000:
            self.world.until(later)
        self.world.now = later

    @rule(call=st.integers(0, 8))
    def manager_dies(self, call: int) -> None:
        """At any call of one round, or not at all when there are fewer."""
        self.world.dies_at = call
        self.world.round_or_death()

    @rule(lost=st.sampled_from([StartRun, ForgetRun, ClearTrigger]))
    def action_is_lost(self, lost: type[StartRun]) -> None:
        """And nobody notices."""
        self.world.lost = (lost,)
        self.world.round()
        self.world.lost = ()

    @precondition(lambda self: self.unfinished())
    @rule(reason=st.sampled_from(["", "", "NoLeader", "NoResult"]), seconds=st.integers(10, 5000))
    def run_ends(self, reason: str, seconds: int) -> None:
        """Well, badly, or without a word."""
        name = self.world.unfinished
        self.world.finish(reason=reason, after=timedelta(seconds=seconds), said=reason != "NoResult")
        if not reason:
            self.good.add(name)

    @precondition(lambda self: self.unfinished())
    @rule()
    def run_is_removed(self) -> None:
        """By somebody who thought that it was of no use."""
        self.world.runs.pop(self.world.unfinished)
        self.world.started.pop()  # it may begin again

    @rule(change=st.sampled_from(EDITS), keep=st.booleans())
    def person_edits(self, change: dict[str, object], keep: bool) -> None:
        """Rightly or wrongly."""
        if self.world.content["spec"].get("backup") is None and "spec__backup" not in change:
            return
        self.world.edit(keep_last=keep, **change)

    @rule(value=st.sampled_from(["a", "b", ""]))
    def person_asks(self, value: str) -> None:
        """For a run now, or not any more."""
        self.world.trigger = value

    @rule(lock=st.sampled_from([OTHERS, None]))
    def another_holder_locks(self, lock: OperationLock | None) -> None:
        """Only a lock that is free is taken, and only its holder releases it."""
        held = self.world.lock
        if held is None or held.holder != LOCK_HOLDER:
            self.world.lock = lock
            self.world.version += 1

    @rule(state=st.sampled_from(RunState))
    def another_manager_runs(self, state: RunState) -> None:
        """Under a name that might be ours."""
        name = f"backup-prod-{self.world.now:%Y%m%d-%H%M%S}"
        if name not in self.world.runs:
            self.world.theirs(name, state)
            self.others.append(name)

    @rule(ready=st.sampled_from([None, True, False]), room=st.booleans())
    def server_and_manager_change(self, ready: bool | None, room: bool) -> None:
        """Sealed and unsealed; too many runs, or not."""
        self.world.health = None if ready is None else Health(ready=ready, reason="Sealed")
        self.world.room = room

    def unfinished(self) -> bool:
        """Whether a run of ours is under way."""
        return any(r.ours and r.state is RunState.UNFINISHED for r in self.world.runs.values())

    @invariant()
    def it_settles_into_what_must_hold(self) -> None:
        """At any time the manager comes to rest, and then everything is as promised."""
        world = self.world
        world.settle()
        status = world.status
        assert status.consecutive_failures == len(world.failed), "it counts slots"
        assert status.successful_backups == world.succeeded
        last = status.last_successful_backup
        good = {run.key for run in world.started if run.name in self.good}
        assert last is None or last.key in good, "a success that no result told of"
        numbers = [(run.slot, run.trigger, run.number) for run in world.started]
        assert len(set(numbers)) == len(numbers)

    def teardown(self) -> None:
        """When all obstacles are gone, the next slots run as if nothing had been."""
        world = self.world
        world.edit(spec__backup=None)
        world.edit(spec__backup={**BACKUP, "schedule": "0 * * * *"}, spec__paused=False)
        world.edit(status__phase="Running")
        world.lock = OTHERS if world.lock is None else world.lock
        world.lock = None if world.lock == OTHERS else world.lock
        world.health, world.room, world.trigger = None, True, ""
        for name in self.others:
            world.theirs(name, RunState.FINISHED)
        world.settle()
        for _ in range(15):  # what is left over: its run, a retry, a slot
            world.until(world.now + 4 * MINUTE)
            if self.unfinished():
                world.finish(after=20 * SECOND)
        world.settle()
        hour = world.now.replace(minute=0, second=0, microsecond=0) + HOUR
        for slot in (hour, hour + HOUR):
            world.until(slot)
            assert (world.started[-1].slot, world.started[-1].trigger) == (slot, Trigger.SCHEDULED)
            world.finish(after=MINUTE)
            world.settle()
        assert world.status.consecutive_failures == 0


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLife = pytest.mark.thorough(Life.TestCase)
