"""Runs on Kubernetes from their start to where they are forgotten, where something goes wrong."""

from __future__ import annotations

import pytest
from tests.adapters.jobs import KEY, at, complete_job, message, pod, result, terminated
from tests.adapters.runtime_site import NAMESPACE, RUN, THE_RUN, Site, cluster

from bao_backup.adapters.kubernetes.api import JOBS, PODS
from bao_backup.adapters.kubernetes.run_counts import RunCounts
from bao_backup.core.errors import DocumentError
from bao_backup.core.kubernetes_errors import KubernetesError
from bao_backup.core.model import RetentionOutcome
from bao_backup.core.observed import ForgetRun, RunState


@pytest.mark.parametrize(
    ("code", "reason"), [(403, "KubernetesDenied"), (422, "KubernetesRefused"), (400, "KubernetesRefused")]
)
@pytest.mark.parametrize("resource", ["jobs", "serviceaccounts", "networkpolicies"])
def test_a_run_that_the_api_server_refuses_has_failed(resource: str, code: int, reason: str) -> None:
    """It is told as its end, is not tried again by itself, and counts once it is forgotten."""

    async def work(site: Site) -> None:
        site.failing("POST", resource, code)
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state, run.ours) == (RUN, RunState.FINISHED, True)
        assert run.result is not None
        assert (run.result.reason, run.result.exit_code, run.result.key) == (reason, 1, KEY)
        assert site.changed == [site.uid]
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert (await site.see()).runs == ()
        assert site.runtime.counted == {site.uid: RunCounts(failed=1)}

    Site().run(work)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_start_that_fails_for_a_while_is_repeated(code: int) -> None:
    """The error is the caller's; the next start makes the Job."""

    async def work(site: Site) -> None:
        site.failing("POST", "jobs", code)
        with pytest.raises(KubernetesError):
            await site.runtime.start(site.uid, THE_RUN)
        assert (await site.see()).runs == ()
        site.well()
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state) == (RUN, RunState.UNFINISHED)

    Site().run(work)


def test_a_job_that_nobody_told_of_is_found() -> None:
    """It was made before, by whoever crashed then: it is taken as it is."""

    async def work(site: Site) -> None:
        site.put_job(complete_job())
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state) == (RUN, RunState.FINISHED)
        assert site.changed == [site.uid]

    Site().run(work)


def test_no_run_starts_by_a_wrong_document() -> None:
    """Its fields are named."""

    async def work(site: Site) -> None:
        with pytest.raises(DocumentError) as caught:
            await site.runtime.start(site.uid, THE_RUN)
        assert [each.path for each in caught.value.problems] == ["spec.backup.historyLimit"]
        assert site.server.asked("POST") == []

    Site(cluster(historyLimit=-1)).run(work)


def test_a_run_s_end_is_worked_out_once() -> None:
    """What its executor said is kept until it is forgotten, and then counted."""
    site = Site()
    said = result()
    said = type(said)(
        **{name: getattr(said, name) for name in said.__struct_fields__}
        | {"retention": RetentionOutcome(kept=2, dropped=("a", "b"), more_dropped=3)}
    )
    site.put_job(complete_job())
    ended = pod(terminated(0, message=message(said)), phase="Succeeded")
    ended["metadata"] |= {"labels": {"batch.kubernetes.io/controller-uid": RUN}}
    ended["metadata"]["ownerReferences"][0] |= {"uid": RUN}
    site.server.put(PODS, ended)

    async def work(site: Site) -> None:
        for _ in range(3):
            (run,) = (await site.see()).runs
            assert run.result == said
        assert site.server.asked("GET").count(("GET", "pods")) == 1
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert (await site.see()).runs == ()
        assert site.runtime.counted == {site.uid: RunCounts(succeeded=1, dropped=5)}
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert site.runtime.counted[site.uid].succeeded == 1

    site.run(work)


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (2, 2), (5, 5), (100, 6)])
def test_the_newest_ended_runs_are_kept(limit: int, kept: int) -> None:
    """As many as the document says; Kubernetes removes the others at once."""
    site = Site(cluster(historyLimit=limit))
    names = [f"backup-prod-{number}" for number in range(6)]
    for number, name in enumerate(names):
        done = complete_job()
        done["status"]["conditions"][-1]["lastTransitionTime"] = at(number)
        done["status"]["conditions"][0]["lastTransitionTime"] = at(0)
        site.put_job(done, name)

    async def work(site: Site) -> None:
        await site.see()
        for name in names:
            await site.runtime.forget(site.uid, ForgetRun(name=name))
        lives = {}
        for name in names:
            found = site.server.find(JOBS, NAMESPACE, name)
            assert found is not None
            lives[name] = found["spec"]["ttlSecondsAfterFinished"]
        assert [name for name, seconds in lives.items() if seconds] == names[6 - kept :]

    site.run(work)
