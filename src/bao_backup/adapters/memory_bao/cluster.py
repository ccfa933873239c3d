"""What a cluster in memory is: nodes, tokens, a state that is an archive, and how it takes another one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bao_backup.core.model import NodeState, Seal

RESTORE_PATH, FORCE_PATH = "sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryCluster:
    """Nodes, tokens, and the archive that they send. Safe for use by several threads.

    What a restore meets is set by a test before it: the attributes with their meaning are below.

    Args:
        archive: makes the bytes of a snapshot anew for each call; a restored one takes its place.
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
        self.cluster_id = "memory"
        #: The servers' clock, and whether they tell its time.
        self.now: Callable[[], datetime] = _now
        self.tells_time = True
        self.seal = Seal(type="shamir", shares=1, threshold=1)
        self.states = dict.fromkeys(addresses, NodeState.STANDBY)
        self.states[addresses[0]] = NodeState.ACTIVE
        #: Tokens that were given out and not revoked, and whether each may read snapshots.
        self.tokens: dict[str, bool] = {}
        #: Whether the credentials are right, and whether they allow to read snapshots.
        self.accepts_login = True
        self.allows_snapshot = True
        #: What every login may do, by path; None where it may not even ask, and may restore.
        self.capabilities: dict[str, frozenset[str]] | None = {
            RESTORE_PATH: frozenset({"read", "update"}),
            FORCE_PATH: frozenset({"update"}),
        }

        # --- what becomes of a restore
        #: The snapshot is of a cluster with other keys: refused without force, and with it all nodes
        #: are sealed once it is applied.
        self.keys_differ = False
        #: Why the server refuses what it has received; empty where it takes it.
        self.refuses = ""
        #: How many looks (`nodes`, `seal`) it takes until an accepted snapshot is applied.
        self.looks_until_applied = 2
        #: What the leader says of itself until then. Vault says nothing at all; with ACTIVE it shows what
        #: was there before, as OpenBao does, and as each server does for a moment after its answer.
        self.while_applying = NodeState.UNREACHABLE
        #: False: what was accepted is lost, as when the leader dies before it applies it.
        self.applies = True
        #: What a login obtains is a batch token, which the server keeps nowhere.
        self.batch_tokens = False
        #: The snapshot is of a time before the tokens that there are now.
        self.forgets_tokens = False
        #: The cluster's id in the snapshot; None for the same.
        self.restored_cluster_id: str | None = None

        #: How many times somebody began to send a snapshot to the leader, whatever became of it.
        self.submissions = 0
        #: SHA-256 of each archive that was applied, the newest last.
        self.applied: list[str] = []
        #: The Raft index that the nodes have applied.
        self.applied_index = 100
        self._accepted: bytes | None = None
        self._looks_left = 0
        self._given = 0
        self._lock = threading.RLock()

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

    # --- a restore -----------------------------------------------------------------------------

    def may(self, path: str) -> bool:
        """Whether logins may write to this path."""
        given = frozenset({"root"}) if self.capabilities is None else self.capabilities.get(path, frozenset())
        return not given.isdisjoint({"update", "root"})

    def accept(self, body: bytes) -> None:
        """A whole snapshot was sent: it is applied after so many looks."""
        with self._lock:
            self._accepted, self._looks_left = body, self.looks_until_applied
            self._settle_when_due()

    @property
    def applying(self) -> bool:
        """Whether something was accepted that is not applied yet."""
        return self._accepted is not None

    def look(self) -> None:
        """Somebody looks: time goes on."""
        with self._lock:
            self._looks_left -= 1
            self._settle_when_due()

    def said_by(self, address: str) -> NodeState:
        """What a node says of itself now."""
        with self._lock:
            state = self.states.get(address, NodeState.UNREACHABLE)
            return self.while_applying if self.applying and state is NodeState.ACTIVE else state

    def _settle_when_due(self) -> None:
        if self._accepted is None or self._looks_left > 0:
            return
        body, self._accepted = self._accepted, None
        if not self.applies:
            return
        self.archive = lambda: [body]
        self.applied.append(hashlib.sha256(body).hexdigest())
        self.applied_index += 2
        if self.forgets_tokens:
            self.tokens.clear()
        if self.restored_cluster_id is not None:
            self.cluster_id = self.restored_cluster_id
        if self.keys_differ:
            self.set_all(NodeState.SEALED)
