"""One of several replicas decides, whatever befalls their calls and clocks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.adapters.api_in_memory import Answer, ApiInMemory, Befall, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import LEASES
from bao_backup.adapters.kubernetes.lease import DURATION, RENEW_WITHIN, Lease
from bao_backup.core.kubernetes_errors import (
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
)

Json = dict[str, Any]
NAMESPACE, NAME = "bao-backup", "manager"
#: Of real time, in seconds: how often a replica of these tests tries, and how long nothing happens at most.
STEP, SOON = 0.005, 10.0


@dataclass
class Site:
    """An API with one Lease, and replicas that compete for it, all with one clock."""

    url: str
    server: ApiInMemory
    clock: HandClock = field(default_factory=HandClock)

    @asynccontextmanager
    async def replica(self, identity: str) -> AsyncIterator[Lease]:
        """One of them; what it asks is known by its name."""
        async with client_of(self.url, token=identity) as api:
            yield Lease(api, NAMESPACE, NAME, identity, self.clock, retry_every=STEP)

    def spec(self) -> Json:
        """What the Lease says; empty when there is none."""
        found = self.server.find(LEASES, NAMESPACE, NAME)
        spec: Json = found["spec"] if found else {}
        return spec

    def put(self, **spec: Any) -> None:
        """What somebody else makes of the Lease."""
        self.server.put(LEASES, {"metadata": {"namespace": NAMESPACE, "name": NAME}, "spec": spec})

    def tries(self, identity: str = "") -> int:
        """How often a replica asked so far."""
        return len([each for each in self.server.requests if _is_of(each, identity)])

    async def after_tries(self, count: int, identity: str = "", *, unless: Callable[[], bool] = bool) -> None:
        """Wait until there were so many more, or something else happened."""
        wanted = self.tries(identity) + count
        await until(lambda: self.tries(identity) >= wanted or unless())


def _is_of(request: ApiRequest, identity: str) -> bool:
    return not identity or request.headers.get("authorization") == f"Bearer {identity}"


async def until(probe: Callable[[], bool]) -> None:
    """Wait until it says yes."""
    async with asyncio.timeout(SOON):
        while not probe():  # noqa: ASYNC110 - what it asks is in no loop's hands
            await asyncio.sleep(STEP)


def for_one(identity: str, befall: Befall) -> Befall:
    """It befalls this replica's requests only."""

    async def chosen(request: ApiRequest) -> Answer | None:
        return await befall(request) if _is_of(request, identity) else None

    return chosen


def answering(code: int, *, method: str = "", times: int = 1_000_000) -> Befall:
    """This code, so many times, to requests of the method."""
    left = times

    async def befall(request: ApiRequest) -> Answer | None:
        nonlocal left
        if left and method in ("", request.method):
            left -= 1
            return code, failure(code)
        return None

    return befall


async def hang(_: ApiRequest) -> Answer | None:
    """There is no answer while anybody waits for it."""
    await asyncio.sleep(60)
    return None


def run(work: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    """Do it with an API that has no Lease yet."""

    async def whole() -> None:
        server = ApiInMemory()
        async with served(server.handle) as url:
            await work(Site(url, server))

    asyncio.run(whole())


def trouble_of(lease: Lease) -> type[object]:
    """The kind of trouble that it has."""
    return type(lease.trouble)


async def soon(work: Awaitable[None]) -> None:
    """It ends within a moment of real time."""
    async with asyncio.timeout(SOON):
        await work


# --- to get and to keep it ---------------------------------------------------------------------


def test_one_alone_gets_it_and_renews_it() -> None:
    """The object is made, and says who, since when and for how long."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            made = site.spec()
            assert made["holderIdentity"] == lease.holder == "a"
            assert (made["leaseDurationSeconds"], made["leaseTransitions"]) == (DURATION, 0)
            keeping = asyncio.ensure_future(lease.keep())
            for _ in range(4):
                site.clock.advance(RENEW_WITHIN - 1)
                await site.after_tries(6)
            assert not keeping.done()
            keeping.cancel()
            assert site.spec()["renewTime"] > made["renewTime"]
            assert site.spec() | {"renewTime": ""} == made | {"renewTime": ""}
            assert lease.trouble is None

    run(work)


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": ""}, {"holderIdentity": "a"}])
def test_a_lease_that_nobody_else_holds_is_taken_at_once(spec: Json) -> None:
    """Also one's own from before a crash, under the same name."""

    async def work(site: Site) -> None:
        site.put(**spec, leaseTransitions=4, preferredHolder="x")
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            assert site.spec()["holderIdentity"] == "a"
            assert site.spec()["leaseTransitions"] == (4 if spec.get("holderIdentity") else 5)
            assert site.spec()["preferredHolder"] == "x"

    run(work)


@pytest.mark.parametrize("renewed", ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", ""])
def test_another_one_s_expires_by_our_own_clock(renewed: str) -> None:
    """Whatever its times say: once it did not change for its own duration."""

    async def work(site: Site) -> None:
        site.put(holderIdentity="b", renewTime=renewed, leaseDurationSeconds=7)
        async with site.replica("a") as lease:
            acquiring = asyncio.ensure_future(lease.acquire())
            await site.after_tries(2)
            site.clock.advance(6.9)
            await site.after_tries(4)
            assert not acquiring.done()
            assert lease.holder == "b"
            site.put(holderIdentity="b", renewTime="2026-01-01T00:00:00.000000Z", leaseDurationSeconds=7)
            await site.after_tries(2)
            site.clock.advance(6.9)
            await site.after_tries(4)
            assert not acquiring.done()
            site.clock.advance(0.2)
            await soon(acquiring)
            assert site.spec()["holderIdentity"] == "a"

    run(work)


def test_one_that_is_renewed_never_expires() -> None:
    """However long somebody waits for it."""

    async def work(site: Site) -> None:
        async with site.replica("a") as holder, site.replica("b") as waiter:
            await soon(holder.acquire())
            keeping, waiting = asyncio.ensure_future(holder.keep()), asyncio.ensure_future(waiter.acquire())
            for _ in range(10):
                site.clock.advance(RENEW_WITHIN - 1)
                await site.after_tries(4, "a")
                await site.after_tries(4, "b")
            assert (keeping.done(), waiting.done()) == (False, False)
            keeping.cancel()
            waiting.cancel()

    run(work)


def test_several_at_once_are_one_after_the_other() -> None:
    """Never two of them, however their calls fall together."""

    async def work(site: Site) -> None:
        inside: list[str] = []
        turns: list[str] = []
        chance = random.Random(4)

        async def jitter(_: ApiRequest) -> Answer | None:
            await asyncio.sleep(chance.random() * STEP)
            return None

        site.server.befall = jitter

        async def compete(identity: str) -> None:
            async with site.replica(identity) as lease:
                for _ in range(6):
                    await lease.acquire()
                    inside.append(identity)
                    assert inside == [identity]
                    turns.append(identity)
                    await asyncio.sleep(chance.random() * STEP)
                    inside.remove(identity)
                    await lease.release()

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for identity in "abcd":
                tasks.create_task(compete(identity))
        assert sorted(turns) == sorted("abcd" * 6)

    run(work)


# --- to lose it --------------------------------------------------------------------------------


def test_who_is_cut_off_stops_before_another_one_begins() -> None:
    """By the time that another one may take it, it was given up."""

    async def work(site: Site) -> None:
        times: dict[str, float] = {}
        start = site.clock.monotonic()

        async def at_its_end(name: str, what: Awaitable[None]) -> None:
            await what
            times[name] = site.clock.monotonic() - start

        async with site.replica("a") as holder, site.replica("b") as waiter:
            await soon(holder.acquire())
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                site.server.befall = for_one("a", answering(503))
                tasks.create_task(at_its_end("lost", holder.keep()))
                tasks.create_task(at_its_end("taken", waiter.acquire()))
                while "taken" not in times:
                    await site.after_tries(2, "b")
                    await site.after_tries(2, "a", unless=lambda: "lost" in times)
                    site.clock.advance(0.5)
            assert type(holder.trouble) is KubernetesError
        assert 9.5 <= times["lost"] <= 10.5
        assert 15.0 <= times["taken"] <= 16.5

    run(work)


def test_a_call_that_hangs_loses_it_in_time() -> None:
    """It is given up while the call hangs, not when that ends."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            keeping = asyncio.ensure_future(lease.keep())
            await site.after_tries(2)
            site.server.befall = hang
            site.clock.advance(RENEW_WITHIN - 0.3)
            began = time.monotonic()
            await soon(keeping)
            assert time.monotonic() - began < 2

    run(work)


def test_a_short_trouble_does_not_lose_it() -> None:
    """The API server is started anew, or somebody else's write came between."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            keeping = asyncio.ensure_future(lease.keep())
            for befall in (answering(503, times=3), answering(409, method="PUT", times=3)):
                site.server.befall = befall
                site.clock.advance(RENEW_WITHIN - 1)
                await site.after_tries(12)
                assert lease.trouble is None
            assert not keeping.done()
            keeping.cancel()

    run(work)


def test_it_is_lost_when_another_one_has_it() -> None:
    """At once, and it is known who."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            keeping = asyncio.ensure_future(lease.keep())
            await site.after_tries(2)
            site.put(holderIdentity="b", renewTime="x", leaseDurationSeconds=15)
            await soon(keeping)
            assert lease.holder == "b"
            assert site.spec()["holderIdentity"] == "b"

    run(work)


def test_one_that_was_deleted_is_made_again() -> None:
    """Whoever does it first has it; here it is who had it."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await soon(lease.acquire())
            keeping = asyncio.ensure_future(lease.keep())
            await site.after_tries(2)
            site.server.remove(LEASES, NAMESPACE, NAME)
            await until(lambda: bool(site.spec()))
            assert site.spec()["holderIdentity"] == "a"
            assert not keeping.done()
            keeping.cancel()

    run(work)


# --- to give it back ---------------------------------------------------------------------------


def test_what_was_given_back_is_free_at_once() -> None:
    """Nobody waits until it expires."""

    async def work(site: Site) -> None:
        async with site.replica("a") as holder, site.replica("b") as waiter:
            await soon(holder.acquire())
            waiting = asyncio.ensure_future(waiter.acquire())
            await site.after_tries(4, "b")
            assert not waiting.done()
            await holder.release()
            await soon(waiting)
            assert (site.spec()["holderIdentity"], site.spec()["leaseTransitions"]) == ("b", 1)
            await holder.release()
            assert site.spec()["holderIdentity"] == "b"

    run(work)


def test_what_cannot_be_given_back_expires() -> None:
    """That is no error of who is ending."""

    async def work(site: Site) -> None:
        async with site.replica("a") as lease:
            await lease.release()
            assert type(lease.trouble) is KubernetesMissingError
            await soon(lease.acquire())
            site.server.befall = answering(503)
            await lease.release()
            assert type(lease.trouble) is KubernetesError
            assert site.spec()["holderIdentity"] == "a"

    run(work)


def test_why_it_is_not_got_is_known() -> None:
    """As long as it is so."""

    async def work(site: Site) -> None:
        site.server.befall = answering(403)
        async with site.replica("a") as lease:
            acquiring = asyncio.ensure_future(lease.acquire())
            await site.after_tries(3)
            assert (trouble_of(lease), lease.holder) == (KubernetesDeniedError, "")
            site.put(holderIdentity="b", leaseDurationSeconds=15)
            site.server.befall = answering(503, times=0)
            await site.after_tries(3)
            assert (trouble_of(lease), lease.holder) == (type(None), "b")
            acquiring.cancel()

    run(work)
