"""What became of a restore's Job: a run that may have begun, and left no word, may have done anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from tests.adapters.jobs import (
    MOUNT,
    NAME,
    PULL,
    UNSCHEDULED,
    active_job,
    after,
    at,
    complete_job,
    event,
    failed_job,
    lost,
    message,
    pod,
    result,
    running,
    terminated,
    waiting,
)
from tests.adapters.known_told import Told, cluster, restore
from tests.adapters.known_told import job as job_of

from bao_backup.adapters.kubernetes.names import (
    COMPONENT,
    ENDED_BECAUSE,
    RESTORE_COMPONENT,
    RESTORE_UID,
)
from bao_backup.adapters.kubernetes.outcome import could_not_start, run_of
from bao_backup.adapters.kubernetes.reasons import NEVER_BEGAN, REASONS, Account, ended_because
from bao_backup.core.model import Outcome, Result

Json = dict[str, Any]
OVER = failed_job("DeadlineExceeded")
KILLED = pod(terminated(137), phase="Failed")
NO_COMMAND = pod(terminated(128, "StartError", 'exec: "bao": not found'), phase="Failed")
NOT_SEEN = pod(terminated(137, "ContainerStatusUnknown"), phase="Failed")
NO_IMAGE = event("Failed", f'Failed to pull image "a": {PULL}')


def of_restore(job: Json) -> Json:
    """The Job as a restore's."""
    labels = job["metadata"]["labels"] | {COMPONENT: RESTORE_COMPONENT}
    return job | {"metadata": job["metadata"] | {"labels": labels}}


def result_of(job: Json, *pods: Json, events: tuple[Json, ...] = ()) -> Result:
    """The result of a restore's Job that is over."""
    told = run_of(of_restore(job), pods, events, after(900)).result
    assert told is not None
    return told


@pytest.mark.parametrize(
    ("job", "pods", "events", "reason", "exit_code"),
    [
        (failed_job(), [KILLED], [], "NoResult", 9),
        (failed_job(), [pod(terminated(137, "OOMKilled"), phase="Failed")], [], "OutOfMemory", 9),
        (failed_job(), [lost()], [], "NodeLost", 9),
        (failed_job(), [], [], "PodDeleted", 9),
        (complete_job(), [], [], "NoResult", 9),
        (OVER, [], [], "DeadlineExceeded", 9),
        (OVER, [NOT_SEEN], [event("FailedMount", MOUNT)], "SecretNotFound", 9),
        (failed_job(), [NO_COMMAND], [], "ContainerRefused", 1),
        (OVER, [], [event("FailedMount", MOUNT)], "SecretNotFound", 1),
        (OVER, [], [event("FailedScheduling", UNSCHEDULED)], "Unschedulable", 8),
        (OVER, [], [NO_IMAGE], "ImageNotFound", 1),
    ],
)
def test_what_the_server_took_is_known_only_where_nothing_began(
    job: Json, pods: list[Json], events: list[Json], reason: str, exit_code: int
) -> None:
    """Exit code 9 says that nobody knows."""
    told = result_of(job, *pods, events=tuple(events))
    assert (told.outcome, told.reason, told.exit_code) == (Outcome.FAILED, reason, exit_code)
    assert NAME in told.message
    assert ("make another OpenBaoRestore" in told.message) == (reason in NEVER_BEGAN)


@pytest.mark.parametrize(
    ("events", "exit_code"), [((), 1), ((NO_IMAGE,), 1), ((NO_IMAGE, event("Started", "Started")), 9)]
)
def test_a_job_that_was_ended_as_its_pod_started_after_all(events: tuple[Json, ...], exit_code: int) -> None:
    """The event of it is what is left; the reason stays the one for which it was ended."""
    annotation = {ENDED_BECAUSE: ended_because("ImageNotFound", "there is no image; correct it")}
    told = result_of(failed_job("DeadlineExceeded", annotations=annotation), events=events)
    assert (told.reason, told.message) == ("ImageNotFound", "there is no image; correct it")
    assert told.exit_code == exit_code


@pytest.mark.parametrize("outcome", Outcome)
def test_the_executors_own_word_counts_before_all(outcome: Outcome) -> None:
    """Its exit code, reason and keys as they are; the source may be another than the Job could name."""
    said = replace(result(outcome), exit_code=4, reason="RestoreRefused", safety_key="a/pre-restore.snap")
    ended = pod(terminated(4, message=message(said)), phase="Failed")
    assert result_of(failed_job(), ended) == said
    nameless = failed_job()
    del nameless["metadata"]["annotations"]["openbao.org/backup-key"]
    said = replace(said, key="another/cluster.snap")
    ended = pod(terminated(4, message=message(said)), phase="Failed")
    assert result_of(nameless, ended) == said


def clean(reason: str = "StorageDenied", exit_code: int = 5, finished: float = 800, **more: Any) -> Json:
    """A second pod, which ended with a word of its own, later than any other."""
    said = replace(result(Outcome.FAILED, finished=finished), reason=reason, exit_code=exit_code, **more)
    other = pod(terminated(exit_code, message=message(said)), phase="Failed", uid="second")
    other["metadata"] |= {"name": f"{NAME}-zzzzz", "creationTimestamp": at(700)}
    return other


GONE = (
    event("SuccessfulCreate", f"Created pod: {NAME}-x7k2p", kind="Job"),
    event("SuccessfulCreate", f"Created pod: {NAME}-zzzzz", kind="Job"),
    event("Started", "Started container backup"),
)


@pytest.mark.parametrize(
    ("pods", "events", "reason"),
    [
        ([KILLED, clean()], (), "NoResult"),
        ([clean(), KILLED], (), "NoResult"),
        ([pod(terminated(137, "OOMKilled"), phase="Failed"), clean()], (), "OutOfMemory"),
        ([lost(), clean()], (), "NodeLost"),
        ([clean()], GONE, "PodDeleted"),
        ([NO_COMMAND, clean()], (), ""),
        ([clean()], GONE[:2], ""),
        ([clean()], (), ""),
    ],
)
def test_a_pod_that_said_nothing_is_not_hidden_by_one_that_failed_well(
    pods: list[Json], events: tuple[Json, ...], reason: str
) -> None:
    """A Job's pod may be made anew: what the first one sent, the second does not know."""
    told = result_of(failed_job(), *pods, events=events)
    if not reason:
        assert (told.reason, told.exit_code) == ("StorageDenied", 5)
        return
    assert (told.reason, told.exit_code) == (reason, 9)
    assert "another pod of the run ended with StorageDenied" in told.message


def test_the_way_back_that_one_pod_told_is_kept() -> None:
    """Though the other one said nothing."""
    there = clean(safety_key="a/pre-restore.snap")
    assert result_of(failed_job(), KILLED, there).safety_key == "a/pre-restore.snap"


@pytest.mark.parametrize(("reason", "exit_code"), [("RestoreUnknown", 9), ("RestoreSealed", 4)])
def test_a_later_failure_does_not_hide_what_an_earlier_start_knew(reason: str, exit_code: int) -> None:
    """That the server has the data, or may have it; nor does one that said nothing."""
    known = clean(reason, exit_code, finished=100)
    for others in ([clean()], [KILLED], [clean(), KILLED]):
        told = result_of(failed_job(), known, *others)
        assert (told.reason, told.exit_code) == (reason, exit_code)


@pytest.mark.parametrize("reason", REASONS)
def test_words_for_a_restore_name_no_field_of_backups(reason: str) -> None:
    """Nor do they promise that it is tried again."""
    told = Account(reason=reason, said="start restore-a: it failed").message_of_restore
    assert told.startswith("start restore-a: it failed; ")
    assert "spec.backup" not in told
    assert "tried again" not in told


def test_a_pod_that_cannot_start_is_ended_with_words_for_a_restore() -> None:
    """As a backup's, after two minutes."""
    pulling = pod(waiting("ImagePullBackOff", PULL))
    verdict = could_not_start(of_restore(active_job()), [pulling], [], after(600))
    assert verdict is not None
    assert verdict[0] == "ImageNotFound"
    assert "spec.image" in verdict[1]
    begun = pod(running(), phase="Running")
    assert could_not_start(of_restore(active_job()), [begun], [], after(600)) is None


# --- who is told -------------------------------------------------------------------------------


def restoring_job(version: int, of: str = "r-1", **more: Any) -> Json:
    """The Job of a restore."""
    made = job_of(version, "restore-back", **more)
    made["metadata"]["labels"][COMPONENT] = RESTORE_COMPONENT
    made["metadata"]["annotations"][RESTORE_UID] = of
    return made


def test_a_restore_is_told_of_its_job_and_of_its_cluster() -> None:
    """Also of what we ourselves wrote into the cluster: it may wait for the lock."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2))
    assert told.restores_changed == ["r-1"]
    told.restores_changed.clear()
    news: tuple[Callable[[], None], ...] = (
        partial(told.known.take_cluster, cluster(3)),
        partial(told.known.take_cluster, cluster(4), by_us=True),
        partial(told.known.take_job, job_of(5)),
        partial(told.known.drop_cluster, cluster(6)),
        partial(told.known.take_restore, restore(7)),
    )
    for tell in news:
        tell()
        assert set(told.restores_changed) == {"r-1"}
        told.restores_changed.clear()
    told.known.take_job(restoring_job(8))
    assert "r-1" in told.restores_changed
    told.restores_changed.clear()
    told.known.take_restore(restore(9, "Running"), by_us=True)
    assert told.restores_changed == []


def test_a_finished_restore_hears_of_its_job_alone() -> None:
    """So that its Job is let go; what happens to the cluster is nothing to it."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2, "Completed"))
    told.restores_changed.clear()
    told.known.take_cluster(cluster(3))
    told.known.take_job(job_of(4))
    assert told.restores_changed == []
    told.known.take_job(restoring_job(5))
    assert told.restores_changed == ["r-1"]


def test_the_next_in_line_is_told_when_one_is_over() -> None:
    """And its cluster is."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2, name="a", uid="r-1"))
    told.known.take_restore(restore(3, name="b", uid="r-2"))
    told.changed.clear()
    told.restores_changed.clear()
    told.known.take_restore(restore(4, "Completed", name="a", uid="r-1"), by_us=True)
    assert (told.changed, told.restores_changed) == (["u-1"], ["r-2"])
    told.known.drop_restore(restore(5, name="b", uid="r-2"))
    assert told.restores_gone == ["r-2"]


def test_a_late_answer_does_not_revive_a_restore_that_is_gone() -> None:
    """The object was deleted before the answer to our patch of it came."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2))
    told.known.drop_restore(restore(3))
    told.known.take_restore(restore(4, "Running"), by_us=True)
    assert told.restore() == ""
    assert told.known.find_restore("r-1") is None


def test_a_cluster_is_told_of_the_job_of_an_earlier_one_of_its_name() -> None:
    """It waits until that Job is gone."""
    told = Told()
    told.known.take_job(job_of(1, of="u-1"))
    told.known.take_cluster(cluster(2, "u-2"))
    told.changed.clear()
    told.known.drop_job(job_of(3, of="u-1"))
    assert told.changed == ["u-2"]
