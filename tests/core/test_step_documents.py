"""Documents that are wrong: told at once and once, never a crash, and nothing is lost meanwhile."""

from __future__ import annotations

from tests.core.world import MINUTE, World, at

from bao_backup.core.observed import StartRun


def test_a_wrong_document_is_an_error_at_once() -> None:
    """A condition and one event name the field; nothing starts, and nobody wakes for it."""
    world = World()
    world.settle()
    world.edit(schedule="61 * * * *")
    world.until(at("05:00"))
    assert not world.started
    (told,) = world.told("InvalidDocument")
    assert told.startswith("spec.backup.schedule: ")
    for kind in ("DocumentValid", "BackupReady"):
        condition = world.status.condition(kind)
        assert condition is not None
        assert (condition.status, condition.reason) == ("False", "InvalidDocument")
        assert condition.message == told
    assert (world.wake, world.status.next_scheduled_backup) == (None, None)


def test_another_mistake_is_told_again() -> None:
    """What is said is always what is wrong now."""
    world = World()
    world.edit(schedule="61 * * * *")
    world.settle()
    world.edit(schedule="0 2 * * *", verify="Twice")
    world.settle()
    assert [told.partition(":")[0] for told in world.told("InvalidDocument")] == [
        "spec.backup.schedule",
        "spec.backup.verify",
    ]


def test_the_last_valid_document_stays_in_force() -> None:
    """Where it is known (the embedded mode), backups go on by it, and the mistake is told."""
    world = World()
    world.until(at("01:00"))
    world.finish()
    world.edit(keep_last=True, schedule="61 * * * *")
    world.until(at("02:00"))
    assert world.names[-1] == "backup-prod-20261122-020000"
    (told,) = world.told("InvalidDocument")
    assert told.endswith("; the last valid one stays in force")
    world.finish()
    world.edit(schedule="30 * * * *")
    world.until(at("02:30"))
    assert world.names[-1] == "backup-prod-20261122-023000"
    valid = world.status.condition("DocumentValid")
    assert valid is not None
    assert (valid.status, valid.message) == ("True", "the document is valid")


def test_a_document_that_was_always_right_has_no_condition_for_it() -> None:
    """Nothing is written that nobody needs."""
    world = World()
    world.until(at("01:00"))
    assert world.status.condition("DocumentValid") is None


def test_a_field_without_effect_is_told_once_and_stops_nothing() -> None:
    """A field of a later version is named in a condition that stays true, until it is gone."""
    world = World(restoreTest={"schedule": "@weekly"})
    world.until(at("01:00"))
    world.finish()
    world.until(at("02:00"))
    assert len(world.started) == 2
    (told,) = world.told("FieldIgnored")
    assert "spec.backup.restoreTest" in told
    valid = world.status.condition("DocumentValid")
    assert valid is not None
    assert (valid.status, valid.reason, valid.message) == ("True", "FieldIgnored", told)
    world.edit(restoreTest=None)
    world.settle()
    valid = world.status.condition("DocumentValid")
    assert valid is not None
    assert (valid.status, valid.reason) == ("True", "Valid")
    assert world.told("FieldIgnored") == [told]


def test_a_field_without_effect_is_no_mistake_after_one() -> None:
    """A document that becomes right but for such a field says both, each once."""
    world = World(schedule="61 * * * *", restoreTest={})
    world.settle()
    world.edit(schedule="0 2 * * *")
    world.settle()
    assert (len(world.told("InvalidDocument")), len(world.told("FieldIgnored"))) == (1, 1)
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert ready.reason == "Valid"


def test_slots_of_a_time_with_a_wrong_document_are_missed_because_of_it() -> None:
    """When it is right again the newest slot runs, and those before it say why they did not."""
    world = World()
    world.settle()
    world.edit(verify="Twice")
    world.until(at("03:10"))
    world.edit(verify="Head")
    world.settle()
    assert world.names == ["backup-prod-20261122-030000"]
    assert world.status.last_failure_reason == "InvalidDocument"
    assert world.status.consecutive_failures == 1
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert ready.reason == "InvalidDocument"


def test_a_document_that_is_right_again_does_not_look_wrong() -> None:
    """Though no backup was tried since."""
    world = World(schedule="0 2 * * *")
    world.edit(verify="Twice")
    world.settle()
    world.edit(verify="Head")
    world.settle()
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert (ready.status, ready.reason) == ("Unknown", "Valid")


def test_a_run_that_ends_while_the_document_is_wrong_counts() -> None:
    """Its success is in the status; after a failure its slot is tried again when it can be."""
    for reason, names in [("", 1), ("NoLeader", 2)]:
        world = World()
        world.until(at("01:00"))
        world.edit(verify="Twice")
        world.finish(reason=reason, after=5 * MINUTE)
        world.until(at("01:30"))
        assert world.status.successful_backups == (0 if reason else 1)
        assert world.lock is None
        world.edit(verify="Head")
        world.settle()
        assert len(world.started) == names


def test_nothing_starts_by_a_document_that_is_wrong() -> None:
    """Not even a run whose start was lost: it ends, without its lock, and its slot is tried again after."""
    world = World(schedule="0 2 * * *")
    world.lost = (StartRun,)
    world.until(at("02:00"))
    world.lost = ()
    world.edit(verify="Twice")
    world.until(at("02:04"))
    assert world.status.attempt is not None
    assert world.status.attempt.under_way
    world.until(at("02:10"))
    assert not world.started
    assert world.lock is None
    assert world.status.last_failure_reason == "InvalidDocument"
    world.edit(verify="Head")
    world.until(at("02:12"))
    assert world.names == ["backup-prod-20261122-020000-r2"]


def test_an_attempt_that_never_began_ends_with_the_wish_for_backups() -> None:
    """A document without spec.backup leaves no lock behind."""
    world = World()
    world.lost = (StartRun,)
    world.until(at("01:00"))
    world.edit(spec__backup=None)
    world.lost = ()
    world.until(at("01:10"))
    assert world.lock is None
    assert not world.started


def test_the_status_names_the_generation_that_it_is_about() -> None:
    """As conditions and controllers on Kubernetes do."""
    world = World()
    world.until(at("01:00"))
    world.finish()
    world.settle()
    ready = world.status.condition("BackupReady")
    assert ready is not None
    assert (world.status.observed_generation, ready.observed_generation) == (1, 1)


def test_a_store_that_is_not_verified_is_told_once_and_shown_while_it_is_so() -> None:
    """In a condition that other mistakes do not change, and by one event; it stops nothing."""
    world = World(spec__backup__target__insecureSkipVerify=True)
    world.until(at("01:00"))
    world.finish()
    world.until(at("02:00"))
    assert len(world.started) == 2
    (told,) = world.told("InsecureSkipVerify")
    assert "spec.backup.target.insecureSkipVerify" in told
    world.edit(schedule="61 * * * *")
    world.settle()
    shown = world.status.condition("StoreVerified")
    assert shown is not None
    assert (shown.status, shown.reason, shown.message) == ("False", "InsecureSkipVerify", told)
    world.edit(spec__backup__target__insecureSkipVerify=False, schedule="0 * * * *")
    world.settle()
    assert world.status.condition("StoreVerified") is None
    assert world.told("InsecureSkipVerify") == [told]
