"""One of several replicas decides, whatever befalls their calls and clocks."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.adapters.api_in_memory import Answer
from tests.adapters.lease_site import (
    STEP,
    Json,
    Site,
    run,
    soon,
)
from tests.harness.api_request import ApiRequest

from bao_backup.adapters.kubernetes.lease import DURATION, RENEW_WITHIN


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
