"""Wherever the manager dies, whoever deletes what: a restore begins once at most, and no lock is left."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.core.restore_world import BACK, CLUSTER, MINUTE, SECOND, RestoreWorld

from bao_backup.core.observed import RunState
from bao_backup.core.restore_spec import RestorePhase
from bao_backup.core.status import OperationLock

UPGRADE = OperationLock(operation="Upgrade", holder="openbaocluster/upgrade")
#: More calls than any round makes.
CALLS = range(9)
#: Of so many rounds no one is before the document, or the run, goes.
NEVER = 6
OFTEN = {"spec.backup.schedule": "*/10 * * * *"}
EDITS: list[dict[str, Any]] = [OFTEN, OFTEN | {"spec.paused": True}, OFTEN | {"status.upgrade": {}}]
ASKS: list[dict[str, Any]] = [
    {},
    {"spec.force": True, "spec.overrideOperationLock": True},
    {"spec.source": {}},
    {"spec.cluster": "nowhere"},
]


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("deleted_after", range(NEVER + 1))
def test_two_deaths_and_a_deletion(first: int, deleted_after: int) -> None:
    """The manager dies in two rounds at any calls, and the document goes at any time, or never."""
    for second, early in product(CALLS, (False, True)):
        world = live(first, second, early=early, deleted_after=deleted_after)
        if world.under_way:
            world.clusters.end_restore(CLUSTER, "restore-back", world.good())
        world.settle()
        assert world.names in ([], ["restore-back"])
        assert world.holder == ""
        assert world.cluster_seen().restore_runs == ()
        if deleted_after == NEVER:
            assert world.names == ["restore-back"]
            assert world.status().phase is RestorePhase.COMPLETED


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("lost_after", range(NEVER))
def test_two_deaths_and_a_run_that_is_removed(first: int, lost_after: int) -> None:
    """Whenever somebody removes the run: it began once at most, and where it may have, none begins again."""
    for second, early, dead in product(CALLS, (False, True), (False, True)):
        world = live(first, second, early=early, lost_after=lost_after, dead=dead)
        if world.under_way:
            world.clusters.end_restore(CLUSTER, "restore-back", world.good())
        world.settle()
        assert world.names in ([], ["restore-back"])
        assert world.holder == ""
        assert world.cluster_seen().restore_runs == ()
        status = world.status()
        if status.phase is RestorePhase.COMPLETED:
            assert world.names == ["restore-back"]
        else:
            assert (status.phase, status.reason) == (RestorePhase.FAILED, "RestoreUnknown")


def live(
    first: int,
    second: int,
    *,
    early: bool,
    deleted_after: int = NEVER,
    lost_after: int = NEVER,
    dead: bool = False,
) -> RestoreWorld:
    """Rounds in which the manager dies at these calls; `dead`: the run goes before anybody lives again."""
    world = RestoreWorld()
    world.ask()
    for number, call in enumerate((first, second, None, None, None, None)):
        if number == deleted_after:
            world.restores.remove_document(BACK)
        if number == lost_after:
            world.remove_run()
        if number < deleted_after:
            world.dies_at = call
            lived = world.survived(world.look)
            if dead and not lived and number + 1 == lost_after:
                continue
        world.time += SECOND
        world.look_at_cluster()
        if (early or number == NEVER - 2) and world.under_way:
            world.clusters.end_restore(CLUSTER, "restore-back", world.good())
    return world


class Life(RuleBasedStateMachine):
    """A cluster with restores: people ask, delete and change things, and the manager dies anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.world = RestoreWorld()
        self.world.configure(OFTEN)
        self.asked = 0

    @rule(seconds=st.sampled_from([1, 61, 700]))
    def time_passes(self, seconds: int) -> None:
        """And nobody looks."""
        self.world.time += seconds * SECOND

    @rule(name=st.sampled_from(["back", "again", "third"]), changes=st.sampled_from(ASKS))
    def person_asks(self, name: str, changes: dict[str, Any]) -> None:
        """For a restore, also by a name that was there before."""
        if f"default/{name}" in {uid.rpartition("#")[0] for uid in self.world.restores.uids()}:
            return
        self.asked += 1
        uid = f"default/{name}#{self.asked}"
        self.world.ask({"metadata.name": name, "metadata.uid": uid, **changes})

    @precondition(lambda self: self.world.restores.uids())
    @rule(data=st.data(), at_once=st.booleans())
    def person_deletes(self, data: st.DataObject, *, at_once: bool) -> None:
        """A restore, at any time of its life."""
        uid = data.draw(st.sampled_from(self.world.restores.uids()))
        (self.world.restores.remove_document if at_once else self.world.restores.begin_removal)(uid)

    @precondition(lambda self: self.world.restores.uids())
    @rule(data=st.data(), call=st.sampled_from([None, None, None, *CALLS]))
    def restore_is_looked_at(self, data: st.DataObject, call: int | None) -> None:
        """By a manager that dies in any call, or lives."""
        uid = data.draw(st.sampled_from(self.world.restores.uids()))
        self.world.dies_at = call
        self.world.survived(lambda: self.world.look(uid))

    @rule(call=st.sampled_from([None, None, None, *CALLS]))
    def cluster_is_looked_at(self, call: int | None) -> None:
        """By a manager that dies in any call, or lives."""
        self.world.dies_at = call
        self.world.survived(self.world.look_at_cluster)

    @precondition(lambda self: self.world.under_way)
    @rule(well=st.booleans())
    def restore_ends(self, *, well: bool) -> None:
        """Well, or without a word."""
        self.world.clusters.end_restore(CLUSTER, self.world.under_way, self.world.good() if well else None)

    @precondition(lambda self: self.world.clusters.under_way())
    @rule()
    def backup_ends(self) -> None:
        """Without a word."""
        self.world.clusters.end(*self.world.clusters.under_way()[0], None)

    @precondition(lambda self: self.there())
    @rule(data=st.data())
    def run_is_removed(self, data: st.DataObject) -> None:
        """Of any restore, at any time of its life."""
        self.world.restores.lose_run(data.draw(st.sampled_from(self.there())))

    @precondition(lambda self: self.world.restores.uids())
    @rule(data=st.data())
    def an_earlier_leader_makes_a_run(self, data: st.DataObject) -> None:
        """It decided to before it stopped for long, and does not know that it leads no more."""
        uid = data.draw(st.sampled_from(self.world.restores.uids()))
        if self.world.seen(uid).cluster is not None:
            self.world.make_again(uid)

    @rule(changes=st.sampled_from(EDITS))
    def person_edits(self, changes: dict[str, Any]) -> None:
        """The cluster."""
        self.world.configure(changes)

    @rule(taken=st.booleans())
    def another_holder(self, *, taken: bool) -> None:
        """Takes the lock where it is free, and gives its own back."""
        if self.world.holder in {"", UPGRADE.holder}:
            self.world.lock(UPGRADE if taken else None)

    def there(self) -> list[str]:
        """The restores whose runs are there."""
        return [uid for uid in self.world.restores.uids() if self.world.seen(uid).run is not None]

    @invariant()
    def never_twice_and_never_beside_another(self) -> None:
        """A document's run begins once; of backups and restores one is under way at most."""
        world = self.world
        begun = [uid for uid, _ in world.restores.started]
        assert len(set(begun)) == len(begun), "a restore began twice"
        seen = world.cluster_seen()
        unfinished = [
            run
            for run in (*seen.runs, *seen.restore_runs)
            if run.state is RunState.UNFINISHED and not run.held
        ]
        assert len(unfinished) <= 1, "two operations at once"

    def teardown(self) -> None:
        """When all obstacles are gone, everything comes to its end, and the lock is free."""
        world = self.world
        world.configure()
        if world.holder == UPGRADE.holder:
            world.lock(None)
        for uid in world.restores.uids():
            if world.seen(uid).leaving:
                world.restores.remove_document(uid)
        for _ in range(12):
            world.settle()
            if world.under_way:
                world.clusters.end_restore(CLUSTER, world.under_way, world.good())
            for uid, name in world.clusters.under_way():
                world.clusters.end(uid, name, None)
            world.time += MINUTE
        world.settle()
        for uid in world.restores.uids():
            assert world.is_over(uid) or world.status(uid).reason == "ClusterMissing", world.status(uid)
        assert world.holder in {"", "openbaocluster/backup"}
        assert not world.cluster_seen().unfinished_restore_run
        super().teardown()


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestLife = pytest.mark.thorough(Life.TestCase)
