"""What the program speaks about: frozen values, shared by core, flows and adapters.

Times are aware and in UTC, sizes are bytes, digests are lower-case hex SHA-256. JSON names are
camelCase, as in the documents.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A frozen value with a JSON form."""


#: A time that was written down elsewhere: one without a zone is refused when it is read.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Trigger(StrEnum):
    """Why a run happens."""

    SCHEDULED = "Scheduled"
    MANUAL = "Manual"
    PRE_UPGRADE = "PreUpgrade"
    #: What was there before a restore.
    PRE_RESTORE = "PreRestore"


class VerifyLevel(StrEnum):
    """How the stored object is checked after the upload (`spec.backup.verify`)."""

    HEAD = "Head"
    FULL = "Full"


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


# --- what is in a snapshot ---------------------------------------------------------------------


class Server(Value, frozen=True, kw_only=True):
    """A member of the Raft configuration in `meta.json`."""

    id: str
    address: str
    suffrage: str = "Voter"


class SnapshotMeta(Value, frozen=True, kw_only=True):
    """`meta.json` of a snapshot archive."""

    id: str
    index: int
    term: int
    version: int
    size: int
    configuration_index: int = 0
    servers: tuple[Server, ...] = ()


class Area(Value, frozen=True, kw_only=True):
    """How much of the state belongs to one area: counts only, never a key."""

    name: str
    entries: int
    size: int


class Seal(Value, frozen=True, kw_only=True):
    """The seal as `core/seal-config` in the snapshot tells it."""

    type: str
    shares: int
    threshold: int


class Inventory(Value, frozen=True, kw_only=True):
    """What can be said of `state.bin` without any key."""

    entries: int
    size: int
    areas: tuple[Area, ...] = ()
    seal: Seal | None = None
    #: The highest barrier key term seen on a value; 0 when none was.
    barrier_term: int = 0
    #: The newest server version that `core/versions/` names; empty when none.
    server_version: str = ""
    #: False when `state.bin` is not all records that we know how to read; its digest still agrees.
    complete: bool = True


class Contents(Value, frozen=True, kw_only=True):
    """What the archive reader proved of one whole archive."""

    size: int
    sha256: str
    meta: SnapshotMeta
    #: member name -> SHA-256 of its bytes, as computed from the stream
    members: dict[str, str]
    inventory: Inventory


# --- what is in a store ------------------------------------------------------------------------


class Stored(Value, frozen=True, kw_only=True):
    """An object as a store describes it."""

    key: str
    size: int
    modified: datetime
    etag: str | None = None
    version: str | None = None
    #: Of what was just sent, where the target says so: until when nobody may delete or change it.
    locked_until: datetime | None = None


class Backup(Value, frozen=True, kw_only=True):
    """A `.snap` object of ours, from one LIST: its name, and whether a receipt is beside it."""

    key: str
    #: from the key: the slot, in UTC
    taken: datetime
    size: int
    modified: datetime
    #: A receipt is beside it.
    proven: bool
    #: The class prefix before the timestamp, e.g. "pre-upgrade"; empty for the ordinary ones.
    kind: str = ""


# --- runs --------------------------------------------------------------------------------------


class RetentionOutcome(Value, frozen=True, kw_only=True):
    """What retention did at the end of a run."""

    kept: int
    dropped: tuple[str, ...] = ()
    #: One line for each deletion that was refused.
    failed: tuple[str, ...] = ()
    #: How many more there were than there was room to name.
    more_dropped: int = 0
    more_failed: int = 0

    @property
    def dropped_count(self) -> int:
        """How many were dropped."""
        return len(self.dropped) + self.more_dropped

    @property
    def failed_count(self) -> int:
        """How many deletions were refused."""
        return len(self.failed) + self.more_failed


class Result(Value, frozen=True, kw_only=True, omit_defaults=False):
    """The JSON that an executor ends with: at most 3,500 bytes as a termination message."""

    result: int = 1
    outcome: Outcome
    reason: str
    message: str
    exit_code: int
    key: str = ""
    size: int = 0
    sha256: str = ""
    started: Moment
    finished: Moment
    slot: Moment | None = None
    trigger: Trigger = Trigger.SCHEDULED
    #: How often the stream was begun.
    tries: int = 0
    raft_index: int = 0
    raft_term: int = 0
    server_version: str = ""
    verification: VerifyLevel | None = None
    retention: RetentionOutcome | None = None
    warnings: tuple[str, ...] = ()
    #: Of a restore: the key of the backup of what was there before; the way back.
    safety_key: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether there is a proven backup at `key`."""
        return self.outcome is Outcome.SUCCEEDED


# --- the server --------------------------------------------------------------------------------


class Leader(Value, frozen=True, kw_only=True):
    """The active node, as its `sys/health` says."""

    #: One of the configured addresses.
    address: str
    #: Which of the IP addresses of its host answered.
    ip: str = ""
    version: str = ""
    cluster_id: str = ""
    cluster_name: str = ""


class NodeState(StrEnum):
    """What a node says of itself when it is asked."""

    ACTIVE = "active"
    STANDBY = "standby"
    SEALED = "sealed"
    NOT_INITIALISED = "not initialised"
    #: It answered something else, which `Node.said` tells.
    OTHER = "other"
    UNREACHABLE = "unreachable"


class Node(Value, frozen=True, kw_only=True):
    """One node of a cluster, as it answers now."""

    #: One of the configured addresses, and which of its IP addresses was asked.
    address: str
    ip: str = ""
    state: NodeState
    #: In words for people.
    said: str = ""
    #: The active node; None for the others.
    leader: Leader | None = None
    #: The Raft index that it has applied; 0 where it does not say.
    applied_index: int = 0
    #: Who it says leads, by that one's own address, and since when: to be compared. Empty where it does not.
    leadership: str = ""
