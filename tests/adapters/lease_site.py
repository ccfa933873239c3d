"""An API with one Lease, and replicas that compete for it by one clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.adapters.api_in_memory import Answer, ApiInMemory, Befall, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import LEASES
from bao_backup.adapters.kubernetes.lease import Lease

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
