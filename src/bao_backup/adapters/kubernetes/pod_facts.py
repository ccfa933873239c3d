"""What we read of a Pod (v1): its containers, its volumes, and how its containers are or ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bao_backup.adapters.kubernetes.object_facts import ConditionFact, Fact, Meta, find_condition


class Resources(Fact, frozen=True, kw_only=True):
    """`resources` of a container: quantities by name."""

    limits: dict[str, Any] | None = None


class Container(Fact, frozen=True, kw_only=True):
    """`spec.containers[]` of a Pod."""

    name: str = ""
    image: str = ""
    resources: Resources = Resources()


class SecretSource(Fact, frozen=True, kw_only=True):
    """A Secret as a volume, or as a part of a projected one (there it is `name`)."""

    secret_name: str = ""
    name: str = ""


class Projection(Fact, frozen=True, kw_only=True):
    """`projected.sources[]`."""

    secret: SecretSource | None = None


class Projected(Fact, frozen=True, kw_only=True):
    """A projected volume."""

    sources: tuple[Projection, ...] | None = None


class Volume(Fact, frozen=True, kw_only=True):
    """`spec.volumes[]` of a Pod."""

    name: str = ""
    secret: SecretSource | None = None
    projected: Projected | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the Secrets that it mounts."""
        sources = (self.projected.sources if self.projected else None) or ()
        named = (source.secret.name for source in sources if source.secret)
        return (*((self.secret.secret_name,) if self.secret else ()), *named)


class PodSpec(Fact, frozen=True, kw_only=True):
    """`spec` of a Pod."""

    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] | None = None
    node_name: str | None = None
    termination_grace_period_seconds: int | None = None
    service_account_name: str = ""


class Waiting(Fact, frozen=True, kw_only=True):
    """`state.waiting` of a container."""

    reason: str = ""
    message: str = ""


class Running(Fact, frozen=True, kw_only=True):
    """`state.running` of a container."""

    started_at: datetime | None = None


class Terminated(Fact, frozen=True, kw_only=True):
    """`state.terminated` of a container; `message` is what it left, or what the kubelet says."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(Fact, frozen=True, kw_only=True):
    """`state` or `lastState`: at most one of them is there."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Fact, frozen=True, kw_only=True):
    """`status.containerStatuses[]`."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()

    @property
    def ended(self) -> tuple[Terminated, ...]:
        """Every end of the container that is known, the newest first."""
        return tuple(s.terminated for s in (self.state, self.last_state) if s.terminated is not None)


class PodStatus(Fact, frozen=True, kw_only=True):
    """`status` of a Pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[ConditionFact, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Fact, frozen=True, kw_only=True):
    """A Pod."""

    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_over(self) -> bool:
        """Whether its containers have ended for good."""
        return self.status.phase in ("Succeeded", "Failed")

    def condition(self, kind: str) -> ConditionFact | None:
        """The condition of this type."""
        return find_condition(self.status.conditions, kind)

    def main(self, name: str) -> ContainerStatus | None:
        """The status of the container of this name."""
        return next((each for each in self.status.container_statuses or () if each.name == name), None)
