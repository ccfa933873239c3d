"""Killed with SIGKILL anywhere and started again, the manager loses no slot and runs none twice."""

from __future__ import annotations

import os
import signal

import pytest
from tests.manager.site import Site

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.adapters.local.database import DATABASE
from bao_backup.core.model import Trigger

pytestmark = pytest.mark.servers  # processes of their own, by the dozen

#: Every step of a slot's way, before and after it; "add" and "mark_started" are inside "start": before
#: the run is noted, between the note and the process, and between the process and its note.
POINTS = [
    *(f"{when}:{method}:1" for when in ("before", "after") for method in ("observe", "ask_health", "start")),
    *(f"{when}:{method}:1" for when in ("before", "after") for method in ("save", "forget", "emit")),
    *(f"{when}:save:2" for when in ("before", "after")),
    *(f"{when}:observe:2" for when in ("before", "after")),
    "before:add:1",
    "after:add:1",
    "before:mark_started:1",
    "before:emit:2",
]
FOR_REQUESTS = [
    *(f"{when}:clear_trigger:1" for when in ("before", "after")),
    "after:save:2",
    "before:start:1",
    "before:mark_started:1",
    "before:forget:1",
    "after:forget:1",
]


def assert_one_backup(site: Site, trigger: Trigger) -> None:
    """One run, one stream, one backup; nothing is locked, and all of it is counted once."""
    row = site.row()
    assert row is not None
    status = row.status
    assert len(site.backups()) == 1
    assert site.files() == [f"default/bao/{name}" for name in (*site.backups(), f"{site.backups()[0]}.json")]
    assert site.streams() == 1
    assert status.attempt is not None
    assert status.attempt.settled
    assert status.attempt.trigger is trigger
    assert status.attempt.key == status.last_backup_name == f"default/bao/{site.backups()[0]}"
    assert (status.successful_backups, status.consecutive_failures) == (1, 0)
    assert status.waiting is None
    assert row.lock is None
    assert (row.succeeded, row.failed) == (1, 0)


@pytest.mark.parametrize("point", POINTS)
def test_slot(site: Site, point: str) -> None:
    """A slot gets exactly one backup, wherever the manager was killed on the way."""
    slot = site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start(die=point) as first:
        assert first.wait() == -signal.SIGKILL
    with site.start():
        status = site.until_settled()
    assert_one_backup(site, Trigger.SCHEDULED)
    assert status.last_attempt_scheduled_time == slot
    assert [event.reason for event in site.events()].count("BackupMissed") == 0


@pytest.mark.parametrize("point", FOR_REQUESTS)
def test_request(site: Site, point: str) -> None:
    """A request gets exactly one backup, and is not found again."""
    site.configure(site.document())
    with site.start():
        site.until("the cluster to be known", site.row)
    request = site.ask()
    with site.start(die=point) as first:
        assert first.wait() == -signal.SIGKILL
    with site.start():
        site.until_settled()
        site.until("the request to be cleared", lambda: not site.status().accepted_trigger)
    assert_one_backup(site, Trigger.MANUAL)
    assert site.status().last_handled_manual_trigger == request


def test_outlived(site: Site, server: DevelopmentServer) -> None:
    """A run that outlives its manager is found under way by the next one, and its result taken in."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start() as first:
        site.until("the stream to begin", site.streams)
        first.kill()
    request = site.ask()
    with site.start():
        site.until("the request to wait", lambda: site.status().waiting)
        waiting = site.status().waiting
        assert waiting is not None
        assert waiting.reason == "BackupRunning"
        assert len(site.run_pids()) == 1
        server.rate = 0
        site.until("both to be done", lambda: site.status().successful_backups == 2)
        site.until("the second to be counted", lambda: (row := site.row()) and row.succeeded == 2)
    assert site.status().last_handled_manual_trigger == request
    assert len(site.backups()) == site.streams() == 2
    row = site.row()
    assert row is not None
    assert (row.failed, row.lock) == (0, None)


def test_outlived_without_memory(site: Site, server: DevelopmentServer) -> None:
    """A run that outlives its manager and the manager's memory still keeps a second one from starting."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start() as first:
        site.until("the stream to begin", site.streams)
        first.kill()
    for file in site.state.glob(f"{DATABASE}*"):
        file.unlink()
    with site.start():
        site.until("the cluster to be known", site.row)
        request = site.ask()
        site.until("the request to wait", lambda: site.status().waiting)
        waiting = site.status().waiting
        assert waiting is not None
        assert waiting.reason == "BackupRunning"
        assert len(site.run_pids()) == site.streams() == 1
        server.rate = 0
        site.until("the request to be done", lambda: site.status().successful_backups == 1)
    assert site.status().last_handled_manual_trigger == request
    assert len(site.backups()) == 2
    assert len(site.run_logs()) == 1, "the folder of the run that nobody knew is removed at its end"


def test_ended_meanwhile(site: Site, server: DevelopmentServer) -> None:
    """A run that ended while no manager was there is told as it ended, with its own times."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start() as first:
        site.until("the stream to begin", site.streams)
        first.kill()
    server.rate = 0
    site.until("the run's result", lambda: list(site.state.glob("runs/*/*/result.json")))
    assert site.status().successful_backups == 0
    with site.start():
        status = site.until_settled()
    assert_one_backup(site, Trigger.SCHEDULED)
    receipt = site.store / f"{status.last_backup_name}.json"
    assert status.last_backup_time is not None
    assert status.last_backup_time.timestamp() <= receipt.stat().st_mtime


@pytest.mark.parametrize("both", [False, True], ids=["run", "run-and-manager"])
def test_killed_run(site: Site, server: DevelopmentServer, both: bool) -> None:
    """Of a run that is killed in mid-stream nothing is visible and no success is told; it is tried again."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start() as first:
        site.until("the stream to begin", site.streams)
        if both:
            first.kill()
        os.kill(site.run_pids()[0], signal.SIGKILL)
        if not both:
            site.until_settled()
    with site.start():
        status = site.until_settled()
    assert site.backups() == []
    row = site.row()
    assert row is not None
    assert (row.succeeded, row.failed, row.lock) == (0, 1, None)
    assert status.last_failure_reason == "NoResult"
    assert (status.consecutive_failures, status.successful_backups) == (1, 0)
    assert status.last_successful_backup is None
    assert status.attempt is not None
    assert status.attempt.retry_at is not None
    assert (status.attempt.retry_at - status.attempt.accepted).total_seconds() > 30
    said = [event.message for event in site.events() if event.reason == "BackupFailed"]
    assert len(said) == 1
    assert "streaming into" in said[0]
    assert said[0].count("it said") == 1


def test_killed_before_its_note(site: Site, server: DevelopmentServer) -> None:
    """A run that was killed with its manager, before that noted the start, is started again, as itself."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start(die="before:mark_started:1") as first:
        first.wait()
    site.until("the stream to begin", site.streams)
    os.kill(site.run_pids()[0], signal.SIGKILL)
    server.rate = 0
    with site.start():
        site.until_settled()
    assert len(site.backups()) == 1
    row = site.row()
    assert row is not None
    assert (row.succeeded, row.failed) == (1, 0)


def test_crash_after_crash(site: Site) -> None:
    """Ten managers, each killed a step further, make one backup between them."""
    site.let_a_slot_be_due()
    site.configure(site.document())
    steps = ("observe", "ask_health", "save", "add", "mark_started", "start", "emit", "save", "forget")
    for number, step in enumerate(steps):
        with site.start(die=f"before:{step}:1") as manager:
            site.until_it_ends_or(manager, lambda: site.status().successful_backups)
        assert len(site.backups()) <= 1, number
    with site.start():
        site.until_settled()
    assert_one_backup(site, Trigger.SCHEDULED)
