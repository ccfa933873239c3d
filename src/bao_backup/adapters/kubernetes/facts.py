"""What we read of a Job (batch/v1), its Pods and their Events (v1), as Kubernetes 1.36 writes them.

The objects come as plain JSON; whatever is not named here is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

JsonObject = Mapping[str, Any]
#: Older than any object: what stands for "no time at all" when times are compared.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Fact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an object; absent fields and nulls are what their types say."""


class Owner(Fact, frozen=True, kw_only=True):
    """`metadata.ownerReferences[]`."""

    uid: str = ""


class Meta(Fact, frozen=True, kw_only=True):
    """`metadata`. A deletion time has the grace period in it: then the object should be gone."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None

    def label(self, name: str) -> str:
        """The label's value; empty when there is none."""
        return (self.labels or {}).get(name, "")

    def annotation(self, name: str) -> str:
        """The annotation's value; empty when there is none."""
        return (self.annotations or {}).get(name, "")

    def is_owned_by(self, uid: str) -> bool:
        """Whether the object of this uid is among its owners."""
        return any(owner.uid == uid for owner in self.owner_references or ())


class ConditionFact(Fact, frozen=True, kw_only=True):
    """A condition of a Job or a Pod."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


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


class PodTemplate(Fact, frozen=True, kw_only=True):
    """`spec.template` of a Job."""

    spec: PodSpec = PodSpec()


class JobSpec(Fact, frozen=True, kw_only=True):
    """`spec` of a Job."""

    active_deadline_seconds: int | None = None
    template: PodTemplate = PodTemplate()


class JobStatus(Fact, frozen=True, kw_only=True):
    """`status` of a Job: counts of its Pods."""

    active: int | None = None
    ready: int | None = None
    terminating: int | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    conditions: tuple[ConditionFact, ...] | None = None


class Job(Fact, frozen=True, kw_only=True):
    """A Job. The first container of its template is the executor; others may be put beside it."""

    metadata: Meta = Meta()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    @property
    def container(self) -> Container:
        """The executor's container."""
        return next(iter(self.spec.template.spec.containers), Container())

    @property
    def started(self) -> datetime | None:
        """When the Job controller, or else the API server, first saw it."""
        return self.status.start_time or self.metadata.creation_timestamp

    @property
    def finished(self) -> ConditionFact | None:
        """What says that it is finished; None as long as it is not."""
        return self.condition("Complete") or self.condition("Failed")

    def condition(self, kind: str) -> ConditionFact | None:
        """The condition of this type, if it holds."""
        found = find_condition(self.status.conditions, kind)
        return found if found is not None and found.status == "True" else None


class InvolvedObject(Fact, frozen=True, kw_only=True):
    """What an Event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class EventSeries(Fact, frozen=True, kw_only=True):
    """`series` of an Event that the newer recorder wrote (the scheduler's)."""

    last_observed_time: datetime | None = None


class Event(Fact, frozen=True, kw_only=True):
    """An Event of core/v1. The older recorder sets first and last time, the newer `eventTime`."""

    metadata: Meta = Meta()
    involved_object: InvolvedObject = InvolvedObject()
    type: str = ""
    reason: str = ""
    message: str = ""
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    @property
    def first(self) -> datetime:
        """When it was seen first."""
        return self.first_timestamp or self.event_time or self.metadata.creation_timestamp or self.last

    @property
    def last(self) -> datetime:
        """When it was seen last."""
        repeated = self.series.last_observed_time if self.series else None
        times = (repeated, self.last_timestamp, self.event_time, self.first_timestamp)
        return max((time for time in times if time is not None), default=LONG_AGO)


def read_job(job: JsonObject) -> Job:
    """The Job's facts."""
    return msgspec.convert(job, Job)


def read_pods(job: Job, pods: Iterable[JsonObject]) -> tuple[Pod, ...]:
    """The facts of those Pods that the Job owns, the oldest first."""
    read = (msgspec.convert(pod, Pod) for pod in pods)
    owned = (pod for pod in read if pod.metadata.is_owned_by(job.metadata.uid))
    return tuple(sorted(owned, key=lambda pod: pod.metadata.creation_timestamp or LONG_AGO))


def read_events(job: Job, pods: Iterable[Pod], events: Iterable[JsonObject]) -> tuple[Event, ...]:
    """The facts of the Events about the Job and its Pods, the oldest first.

    Of Pods that are gone the name is all there is: it is the Job's, cut, and another Job of the
    cluster may have had it. So nothing counts that is older than the Job.
    """
    uids = {job.metadata.uid, *(pod.metadata.uid for pod in pods)}
    since = job.metadata.creation_timestamp or LONG_AGO
    kept = list[Event]()
    for event in (msgspec.convert(each, Event) for each in events):
        about = event.involved_object
        of_gone_pod = len(uids) == 1 and about.kind == "Pod" and _is_pod_name(about.name, job.metadata.name)
        if about.uid in uids or (of_gone_pod and event.last >= since):
            kept.append(event)
    return tuple(sorted(kept, key=lambda event: event.last))


def find_condition(conditions: Iterable[ConditionFact] | None, kind: str) -> ConditionFact | None:
    """The condition of this type, whatever its status is."""
    return next((each for each in conditions or () if each.type == kind), None)


def _is_pod_name(pod: str, job: str) -> bool:
    """A Job's Pods have its name, a hyphen (both cut to 58 characters), and five random ones."""
    return pod[:-5] == f"{job}-"[:58]
