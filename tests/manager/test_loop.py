"""The manager's loop: one cluster's trouble harms no other, and nothing is done while nothing is due."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.manager.loop_stage import START, Stage, until, went_round

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Outcome, Result
from bao_backup.flows.manager import Manager


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A manager that was not started yet."""
    return Stage(tmp_path)


def test_others_go_on(stage: Stage) -> None:
    """A cluster that cannot be observed is told, again and again, and the others are backed up."""
    bad, good = stage.put("bad"), stage.put("good")
    stage.runtime.unobservable = {bad: InternalError("read", "it is broken")}
    stage.runtime.ask(good, "please")

    async def play(_: Manager) -> None:
        await until(lambda: stage.runtime.started)
        await until(lambda: len(stage.complaints) == 1)
        stage.clock.time += timedelta(seconds=1)
        await until(lambda: len(stage.complaints) == 2)

    stage.run(play, bad, good)
    assert {uid for uid, _ in stage.complaints} == {bad}
    assert [uid for uid, _ in stage.runtime.started] == [good]


def test_surprise(stage: Stage) -> None:
    """An error that nobody thought of is told as a defect, by its type alone."""
    uid = stage.put("bao")
    stage.runtime.unobservable = {uid: RuntimeError("s3cret")}

    async def play(_: Manager) -> None:
        await until(lambda: stage.complaints)

    stage.run(play, uid)
    _, error = stage.complaints[0]
    assert error.exit_code == 8
    assert "RuntimeError" in error.message
    assert "s3cret" not in error.message


def test_what_cannot_be_tidied_up(stage: Stage) -> None:
    """A request that cannot be cleared does not keep its run from starting; the failure is told."""
    uid = stage.put("one")
    stage.runtime.ask(uid, "now")
    stage.runtime.unclearable = True

    async def play(_: Manager) -> None:
        await until(lambda: stage.runtime.started and stage.complaints)

    stage.run(play, uid)
    assert [started for started, _ in stage.runtime.started] == [uid]
    assert stage.complaints[0][1].reason == "KubernetesDenied"


def test_longer_pauses(stage: Stage) -> None:
    """After an error it is tried again after 1 s, 2 s, 4 s and so on up to a minute; then it is well."""
    uid = stage.put("bao")
    stage.runtime.unobservable = {uid: InternalError("read", "it is broken")}
    pauses = [1, 2, 4, 8, 16, 32, 60, 60]

    async def play(manager: Manager) -> None:
        await until(lambda: len(stage.complaints) == 1)
        for pause in pauses:
            before = len(stage.complaints)
            stage.clock.time += timedelta(seconds=pause - 0.5)
            rounds = manager.rounds + 2
            await until(partial(went_round, manager, rounds))
            assert len(stage.complaints) == before
            stage.clock.time += timedelta(seconds=0.5)
            await until(partial(went_round, manager, rounds + 3))
            assert len(stage.complaints) == before + 1
        stage.runtime.unobservable.clear()
        stage.clock.time += timedelta(seconds=60)
        await until(lambda: stage.runtime.status(uid).next_scheduled_backup)

    stage.run(play, uid)


def test_slow_server(stage: Stage) -> None:
    """A server that does not answer keeps no other cluster waiting, and the loop goes round."""
    slow, quick = stage.put("slow"), stage.put("quick")
    stage.runtime.slow = {slow: asyncio.Event()}
    for uid in (slow, quick):
        stage.runtime.ask(uid, "please")

    async def play(manager: Manager) -> None:
        await until(lambda: stage.runtime.started)
        seen = manager.rounds
        manager.nudge([slow])
        await until(lambda: manager.rounds > seen)
        assert [uid for uid, _ in stage.runtime.started] == [quick]
        stage.runtime.slow[slow].set()
        await until(lambda: len(stage.runtime.started) == 2)

    stage.run(play, slow, quick)
    assert [uid for uid, _ in stage.runtime.started] == [quick, slow]


def test_conflict(stage: Stage) -> None:
    """When somebody else wrote the status, nothing is done, and it is decided anew at once."""
    uid = stage.put("bao")
    stage.runtime.conflicts = 3
    stage.runtime.ask(uid, "please")

    async def play(_: Manager) -> None:
        while not stage.runtime.started:
            await asyncio.sleep(0.01)
            stage.clock.time += timedelta(milliseconds=60)
        assert stage.runtime.saves == 4

    stage.run(play, uid)
    assert stage.complaints == []


def test_idle(stage: Stage) -> None:
    """While nothing is due, the loop goes round about once a second, asks nothing and writes nothing."""
    uids = [stage.put(f"bao-{number}") for number in range(20)]

    async def play(manager: Manager) -> None:
        await until(lambda: all(stage.runtime.status(uid).next_scheduled_backup for uid in uids))
        await asyncio.sleep(0.1)
        rounds, saves, asked = manager.rounds, stage.runtime.saves, len(stage.runtime.asked)
        await asyncio.sleep(1.5)
        assert manager.rounds - rounds <= 3
        assert (stage.runtime.saves, len(stage.runtime.asked)) == (saves, asked)

    stage.run(play, *uids, rest=1.0)


def test_every_five_minutes(stage: Stage) -> None:
    """A cluster is looked at after 5 minutes though nothing is due, and nothing is written for it."""
    uid = stage.put("bao")

    async def play(_: Manager) -> None:
        await until(lambda: stage.runtime.status(uid).next_scheduled_backup)
        asked, saves = len(stage.runtime.asked), stage.runtime.saves
        stage.clock.time += timedelta(minutes=5)
        await until(lambda: len(stage.runtime.asked) > asked)
        assert stage.runtime.saves == saves

    stage.run(play, uid)


def test_clock_goes_back(stage: Stage) -> None:
    """When the clock is set back by a day, slots come as the clock says, and none is run again."""
    uid = stage.put("bao", "0 * * * *")

    async def play(_manager: Manager) -> None:
        await until(lambda: stage.runtime.status(uid).schedule)
        stage.clock.time = START + timedelta(hours=1, seconds=1)
        await until(lambda: len(stage.runtime.started) == 1)
        run = stage.runtime.started[0][1]
        stage.runtime.end(uid, run.name, result_of(stage.clock.time))
        stage.clock.time -= timedelta(hours=1)
        await until(lambda: stage.runtime.status(uid).successful_backups)
        asked = len(stage.runtime.asked)
        stage.clock.time = START + timedelta(hours=1, seconds=30)  # the same slot again
        await until(lambda: len(stage.runtime.asked) > asked)
        assert len(stage.runtime.started) == 1
        stage.clock.time = START + timedelta(hours=2, seconds=1)
        await until(lambda: len(stage.runtime.started) == 2)

    stage.run(play, uid)


def test_removed(stage: Stage) -> None:
    """A cluster that is not followed any more is not looked at any more."""
    uid = stage.put("bao")

    async def play(manager: Manager) -> None:
        await until(lambda: stage.runtime.status(uid).next_scheduled_backup)
        manager.follow([])
        stage.runtime.remove_document(uid)
        manager.nudge([uid])
        stage.clock.time += timedelta(days=1)
        await asyncio.sleep(0.05)

    stage.run(play, uid)
    assert stage.complaints == []


def test_ends_while_a_server_is_slow(stage: Stage) -> None:
    """The loop ends though a look is under way, starts no run by it, and leaves no thread behind."""
    before = set(threading.enumerate())  # of other tests
    uid = stage.put("bao")
    stage.runtime.slow = {uid: asyncio.Event()}
    stage.runtime.ask(uid, "please")

    async def play(_: Manager) -> None:
        await until(lambda: stage.runtime.asked)

    stage.run(play, uid)
    assert stage.runtime.started == []
    assert set(threading.enumerate()) <= before


def result_of(now: datetime) -> Result:
    """A run that ended well."""
    return Result(
        outcome=Outcome.SUCCEEDED,
        reason="BackupSucceeded",
        message="done",
        exit_code=0,
        started=now,
        finished=now,
    )
