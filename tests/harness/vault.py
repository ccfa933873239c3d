"""A Raft cluster of Vault or OpenBao: TLS by a private authority, one key share, unsealed.

What a test does to it: kill, start, seal, step down, write secrets, take and restore snapshots.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness.certificates import LOOPBACK, Authority
from tests.harness.client import Answer
from tests.harness.errors import HarnessError
from tests.harness.process import free_ports, tail, wait_until
from tests.harness.vault_node import ACTIVE, NOT_INITIALISED, Place, VaultNode

#: A name in every certificate that no resolver knows: for clients that are told the server's name.
SERVER_NAME = "openbao.test"
#: The Service `pods` of the namespace `default`, and the pods of its StatefulSet, as Kubernetes names them.
SERVICE_NAMES = ("pods.default.svc", "*.pods.default.svc")
#: Below Raft's limit of 1 MiB an entry.
FILLING = 512 << 10


class VaultCluster:
    """`count` nodes of `binary` (vault or bao) on loopback, in one folder.

    `root_token` and `unseal_key` are there after `start`.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        *,
        count: int = 1,
        tls: bool = True,
        authority: Authority | None = None,
        address: str = "127.0.0.1",
        plugins: Path | None = None,
    ) -> None:
        """Without `authority` and with `tls` it makes an authority of its own.

        Its nodes listen on `address` only: a Kubernetes node's, to be reached from pods. `plugins` is the
        folder of programs that may be registered.
        """
        self.folder = folder
        self.binary = binary
        self.authority = (authority or Authority(folder / "authority")) if tls else None
        ports = free_ports(2 * count)
        names = [f"node{index}" for index in range(count)]
        places = [
            Place(name, port, cluster_port, tls, address, plugins)
            for name, port, cluster_port in zip(names, ports[:count], ports[count:], strict=True)
        ]
        self.nodes = [VaultNode(folder / place.name, binary, place, self.authority) for place in places]
        for node, place in zip(self.nodes, places, strict=True):
            hosts = (*LOOPBACK, address, node.name, SERVER_NAME, *SERVICE_NAMES)
            node.configure([other for other in places if other is not place], hosts)
        self.root_token = ""
        self.unseal_key = ""

    @property
    def addresses(self) -> list[str]:
        """The nodes' URLs."""
        return [node.url for node in self.nodes]

    @property
    def ca_file(self) -> Path | None:
        """What clients trust; None without TLS."""
        return self.authority.ca_file if self.authority else None

    # --- up and down ---------------------------------------------------------------------------

    def start(self) -> None:
        """Bring all nodes up: initialised, unsealed, all voters."""
        first, *rest = self.nodes
        first.start()
        wait_until(
            "the first node", lambda: first.health() == NOT_INITIALISED, seconds=30, log=first.process.log
        )
        shares = {"secret_shares": 1, "secret_threshold": 1}
        keys = _checked(first.request("PUT", "sys/init", shares), "initialise").json()
        self.root_token, self.unseal_key = keys["root_token"], keys["keys_base64"][0]
        self.unseal(first)
        self.wait_for_leader()
        # A follower may vote once it was stable for so long; the default is 10 s.
        self.ask("PUT", "sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "100ms"})
        self.ask("PUT", "sys/mounts/secret", {"type": "kv"})
        # They join now, so that their first try finds a leader: the next try is 2 s later.
        for node in rest:
            node.start()
        self._unseal_all()
        wait_until("all nodes to vote", lambda: self.voters() == len(self.nodes), seconds=60, every=0.2)

    def stop(self) -> None:
        """End all nodes."""
        for node in reversed(self.nodes):
            node.process.stop(grace=3)

    def heal(self) -> None:
        """Start and unseal whatever a test left dead or sealed."""
        for node in self.nodes:
            if not node.process.running:
                node.start()
        self._unseal_all()
        self.wait_for_leader()

    # --- who leads -----------------------------------------------------------------------------

    def find_leader(self) -> VaultNode | None:
        """The active node, if there is one now."""
        return next((node for node in self.nodes if node.process.running and node.health() == ACTIVE), None)

    def leader(self) -> VaultNode:
        """The active node; raises HarnessError when there is none."""
        found = self.find_leader()
        if found is None:
            raise HarnessError(f"no node of {self.addresses} leads")
        return found

    def wait_for_leader(self, seconds: float = 30) -> VaultNode:
        """The active node, as soon as there is one."""
        wait_until(
            "a leader", lambda: self.find_leader() is not None, seconds=seconds, log=self.nodes[0].process.log
        )
        return self.leader()

    def standbys(self) -> list[VaultNode]:
        """The nodes that run and do not lead."""
        leader = self.leader()
        return [node for node in self.nodes if node is not leader and node.process.running]

    def voters(self) -> int:
        """How many nodes vote."""
        servers = self.ask("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        return sum(server["voter"] for server in servers)

    # --- what befalls a node -------------------------------------------------------------------

    def kill(self, node: VaultNode) -> None:
        """End a node as a crash does."""
        node.process.kill()

    def revive(self, node: VaultNode) -> None:
        """Start a node again and unseal it."""
        node.start()
        self.unseal(node)

    def seal(self, node: VaultNode) -> None:
        """Seal a node; a standby seals by a restart, since only a leader takes the call."""
        if node.health() == ACTIVE:
            _checked(node.request("PUT", "sys/seal", token=self.root_token), f"seal {node.name}")
        else:
            # Killed, since one that has just stepped down takes 10 s to end by itself.
            node.process.kill()
            node.start()

    def unseal(self, node: VaultNode) -> None:
        """Unseal a node.

        A follower takes the key only once it has joined, so it may need another try; but not at
        once: a node that takes the key twice begins to serve twice, and ignores to step down.
        """
        taken = 0.0

        def unsealed() -> bool:
            nonlocal taken
            if node.unsealed:
                return True
            if time.monotonic() - taken > 5 and self._offer_key(node):
                taken = time.monotonic()
            return node.unsealed

        wait_until(f"{node.name} to unseal", unsealed, seconds=60, log=node.process.log)

    def _unseal_all(self) -> None:
        # At the same time: each waits for its own join.
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(self.unseal, self.nodes))

    def _offer_key(self, node: VaultNode) -> bool:
        return node.request("PUT", "sys/unseal", {"key": self.unseal_key}).status == 200

    def step_down(self) -> None:
        """Make the leader give up."""
        leader = self.leader()
        _checked(leader.request("PUT", "sys/step-down", token=self.root_token), f"step down {leader.name}")

    # --- content -------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """One request to the leader, as root if not told otherwise; gives the answer's JSON.

        Raises HarnessError unless it succeeds.
        """
        token = self.root_token if token is None else token
        return _checked(self.leader().request(method, path, body, token=token), f"{method} {path}").json()

    def write_secret(self, name: str, data: dict[str, str]) -> None:
        """Write a secret (engine kv version 1, mounted at `secret/`)."""
        self.ask("PUT", f"secret/{name}", data)

    def read_secret(self, name: str) -> dict[str, str] | None:
        """Read a secret; None when there is none."""
        answer = self.leader().request("GET", f"secret/{name}", token=self.root_token)
        if answer.status == 404:
            return None
        secret: dict[str, str] = _checked(answer, f"read secret/{name}").json()["data"]
        return secret

    def fill(self, size: int) -> None:
        """Write so many bytes that do not compress, for snapshots of at least that size."""
        for index in range(-(-size // FILLING)):
            content = base64.b64encode(os.urandom(FILLING * 3 // 4)).decode()
            self.write_secret(f"filling/{index}", {"content": content})

    def policy(self, name: str, rules: str) -> None:
        """Write a policy."""
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": rules})

    # --- its own command line ------------------------------------------------------------------

    def command(self, *arguments: str) -> str:
        """Run the server's own command line against the leader, as root; gives its output."""
        settings = {"ADDR": self.leader().url, "TOKEN": self.root_token}
        if self.ca_file:
            settings["CACERT"] = str(self.ca_file)
        variables = {f"{tool}_{name}": value for tool in ("VAULT", "BAO") for name, value in settings.items()}
        done = subprocess.run(
            [str(self.binary), *arguments],
            env=os.environ | variables | {"HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            log = tail(self.leader().process.log)
            raise HarnessError(f"{self.binary.name} {' '.join(arguments)}: {done.stdout}{done.stderr}{log}")
        return done.stdout

    def restore(self, snapshot: Path, source: VaultCluster | None = None) -> None:
        """Restore a snapshot file with the server's own command line.

        `source` is the cluster that it was taken from, if that is another one: then it takes
        -force, and the unseal key and root token are that cluster's from now on.
        """
        force = ["-force"] if source and source is not self else []
        self.command("operator", "raft", "snapshot", "restore", *force, str(snapshot))
        if source:
            self.unseal_key, self.root_token = source.unseal_key, source.root_token
        wait_until("the restored cluster to serve", self._serves_root, seconds=60, every=0.2)

    def _serves_root(self) -> bool:
        # Some seconds after it took a snapshot a server reloads all, or seals itself.
        self._unseal_all()
        leader = self.find_leader()
        if leader is None:
            return False
        return leader.request("GET", "auth/token/lookup-self", token=self.root_token).status == 200

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _checked(answer: Answer, doing: str) -> Answer:
    if answer.status >= 300:
        raise HarnessError(f"{doing}: {answer.status} {answer.body.decode(errors='replace').strip()[:500]}")
    return answer
