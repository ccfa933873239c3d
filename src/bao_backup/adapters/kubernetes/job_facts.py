"""What we read of a Job (batch/v1) and of the Events (v1) about it and its Pods."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from bao_backup.adapters.kubernetes.object_facts import (
    LONG_AGO,
    ConditionFact,
    Fact,
    JsonObject,
    Meta,
    find_condition,
)
from bao_backup.adapters.kubernetes.pod_facts import Container, Pod, PodSpec


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


def _is_pod_name(pod: str, job: str) -> bool:
    """A Job's Pods have its name, a hyphen (both cut to 58 characters), and five random ones."""
    return pod[:-5] == f"{job}-"[:58]
