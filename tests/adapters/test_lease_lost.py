"""A Lease is lost in time, whatever befalls the calls, and given back at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from tests.adapters.lease_site import (
    NAME,
    NAMESPACE,
    Site,
    answering,
    for_one,
    hang,
    run,
    soon,
    trouble_of,
    until,
)

from bao_backup.adapters.kubernetes.api import LEASES
from bao_backup.adapters.kubernetes.lease import RENEW_WITHIN
from bao_backup.core.kubernetes_errors import (
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
)

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
                    await site.after_tries(2, "b", unless=lambda: "taken" in times)
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
