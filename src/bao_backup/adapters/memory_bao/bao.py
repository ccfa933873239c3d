"""The Bao port to a cluster in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from bao_backup.adapters.memory_bao.cluster import FORCE_PATH, RESTORE_PATH, MemoryCluster
from bao_backup.adapters.memory_bao.fault import BaoFault, Method, happen
from bao_backup.adapters.memory_bao.restore import MemoryRestore
from bao_backup.adapters.memory_bao.snapshot import MemorySnapshot
from bao_backup.core.errors import (
    InternalError,
    LeaderError,
    LeaderLostError,
    LoginError,
    SnapshotDeniedError,
)
from bao_backup.core.model import Leader, Node, NodeState, Seal
from bao_backup.core.restore_errors import RestoreDeniedError

#: What a person reads of a node where its state's name is not it.
_SAID = {NodeState.UNREACHABLE: "connection refused"}


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
        #: The restores that were begun, the newest last.
        self.restores: list[MemoryRestore] = []

    def find_leader(self) -> Leader:
        """The active node, or LeaderError with what each one says."""
        fault = self._begin("find_leader", "")
        states = {address: self.cluster.said_by(address) for address in self.cluster.states}
        for address, state in states.items():
            if state is NodeState.ACTIVE:
                self._end(fault)
                return self._leader(address)
        said = ", ".join(f"{address} {_SAID.get(state, state)}" for address, state in states.items())
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
        self._require_login(doing)
        self._require_leader(doing, leader)
        if not self.cluster.tokens.get(self._token, False):
            raise SnapshotDeniedError(doing, "it answers 403, permission denied")
        stream = MemorySnapshot(self.cluster, leader.address, fault, self._stall_seconds)
        self.streams.append(stream)
        if fault is None or fault.after is None:
            self._end(fault)
        return stream

    def interrupt(self) -> None:
        """End a restore that is under way; a snapshot's head is there at once."""
        if self.restores:
            self.restores[-1].interrupt()

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

    def capabilities(self, leader: Leader, paths: Sequence[str]) -> Mapping[str, frozenset[str]] | None:
        """What the login may do at each path; None where it may not ask."""
        fault = self._begin("capabilities", leader.address)
        doing = f"ask {leader.address} what the login may do"
        self._require_login(doing)
        self._require_leader(doing, leader)
        given = self.cluster.capabilities
        self._end(fault)
        if given is None or self._token not in self.cluster.tokens:
            return None
        return {path: given.get(path, frozenset({"deny"})) for path in paths}

    def seal(self, leader: Leader) -> Seal:
        """The seal; a node tells it whether it is sealed or not."""
        fault = self._begin("seal", leader.address)
        self.cluster.look()
        if self.cluster.said_by(leader.address) is NodeState.UNREACHABLE:
            raise LeaderLostError(f"ask {leader.address} for its seal", _SAID[NodeState.UNREACHABLE])
        self._end(fault)
        return self.cluster.seal

    def server_time(self, leader: Leader) -> datetime | None:
        """The cluster's clock, in whole seconds."""
        fault = self._begin("server_time", leader.address)
        self._require_leader(f"ask {leader.address} for its time", leader)
        self._end(fault)
        return self.cluster.now().replace(microsecond=0) if self.cluster.tells_time else None

    def nodes(self) -> tuple[Node, ...]:
        """What each node says of itself."""
        fault = self._begin("nodes", "")
        self.cluster.look()
        found = tuple(self._node(address) for address in self.cluster.states)
        self._end(fault)
        return found

    def knows_login(self, leader: Leader) -> bool:
        """Whether the token is one."""
        fault = self._begin("knows_login", leader.address)
        doing = f"ask {leader.address} for the login"
        self._require_login(doing)
        self._require_leader(doing, leader)
        self._end(fault)
        return self._token in self.cluster.tokens

    def login_is_stored(self) -> bool:
        """Whether the login obtained a token, and no batch token."""
        return bool(self._token) and self._token != self._configured and not self.cluster.batch_tokens

    def restore(self, leader: Leader, chunks: Iterator[bytes], size: int, *, force: bool) -> None:
        """Send a snapshot; it is applied some looks later."""
        try:
            fault = self._begin("restore", leader.address)
            doing = f"restore a snapshot to {leader.address}"
            self._require_login(doing)
            self._require_leader(doing, leader)
            path = FORCE_PATH if force else RESTORE_PATH
            if self._token not in self.cluster.tokens or not self.cluster.may(path):
                hint = f'the policy needs: path "{path}" {{ capabilities = ["update"] }}'
                raise RestoreDeniedError(doing, "it answers 403, permission denied", hint=hint)
            self.cluster.submissions += 1
            sending = MemoryRestore(self.cluster, leader.address, fault, self._stall_seconds, force=force)
            self.restores.append(sending)
            sending.run(chunks, size)
            if fault is not None and fault.lost_answer:
                sending.lost(fault)
        finally:
            _close(chunks)

    def _require_leader(self, doing: str, leader: Leader) -> None:
        state = self.cluster.said_by(leader.address)
        if state is not NodeState.ACTIVE:
            raise LeaderLostError(doing, f"it is not the leader: {_SAID.get(state, state)}")

    def _require_login(self, doing: str) -> None:
        if not self._token:
            raise InternalError(doing, "there was no login before")

    def _leader(self, address: str) -> Leader:
        return Leader(address=address, version=self.cluster.version, cluster_id=self.cluster.cluster_id)

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

    def _node(self, address: str) -> Node:
        state = self.cluster.said_by(address)
        active = state is NodeState.ACTIVE
        return Node(
            address=address,
            state=state,
            said=_SAID.get(state, state.value),
            leader=self._leader(address) if active else None,
            applied_index=self.cluster.applied_index if state in (NodeState.ACTIVE, NodeState.STANDBY) else 0,
        )


def _close(chunks: Iterator[bytes]) -> None:
    """End the source with the call, where it is one that can be closed."""
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
