"""Runs the cases of Jobs on a control plane, all at once, and gives what was seen of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from tests.adapters.recorded_jobs import Seen
from tests.cluster.job_cases import Case, clear, end, is_over, is_running, job_of, look, nothing, prepare
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError

from bao_backup.adapters.kubernetes.outcome import START_LIMIT, could_not_start
from bao_backup.adapters.kubernetes.reasons import ended_because

#: Half a minute where nothing else runs.
PATIENCE = 150.0


def play(plane: ControlPlane, cases: Sequence[Case], image: str) -> dict[str, list[Seen]]:
    """What was seen of each: of one that cannot start, first that, and then its end by the manager."""
    prepare(plane, cases)
    try:
        for case in cases:
            plane.create(f"/apis/batch/v1/namespaces/{case.namespace}/jobs", job_of(case, image))
        return _watch(plane, cases)
    finally:
        clear(plane, cases)


def _watch(plane: ControlPlane, cases: Sequence[Case]) -> dict[str, list[Seen]]:
    seen: dict[str, list[Seen]] = {case.name: [] for case in cases}
    acted, done = set[str](), set[str]()
    until = time.monotonic() + PATIENCE
    while len(done) < len(cases):
        if time.monotonic() > until:
            missing = [case.name for case in cases if case.name not in done]
            raise HarnessError(f"these Jobs came to nothing in {PATIENCE:.0f} s: {missing}")
        for case in (each for each in cases if each.name not in done):
            moment = look(plane, case)
            if case.act is not nothing and case.name not in acted and is_running(moment):
                case.act(plane, moment)
                acted.add(case.name)
            if _next(plane, case, moment, seen[case.name]):
                done.add(case.name)
        time.sleep(0.5)
    return seen


def _next(plane: ControlPlane, case: Case, moment: Seen, seen: list[Seen]) -> bool:
    """Keep the moment, if it is one to keep; answers whether it was the case's last."""
    if not case.stuck:
        if case.until(moment):
            seen.append(moment)
        return bool(seen)
    if seen:
        if is_over(moment):
            seen.append(moment)
        return len(seen) == 2
    if is_over(moment):
        raise HarnessError(f"the Job of {case.name} ended, and should not have started")
    verdict = could_not_start(
        moment.job, moment.pods, moment.events, moment.at + START_LIMIT + timedelta(minutes=1)
    )
    if case.until(moment) and verdict is not None:
        seen.append(moment)
        end(plane, case, ended_because(*verdict))
    return False
