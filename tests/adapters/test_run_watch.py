"""Runs of which no event comes: looked after, and nothing is asked while there is no need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.api_in_memory import Answer, ApiInMemory, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.adapters.jobs import (
    CLUSTER_UID,
    NAME,
    PULL,
    START,
    UID,
    active_job,
    complete_job,
    condition,
    event,
    failed_job,
    job,
    lost,
    pod,
    running,
    waiting,
)
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import EVENTS, JOBS, PODS
from bao_backup.adapters.kubernetes.names import ENDED_BECAUSE, MANAGED_BY
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.outcome import is_finished
from bao_backup.adapters.kubernetes.run_watch import LOOK_EVERY, READ_AGAIN_EVERY, RunWatch
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)

Json = dict[str, Any]
CONTROLLER = {"batch.kubernetes.io/controller-uid": UID}
AT_PODS = [("GET", "pods"), ("GET", "events"), ("GET", "events")]
READ = [("GET", "jobs")]
ENDED = [("PATCH", "jobs")]

Step = Callable[["Site"], Awaitable[None]]


class Site:
    """A manager that has seen what the API shows at first, and hears of nothing afterwards."""

    def __init__(self, first: Json, *pods: Json, events: tuple[Json, ...] = ()) -> None:
        self.server = ApiInMemory()
        self.clock = HandClock(START)
        self.changed: list[str] = []
        self.shown = self.show(first)
        for each in pods:
            labels = each["metadata"].get("labels", {}) | CONTROLLER
            self.server.put(PODS, each | {"metadata": each["metadata"] | {"labels": labels}})
        for each in events:
            self.server.put(EVENTS, each)
        self.runtime: KubernetesRuntime
        self.watch: RunWatch

    def show(self, body: Json, name: str = NAME) -> Json:
        """What the API has of the Job now."""
        metadata = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
        return self.server.put(JOBS, body | {"metadata": metadata | {"name": name}})

    def known(self, name: str = NAME) -> Json | None:
        """What the manager knows of the Job."""
        jobs = {each["metadata"]["name"]: each for each in self.runtime.known.jobs.all()}
        return jobs.get(name)

    async def look(self) -> list[tuple[str, str]]:
        """Look once; gives what was asked for it."""
        before = len(self.server.requests)
        await self.watch.look()
        return self.server.asked()[before:]

    def run(self, step: Step) -> None:
        """Do it with the manager."""

        async def whole() -> None:
            async with served(self.server.handle) as url, client_of(url) as api:
                self.runtime = KubernetesRuntime(
                    api,
                    clock=self.clock,
                    options=JobOptions(image="x"),
                    tell=lambda *_: None,
                    changed=self.changed.append,
                    gone=lambda _: None,
                )
                metadata = self.shown["metadata"]
                names = {"namespace": metadata["namespace"], "name": "bao"}
                own = {"metadata": names | {"uid": CLUSTER_UID, "resourceVersion": "1"}}
                self.runtime.known.take_cluster(own)
                self.runtime.known.take_job(self.shown)
                self.changed.clear()
                self.watch = RunWatch(api, self.runtime, self.clock)
                await step(self)

        asyncio.run(whole())


def others_job() -> Json:
    """A Job that another manager made."""
    made = active_job()
    return made | {"metadata": made["metadata"] | {"labels": {MANAGED_BY: "other"}}}


@pytest.mark.parametrize("first", [complete_job(), failed_job(), others_job()])
def test_nothing_is_asked_while_no_run_is_under_way(first: Json) -> None:
    """However much time goes by."""
    site = Site(first)

    async def step(site: Site) -> None:
        for _ in range(100):
            assert await site.look() == []
            site.clock.advance(60)

    site.run(step)


def test_a_run_that_goes_well_is_read_now_and_then() -> None:
    """Its end may not have been told."""
    site = Site(active_job(ready=1), pod(running(), phase="Running"))

    async def step(site: Site) -> None:
        asked = []
        for _ in range(0, 2 * int(READ_AGAIN_EVERY) + 5, 5):
            asked += await site.look()
            site.clock.advance(5)
        assert asked == 2 * READ
        assert site.changed == []
        site.show(complete_job())
        site.clock.advance(READ_AGAIN_EVERY)
        assert await site.look() == READ
        assert is_finished(site.known() or {})
        site.clock.advance(READ_AGAIN_EVERY)
        assert await site.look() == []

    site.run(step)


def test_a_run_that_was_removed_is_noticed() -> None:
    """Nobody told of it."""
    site = Site(active_job(ready=1))

    async def step(site: Site) -> None:
        await site.look()
        site.server.remove(JOBS, "vault", NAME)
        site.clock.advance(READ_AGAIN_EVERY)
        assert await site.look() == READ
        assert site.known() is None

    site.run(step)


def test_a_pod_that_cannot_start_has_its_run_ended() -> None:
    """Two minutes after that began, with the reason on the Job; before, and after its end, nothing."""
    pulling = waiting("ImagePullBackOff", "Back-off pulling image")
    site = Site(active_job(), pod(pulling), events=(event("Failed", PULL, first=10, last=100),))

    async def step(site: Site) -> None:
        site.clock.advance(119)
        assert await site.look() == []
        site.clock.advance(3)
        assert await site.look() == AT_PODS
        site.clock.advance(LOOK_EVERY - 1)
        assert await site.look() == []
        site.clock.advance(1)
        assert await site.look() == AT_PODS + ENDED
        told = site.known() or {}
        assert told["spec"]["activeDeadlineSeconds"] == 1
        assert told["metadata"]["annotations"][ENDED_BECAUSE].startswith("ImageNotFound: ")
        found = site.server.find(JOBS, "vault", NAME)
        assert found is not None
        assert (
            found["metadata"]["annotations"][ENDED_BECAUSE] == told["metadata"]["annotations"][ENDED_BECAUSE]
        )
        site.runtime.known.take_job(site.show(failed_job("DeadlineExceeded")))
        site.clock.advance(READ_AGAIN_EVERY)
        assert await site.look() == []

    site.run(step)


def test_a_run_that_was_removed_cannot_be_ended() -> None:
    """Then it is known to be gone."""
    site = Site(active_job(), pod(waiting("ImagePullBackOff")), events=(event("Failed", PULL),))

    async def step(site: Site) -> None:
        site.server.remove(JOBS, "vault", NAME)
        site.clock.advance(200)
        assert await site.look() == AT_PODS + ENDED
        assert site.known() is None

    site.run(step)


def test_a_run_on_a_lost_node_is_decided_on() -> None:
    """Kubernetes would wait for ever."""
    ending = job(condition("FailureTarget", "BackoffLimitExceeded", 300), terminating=1, ready=0)
    site = Site(ending, lost(deleted=360))

    async def step(site: Site) -> None:
        site.clock.advance(419)
        assert await site.look() == []
        site.clock.advance(1)
        site.changed.clear()
        assert await site.look() == AT_PODS
        assert site.changed == [CLUSTER_UID]

    site.run(step)


def test_a_failure_of_one_does_not_keep_the_others_waiting() -> None:
    """It is an error, told after all have been looked at."""
    site = Site(active_job(), events=())

    async def fail(request: ApiRequest) -> Answer | None:
        return (503, failure(503)) if request.resource == "pods" and UID in request.path else None

    async def step(site: Site) -> None:
        second = active_job()
        second["metadata"] |= {"uid": "j-2"}
        site.runtime.known.take_job(site.show(second, "second"))
        site.server.befall = fail
        site.clock.advance(timedelta(minutes=3).total_seconds())
        with pytest.raises(KubernetesError):
            await site.look()
        assert [each for each in site.server.requests if "controller-uid%3Dj-2" in each.path]

    site.run(step)
