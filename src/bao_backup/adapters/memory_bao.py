"""A cluster in memory behind the Bao port: several nodes, elections, and faults given as data.

It works as the port says. It serves tests and trials of the flows, where every call and every chunk
may fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bao_backup.core.errors import (
    InternalError,
    LeaderError,
    LeaderLostError,
    LoginError,
    SnapshotCutOffError,
    SnapshotDeniedError,
    SnapshotStalledError,
)
from bao_backup.core.model import Leader

CHUNK = 1 << 20
Method = Literal["find_leader", "login", "snapshot", "revoke"]


class NodeState(StrEnum):
    """What a node says of itself when it is asked."""

    ACTIVE = "active"
    STANDBY = "standby"
    SEALED = "sealed"
    STOPPED = "connection refused"


@dataclass(frozen=True, kw_only=True)
class BaoFault:
    """What befalls one call of one method, or the stream that it begins.

    Without `after` the call itself is meant: `error` is raised before it has any effect. With it the
    stream is meant, when it has given so many bytes.
    """

    method: Method
    #: Which call of this method it befalls, from 1, and how many in a row.
    call: int = 1
    times: int = 1
    error: BaseException | None = None
    #: Only for "snapshot": befalls the stream when it has given so many bytes.
    after: int | None = None
    #: Only with `after`: no byte comes any more, until the stall limit or until it is closed.
    stall: bool = False
    #: The call takes effect, and only then fails: its answer was lost.
    lost_answer: bool = False
    #: This address leads from now on; "" for nobody.
    elects: str | None = None


class MemoryCluster:
    """Nodes, tokens, and the archive that they send. Safe for use by several threads.

    Args:
        archive: makes the bytes of a snapshot anew for each call.
        addresses: the first one leads.
    """

    def __init__(
        self,
        archive: Callable[[], Iterable[bytes]],
        addresses: tuple[str, ...] = ("https://bao-0.test:8200",),
        version: str = "2.4.4",
    ) -> None:
        self.archive = archive
        self.version = version
        self.states = dict.fromkeys(addresses, NodeState.STANDBY)
        self.states[addresses[0]] = NodeState.ACTIVE
        #: Tokens that were given out and not revoked, and whether each may read snapshots.
        self.tokens: dict[str, bool] = {}
        #: Whether the credentials are right, and whether they allow to read snapshots.
        self.accepts_login = True
        self.allows_snapshot = True
        self._given = 0
        self._lock = threading.Lock()

    def elect(self, address: str) -> None:
        """Make this node the leader; "" for none. Who led before is a standby."""
        with self._lock:
            for each, state in self.states.items():
                if state is NodeState.ACTIVE:
                    self.states[each] = NodeState.STANDBY
            if address:
                self.states[address] = NodeState.ACTIVE

    def set_all(self, state: NodeState) -> None:
        """Bring every node into this state."""
        with self._lock:
            self.states = dict.fromkeys(self.states, state)

    def leads(self, address: str) -> bool:
        """Whether this node is the active one now."""
        return self.states.get(address) is NodeState.ACTIVE

    def grant(self) -> str:
        """A new token."""
        with self._lock:
            self._given += 1
            token = f"token-{self._given}"
            self.tokens[token] = self.allows_snapshot
            return token


class MemoryBao:
    """The port to a `MemoryCluster`. `calls` tells what was asked, in order: (method, address).

    With `token` that one is used, and stays; without it each login obtains one.
    """

    def __init__(
        self,
        cluster: MemoryCluster,
        faults: Iterable[BaoFault] = (),
        *,
        token: str = "",
        stall_seconds: float = 60.0,
    ) -> None:
        self.cluster = cluster
        self._configured = token
        self.calls: list[tuple[Method, str]] = []
        self._faults = tuple(faults)
        self._stall_seconds = stall_seconds
        self._token = ""
        #: The streams that were given out, the newest last.
        self.streams: list[MemorySnapshot] = []

    def find_leader(self) -> Leader:
        """The active node, or LeaderError with what each one says."""
        fault = self._begin("find_leader", "")
        for address, state in self.cluster.states.items():
            if state is NodeState.ACTIVE:
                self._end(fault)
                return Leader(address=address, version=self.cluster.version, cluster_id="memory")
        said = ", ".join(f"{address} {state}" for address, state in self.cluster.states.items())
        raise LeaderError("find the active node of the cluster", said)

    def login(self, leader: Leader) -> None:
        """Obtain a token, if the cluster accepts the login."""
        fault = self._begin("login", leader.address)
        self._token = self._configured
        if self._configured:
            self._end(fault)
            return
        doing = f"log in to {leader.address}"
        self._require_leader(doing, leader)
        if not self.cluster.accepts_login:
            raise LoginError(doing, "refused: 400, invalid credentials")
        self._token = self.cluster.grant()
        self._end(fault)

    def snapshot(self, leader: Leader) -> MemorySnapshot:
        """Begin the snapshot, if the token may."""
        fault = self._begin("snapshot", leader.address)
        doing = f"read the snapshot of {leader.address}"
        if not self._token:
            raise InternalError(doing, "there was no login before")
        self._require_leader(doing, leader)
        if not self.cluster.tokens.get(self._token, False):
            raise SnapshotDeniedError(doing, "it answers 403, permission denied")
        stream = MemorySnapshot(self.cluster, leader.address, fault, self._stall_seconds)
        self.streams.append(stream)
        if fault is None or fault.after is None:
            self._end(fault)
        return stream

    def interrupt(self) -> None:
        """No call waits here: a snapshot's head is there at once."""

    def revoke(self, leader: Leader) -> None:
        """Make the token worthless, and forget it."""
        token, self._token = self._token, ""
        fault = self._begin("revoke", leader.address)
        if not token or token == self._configured:
            return
        if not self.cluster.leads(leader.address):
            raise LoginError(f"revoke the login token at {leader.address}", "it is not the leader any more")
        self.cluster.tokens.pop(token, None)
        self._end(fault)

    def _require_leader(self, doing: str, leader: Leader) -> None:
        if not self.cluster.leads(leader.address):
            state = self.cluster.states.get(leader.address, NodeState.STOPPED)
            raise LeaderLostError(doing, f"it is not the leader: {state}")

    def _begin(self, method: Method, address: str) -> BaoFault | None:
        """Count the call, and let the fault that is due at it happen, or give it for later."""
        self.calls.append((method, address))
        count = sum(each == method for each, _ in self.calls)
        for fault in self._faults:
            if fault.method == method and fault.call <= count < fault.call + fault.times:
                if fault.after is None and not fault.lost_answer:
                    happen(self.cluster, fault)
                return fault
        return None

    def _end(self, fault: BaoFault | None) -> None:
        if fault is not None and fault.lost_answer:
            happen(self.cluster, fault)


class MemorySnapshot:
    """The stream of one snapshot call; it is cut off when its node ceases to lead."""

    def __init__(
        self, cluster: MemoryCluster, address: str, fault: BaoFault | None, stall_seconds: float
    ) -> None:
        self._cluster = cluster
        self._address = address
        self._fault = fault if fault is not None and fault.after is not None else None
        self._stall_seconds = stall_seconds
        self._closed = threading.Event()
        self._given = 0
        #: Set when the stream gives no byte any more: the point at which a test goes on.
        self.stalled = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether this side has closed it."""
        return self._closed.is_set()

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of at most 1 MiB, and the fault where it is due."""
        for chunk in self._chunks():
            if self._closed.is_set():
                raise self._cut_off("this side closed the connection")
            if not self._cluster.leads(self._address):
                raise self._cut_off("the connection ended")
            self._given += len(chunk)
            yield chunk
        if self._fault is not None:  # it was due behind the last byte
            self._befall(self._fault)

    def close(self) -> None:
        """End it, from any thread; a read under way ends at once."""
        self._closed.set()

    def _chunks(self) -> Iterator[bytes]:
        for part in self._cluster.archive():
            left = part
            while left:
                room = CHUNK if self._fault is None else min(CHUNK, (self._fault.after or 0) - self._given)
                if room <= 0 and self._fault is not None:
                    self._befall(self._fault)
                    continue
                yield bytes(left[:room])
                left = left[room:]

    def _befall(self, fault: BaoFault) -> None:
        self._fault = None
        if fault.stall:
            self.stalled.set()
            if not self._closed.wait(self._stall_seconds):
                why = f"no byte for {self._stall_seconds:g} s, after {self._given} bytes"
                raise SnapshotStalledError(f"read the snapshot of {self._address}", why)
            raise self._cut_off("this side closed the connection")
        happen(self._cluster, fault)

    def _cut_off(self, why: str) -> SnapshotCutOffError:
        doing = f"read the snapshot of {self._address}"
        return SnapshotCutOffError(doing, f"{why} after {self._given} bytes")


def happen(cluster: MemoryCluster, fault: BaoFault) -> None:
    """Let a fault take effect: first the election, then the error."""
    if fault.elects is not None:
        cluster.elect(fault.elects)
    if fault.error is not None:
        raise fault.error
