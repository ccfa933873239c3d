"""One of several replicas decides: the one that holds the Lease (coordination.k8s.io/v1).

Times of other machines are not believed: a Lease has expired when it was not renewed for its duration
by our own clock. Why not the library's own election: decision 13.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bao_backup.adapters.kubernetes.api import LEASES, Json, KubernetesApi
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesError,
    KubernetesMissingError,
)
from bao_backup.ports import Clock

#: As Kubernetes' own controllers have them, in seconds.
DURATION = 15
RENEW_WITHIN = 10.0
RETRY_EVERY = 2.0


class Lease:
    """A Lease object, which at most one `identity` holds at a time.

    Args:
        api: the API server.
        namespace: where the Lease is.
        name: its name.
        identity: who we are; no two replicas may have the same.
        clock: for durations.
        retry_every: how often it is tried for, and renewed, in seconds.
    """

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        *,
        retry_every: float = RETRY_EVERY,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._retry_every = retry_every
        #: What was last seen of another holder, and when it changed last.
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = clock.monotonic()
        #: Who holds it, as far as we know; empty: nobody.
        self.holder = ""
        #: Why it was not got or renewed the last time; None: the API server answered.
        self.trouble: KubernetesError | None = None

    async def acquire(self) -> None:
        """Wait until it is ours."""
        while not await self._try():  # noqa: ASYNC110 - it is on another machine
            await asyncio.sleep(self._retry_every)

    async def keep(self) -> None:
        """Renew it until it is lost: taken by another, or not renewed in time. Then return."""
        renewed = self._clock.monotonic()
        while (left := renewed + RENEW_WITHIN - self._clock.monotonic()) > 0:
            before = self._clock.monotonic()
            try:
                # A call that hangs must not be what keeps a lost Lease.
                async with asyncio.timeout(left):
                    ours = await self._try()
            except TimeoutError:
                return
            if ours:
                renewed = before
            elif self.trouble is None and self.holder != self._identity:
                return
            await asyncio.sleep(self._retry_every)

    async def release(self) -> None:
        """Give it back, so that another need not wait until it expires; failing that, it expires."""
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
            if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "renewTime": _moment(), "leaseDurationSeconds": 1}
                await self._api.replace(LEASES, self._namespace, self._name, lease)
        except KubernetesError as error:
            self.trouble = error

    async def _try(self) -> bool:
        """Take or renew it; answers whether it is ours now. Trouble with the API server is no answer."""
        try:
            ours = await self._take()
        except KubernetesConflictError:
            ours, self.trouble = False, None  # another was faster: the next try sees who
        except KubernetesError as error:
            ours, self.trouble = False, error
        else:
            self.trouble = None
        return ours

    async def _take(self) -> bool:
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
        except KubernetesMissingError:
            await self._api.create(LEASES, self._namespace, self._new())
            self.holder = self._identity
            return True
        spec = lease.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        if self.holder != self._identity and self.holder and not self._has_expired(spec):
            return False
        renewed = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION,
            "renewTime": _moment(),
        }
        if self.holder != self._identity:
            renewed |= {"acquireTime": _moment(), "leaseTransitions": spec.get("leaseTransitions", 0) + 1}
        await self._api.replace(LEASES, self._namespace, self._name, lease | {"spec": spec | renewed})
        self.holder = self._identity
        return True

    def _has_expired(self, spec: Json) -> bool:
        seen = (spec.get("holderIdentity") or "", spec.get("renewTime") or "")
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock.monotonic()
        duration = spec.get("leaseDurationSeconds") or DURATION
        return self._clock.monotonic() - self._seen_at > float(duration)

    def _new(self) -> Json:
        moment = _moment()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION,
                "acquireTime": moment,
                "renewTime": moment,
                "leaseTransitions": 0,
            },
        }


def _moment() -> str:
    """Now, as a MicroTime; only for people to read."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
