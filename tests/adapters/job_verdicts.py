"""Holds what is made of Jobs to what must be made of them, for recorded ones and those of this moment."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta

from tests.adapters.recorded_jobs import EXPECTED, Expected, Seen

from bao_backup.adapters.kubernetes.names import ENDED_BECAUSE
from bao_backup.adapters.kubernetes.outcome import START_LIMIT, could_not_start, needs_pods, run_of
from bao_backup.core.model import Outcome
from bao_backup.core.observed import RunState

#: So long after the look at it, a Job whose Pods do not go away hangs.
LONG_AFTER = timedelta(minutes=3)


def check(case: str, seen: list[Seen]) -> None:
    """All that can be said of a case's moments."""
    expected = EXPECTED[case]
    if expected.stuck:
        stuck, ended = seen
        _check_stuck(stuck, expected)
    else:
        (ended,) = seen
    assert could_not_start(ended.job, ended.pods, ended.events, ended.at + LONG_AFTER) is None
    _check_ended(ended, expected)
    # Also where nobody had noted why it was ended.
    silent = deepcopy(ended.job)
    silent["metadata"]["annotations"].pop(ENDED_BECAUSE, None)
    _check_ended(Seen(ended.at, silent, ended.pods, ended.events), expected)


def _check_stuck(seen: Seen, expected: Expected) -> None:
    assert run_of(seen.job, seen.pods, seen.events, seen.at + LONG_AFTER).state is RunState.UNFINISHED
    assert could_not_start(seen.job, seen.pods, seen.events, seen.at) is None
    assert needs_pods(seen.job, seen.at + START_LIMIT)
    verdict = could_not_start(seen.job, seen.pods, seen.events, seen.at + START_LIMIT)
    assert verdict is not None
    assert verdict[0] == expected.reason
    assert expected.words in verdict[1]


def _check_ended(seen: Seen, expected: Expected) -> None:
    now = seen.at + LONG_AFTER
    assert needs_pods(seen.job, now)
    run = run_of(seen.job, seen.pods, seen.events, now)
    assert run.state is RunState.FINISHED
    result = run.result
    assert result is not None
    assert result.reason == expected.reason
    assert expected.words in result.message
    assert (result.outcome is Outcome.SUCCEEDED) == (expected.reason == "BackupSucceeded")
    assert result.started <= result.finished < now
