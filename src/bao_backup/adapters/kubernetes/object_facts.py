"""What all objects of Kubernetes have in common, as 1.36 writes them: metadata, owners, conditions.

The objects come as plain JSON; whatever is not named here, or in `pod_facts` and `job_facts`, is passed over.
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


def find_condition(conditions: Iterable[ConditionFact] | None, kind: str) -> ConditionFact | None:
    """The condition of this type, whatever its status is."""
    return next((each for each in conditions or () if each.type == kind), None)
