"""What a pretended cluster knows: nodes and who leads, tokens and policies, ways to log in, secrets."""

from __future__ import annotations

import base64
import secrets
import threading
import uuid
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from bao_backup.adapters.development.barrier import Barrier, BarrierError
from bao_backup.adapters.development.content import Content, Logins, Policy, Secret, open_records

#: Whose answers the development server is held to.
VERSION = "2.4.4"
ROOT = "root"
SNAPSHOT_PATH = "sys/storage/raft/snapshot"
FORCE_PATH = "sys/storage/raft/snapshot-force"
TOKEN_SECONDS = 600

_DEFAULT_POLICY: Policy = {
    "sys/capabilities-self": ("update",),
    "auth/token/revoke-self": ("update",),
    "auth/token/lookup-self": ("read",),
}


@dataclass(slots=True)
class Node:
    """A member of the cluster."""

    name: str
    #: Its URL, once it has been started.
    address: str = ""
    running: bool = False
    sealed: bool = False


class DevelopmentCluster:
    """The state that the servers of one pretended cluster share.

    `padding` bytes of random records make snapshots larger; `level` is their compression.
    """

    def __init__(self, nodes: int = 1, *, initialised: bool = True, padding: int = 0, level: int = 6) -> None:
        self.lock = threading.RLock()
        self.nodes = [Node(f"node{number}") for number in range(nodes)]
        self.active: Node | None = None
        self.active_since = now()
        self.initialised = initialised
        self.padding = padding
        self.level = level
        self.term = 1
        self.index = 20
        self.name, self.id = f"development-{secrets.token_hex(4)}", str(uuid.uuid4())
        self.unseal_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.barrier = Barrier(base64.b64decode(self.unseal_key))
        self.policies: dict[str, Policy] = {
            "default": _DEFAULT_POLICY,
            "snapshot": {SNAPSHOT_PATH: ("read",)},
            "restore": {SNAPSHOT_PATH: ("read", "update"), FORCE_PATH: ("update",)},
        }
        self.tokens: dict[str, tuple[str, ...]] = {}
        self.root_token = self.grant((ROOT,))
        self.logins = Logins(
            users={"backup": secrets.token_urlsafe(12), "restore": secrets.token_urlsafe(12)},
            app_roles={str(uuid.uuid4()): str(uuid.uuid4())},
            jwts={"jwt-operator": {}, "kubernetes": {}},
        )
        self.secrets: dict[str, Secret] = {}
        #: How many snapshots it was sent, whole or not, whatever it made of them.
        self.submissions = 0
        #: How long a node that leads answers nothing while it applies a snapshot. A real one: over 5 s.
        self.apply_seconds = 0.0
        #: Cleared while a snapshot is applied.
        self.settled = threading.Event()
        self.settled.set()
        #: A state that was restored by force, and that only the unseal key of its own time opens.
        self.locked: dict[bytes, bytes] = {}

    # --- who leads -----------------------------------------------------------------------------

    def start(self, node: Node, address: str) -> None:
        """A node came up, unsealed as an automatic seal does it."""
        with self.lock:
            node.address, node.running, node.sealed = address, True, not self.initialised
            self._elect()

    def stop(self, node: Node) -> None:
        """A node went away."""
        with self.lock:
            node.running = False
            self._elect()

    def seal(self, node: Node) -> None:
        """Seal a node."""
        with self.lock:
            node.sealed = True
            self._elect()

    def unseal(self, node: Node, key: str) -> bool:
        """Unseal a node; False when it is the wrong key."""
        with self.lock:
            if self.locked:
                return self._unlock(node, key)
            if not secrets.compare_digest(key.encode(), self.unseal_key.encode()):
                return False
            node.sealed = False
            self._elect()
            return True

    def _unlock(self, node: Node, key: str) -> bool:
        """The same, when the state is another cluster's: its key becomes ours."""
        try:
            barrier = Barrier(base64.b64decode(key, validate=True))
            content = open_records(barrier, self.locked)
        except (BarrierError, ValueError):
            return False
        self.unseal_key, self.barrier, self.locked = key, barrier, {}
        self.replace(content)
        return self.unseal(node, key)

    def initialise(self) -> None:
        """Make an uninitialised cluster ready; its nodes stay sealed."""
        with self.lock:
            self.initialised = True

    def step_down(self) -> None:
        """Another node takes over; the same one where it is alone."""
        with self.lock:
            before, self.active = self.active, None
            self._elect(last=before)

    def _elect(self, last: Node | None = None) -> None:
        """The leader stays where it can, and needs a majority, as with Raft."""
        able = [node for node in self.nodes if self._may_lead(node)]
        if 2 * len(able) <= len(self.nodes):
            able = []
        if self.active in able:
            return
        others = [node for node in able if node is not last]
        self.active = next(iter(others or able), None)
        self.term += 1
        self.active_since = now()

    @staticmethod
    def _may_lead(node: Node) -> bool:
        return node.running and not node.sealed

    def leads(self, node: Node, term: int) -> bool:
        """Whether this node leads, and has done so since that term began."""
        with self.lock:
            return self.active is node and self.term == term

    # --- tokens --------------------------------------------------------------------------------

    def grant(self, policies: tuple[str, ...]) -> str:
        """A new token with these policies."""
        token = f"s.{secrets.token_urlsafe(18).replace('-', 'a').replace('_', 'b')}"
        with self.lock:
            self.tokens[token] = policies
        return token

    def revoke(self, token: str) -> None:
        """Make a token worthless."""
        with self.lock:
            self.tokens.pop(token, None)

    def capabilities(self, token: str, path: str) -> set[str] | None:
        """What a token may do at a path; None for a token that is none."""
        policies = self.tokens.get(token)
        if policies is None:
            return None
        if ROOT in policies:
            return {"root"}
        rules = [rule for name in policies for rule in self.policies.get(name, {}).items()]
        return {
            each
            for pattern, given in rules
            for each in given
            if pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))
        }

    # --- snapshots -----------------------------------------------------------------------------

    @property
    def content(self) -> Content:
        """What a snapshot of now holds."""
        return Content(
            id=self.id,
            name=self.name,
            root_token=self.root_token,
            tokens=self.tokens,
            policies=self.policies,
            logins=self.logins,
            secrets=self.secrets,
        )

    def replace(self, content: Content) -> None:
        """Have this, and nothing else that was there before."""
        with self.lock:
            for each in fields(Content):
                setattr(self, each.name, getattr(content, each.name))

    def take_foreign(self, records: dict[bytes, bytes]) -> None:
        """Have a state that our key does not open: all nodes are sealed until somebody brings its own."""
        with self.lock:
            self.locked = records
            for node in self.nodes:
                self.seal(node)

    # --- secrets -------------------------------------------------------------------------------

    def write(self, path: str, data: dict[str, object]) -> Secret:
        """Write a secret."""
        with self.lock:
            self.index += 1
            before = self.secrets.get(path)
            self.secrets[path] = Secret(data, before.version + 1 if before else 1, now())
            return self.secrets[path]


def now() -> str:
    """The time as the server writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
