"""When the Pods of a Job are looked at, and when Kubernetes waits for ever."""

from __future__ import annotations

import pytest
from tests.adapters.jobs import (
    Json,
    active_job,
    after,
    complete_job,
    condition,
    failed_job,
    job,
    lost,
    pod,
    running,
    terminated,
)

from bao_backup.adapters.kubernetes.outcome import (
    hung,
    is_finished,
    needs_pods,
    run_of,
)
from bao_backup.core.observed import RunState

NOW = after(700)


@pytest.mark.parametrize(
    ("of", "needed"),
    [
        (failed_job(), 0),
        (complete_job(), 0),
        (active_job(ready=1), None),
        (active_job(), 120),
        (job(), 120),
        (job(startTime=None), 120),
        (job(condition("FailureTarget", seconds=300), ready=0, terminating=1), 420),
        (job(condition("FailureTarget", seconds=300), condition("Failed", seconds=330)), 0),
    ],
)
def test_pods_are_looked_at_when_there_is_need(of: Json, needed: float | None) -> None:
    """Once it is finished, and when it neither starts nor ends in time."""
    for seconds in (0, 60, 119, 120, 150, 419, 420, 1000):
        assert needs_pods(of, after(seconds)) is (needed is not None and seconds >= needed)


def test_a_condition_that_does_not_hold_finishes_nothing() -> None:
    """Its status counts, not its presence."""
    assert is_finished(failed_job())
    assert is_finished(complete_job())
    assert not is_finished(active_job())
    assert not is_finished(job(condition("Failed", status="False")))
    assert not is_finished(job(condition("FailureTarget")))
    for none in (job(condition("Failed", status="False")), job(condition("Complete", status="Unknown"))):
        assert run_of(none, [], [], NOW).state is RunState.UNFINISHED


def test_a_job_of_a_lost_node_is_finished() -> None:
    """A minute after its Pod should have been gone, though Kubernetes waits for ever."""
    ending = job(condition("FailureTarget", "BackoffLimitExceeded", 300), terminating=1, ready=0)
    stuck = lost(deleted=360)
    assert not hung(ending, [stuck], after(419))
    assert run_of(ending, [stuck], [], after(419)).state is RunState.UNFINISHED
    assert hung(ending, [stuck], after(420))
    told = run_of(ending, [stuck], [], after(420)).result
    assert told is not None
    assert (told.reason, told.finished) == ("NodeLost", after(360))


@pytest.mark.parametrize("pods", [[], [pod(running(), phase="Running")], [lost(deleted=10), pod(running())]])
def test_a_job_with_a_pod_that_may_run_does_not_hang(pods: list[Json]) -> None:
    """Only one all of whose Pods are lost does."""
    assert not hung(active_job(), pods, NOW)


def test_a_pod_that_ended_is_not_stuck() -> None:
    """The Job controller is only late."""
    assert not hung(active_job(), [pod(terminated(0), phase="Succeeded", deleted=10)], NOW)
