"""The manager checks a configuration once, tells what came of it, and lets it hinder nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.world import MINUTE, World, at

from bao_backup.core.checking import CONDITION
from bao_backup.core.model import Outcome, Result
from bao_backup.core.observed import Run, RunState, StartCheck
from bao_backup.core.status import Condition


def checking(**changes: Any) -> World:
    """A world whose document asks for checks."""
    world = World(checkOnCreate=True, **changes)
    world.settle()
    return world


def condition(world: World) -> Condition:
    """What the status says of the configuration."""
    found = world.status.condition(CONDITION)
    assert found is not None
    return found


def holder(world: World) -> str:
    """What the lock is held for; empty: nobody holds it."""
    return world.lock.operation if world.lock is not None else ""


def end(world: World, reason: str = "", exit_code: int = 0, message: str = "all is proven") -> None:
    """The check that is under way ends, and the manager takes its end in."""
    (name,) = (run.name for run in world.checks.values() if run.state is RunState.UNFINISHED)
    result = Result(
        outcome=Outcome.FAILED if reason else Outcome.SUCCEEDED,
        reason=reason or "ConfigurationProven",
        message=message,
        exit_code=exit_code,
        started=world.now,
        finished=world.now,
    )
    world.checks[name] = Run(name=name, state=RunState.FINISHED, result=result)
    world.settle()


def test_nobody_asks() -> None:
    """Without checkOnCreate there is neither a check nor a condition."""
    world = World()
    world.settle()
    assert (world.checks, world.status.check, world.status.condition(CONDITION)) == ({}, None, None)


def test_a_new_document_is_checked_once() -> None:
    """It is under way at first, then proven, for good; people are told once."""
    world = checking()
    (name,) = world.checks
    assert name.startswith("check-prod-")
    assert (condition(world).status, condition(world).reason) == ("Unknown", "CheckRunning")
    end(world)
    assert (condition(world).status, condition(world).reason) == ("True", "ConfigurationProven")
    assert condition(world).message == "all is proven"
    assert world.told("ConfigurationProven") == ["all is proven"]
    assert name in world.forgotten
    world.until(at("05:30"))
    assert list(world.checks) == [name]


@pytest.mark.parametrize(
    ("reason", "exit_code", "verdict"),
    [
        ("LoginFailed", 2, "False"),
        ("StorageDenied", 5, "False"),
        ("InvalidConfiguration", 1, "False"),
        ("Interrupted", 7, "Unknown"),
        ("NoResult", 8, "Unknown"),
    ],
)
def test_what_a_check_finds(reason: str, exit_code: int, verdict: str) -> None:
    """A failing line makes it False, with its remedy; a check that failed itself says nothing of it."""
    world = checking()
    end(world, reason, exit_code, "write: denied; allow it")
    found = condition(world)
    assert (found.status, found.reason, found.message) == (verdict, reason, "write: denied; allow it")
    assert world.told("ConfigurationNotProven") == [f"{reason}: write: denied; allow it"]


def test_it_hinders_no_backup() -> None:
    """While it is under way, and after it failed, slots start; it holds no lock."""
    world = checking()
    assert holder(world) == ""
    world.until(at("01:00:30"))
    world.finish()
    world.settle()
    end(world, "LoginFailed", 2)
    world.until(at("02:00:30"))
    assert len(world.started) == 2
    assert holder(world) == "Backup"


@pytest.mark.parametrize(
    "changes",
    [{"schedule": "0 3 * * *"}, {"spec__connection": {"addresses": ["https://bao:8200"]}}],
)
def test_a_changed_configuration_is_checked_anew(changes: dict[str, Any]) -> None:
    """What was proven before is not known any more."""
    world = checking()
    end(world)
    world.edit(**changes)
    world.settle()
    assert len(world.checks) == 2
    assert condition(world).status == "Unknown"
    end(world)
    assert condition(world).status == "True"


def test_another_change_needs_no_check() -> None:
    """What is neither of spec.backup nor of spec.connection changes nothing."""
    world = checking()
    end(world)
    world.edit(spec__replicas=3)
    world.settle()
    assert len(world.checks) == 1
    assert condition(world).status == "True"


def test_back_to_what_it_was() -> None:
    """A document that becomes again what it was is checked by another run: names are used up."""
    world = checking()
    end(world)
    for schedule in ("0 3 * * *", "0 * * * *"):
        world.edit(schedule=schedule)
        world.settle()
        end(world)
    assert len(world.checks) == 3


def test_switched_off_and_on() -> None:
    """The condition goes with the wish, and comes back with a check of its own."""
    world = checking()
    end(world)
    world.edit(checkOnCreate=False)
    world.settle()
    assert (world.status.condition(CONDITION), world.status.check) == (None, None)
    world.edit(checkOnCreate=True)
    world.settle()
    assert len(world.checks) == 2


def test_an_end_after_it_was_switched_off() -> None:
    """The run is let go of, and tells nobody."""
    world = checking()
    world.edit(checkOnCreate=False)
    world.settle()
    (name,) = world.checks
    world.checks[name] = Run(name=name, state=RunState.FINISHED)
    world.settle()
    assert name in world.forgotten
    assert world.status.condition(CONDITION) is None


@pytest.mark.parametrize("changes", [{"spec__paused": True}, {"schedule": "nonsense"}])
def test_not_now(changes: dict[str, Any]) -> None:
    """A paused or invalid document starts none; once it is right again, one comes."""
    world = World(checkOnCreate=True, **changes)
    world.settle()
    assert world.checks == {}
    world.edit(spec__paused=False, schedule="0 * * * *")
    world.settle()
    assert len(world.checks) == 1


def test_no_room() -> None:
    """It waits for the manager's limit on runs as a backup does."""
    world = World(checkOnCreate=True)
    world.room = False
    world.settle()
    assert world.checks == {}
    world.room = True
    world.settle()
    assert len(world.checks) == 1


def test_a_suspended_schedule_is_checked() -> None:
    """Before the first slot is just when to check."""
    assert len(checking(suspend=True).checks) == 1


def test_a_lost_start_is_repeated() -> None:
    """And a check that is never to be seen is given up, without a verdict."""
    world = World(checkOnCreate=True)
    world.lost = (StartCheck,)
    world.round()
    assert world.checks == {}
    world.lost = ()
    world.until(world.now + MINUTE)
    assert len(world.checks) == 1

    world = World(checkOnCreate=True)
    world.lost = (StartCheck,)
    world.settle()
    world.until(world.now + timedelta(minutes=6))
    assert (condition(world).status, condition(world).reason) == ("Unknown", "RunLost")


@pytest.mark.parametrize("dies_at", range(8))
def test_a_manager_that_dies(dies_at: int) -> None:
    """At whatever call it dies, in whichever round: one check begins, and its end is told."""
    world = World(checkOnCreate=True)
    world.dies_at = dies_at
    world.round_or_death()
    world.settle()
    (name,) = world.checks
    result = Result(
        outcome=Outcome.SUCCEEDED,
        reason="ConfigurationProven",
        message="all",
        exit_code=0,
        started=world.now,
        finished=world.now,
    )
    world.checks[name] = Run(name=name, state=RunState.FINISHED, result=result)
    world.dies_at = dies_at
    world.round_or_death()
    world.settle()
    assert (condition(world).status, list(world.checks)) == ("True", [name])
    assert name in world.forgotten
