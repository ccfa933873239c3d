"""A node of a control plane: containerd, a kubelet and a bridge, so that pods really run on this machine.

Pods reach the host at the network's address and nothing else; no name but localhost resolves in them.
A NetworkPolicy changes nothing, since the bridge does not know them. `kubectl logs` and `exec` work.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness import build, image, kubeconfig, node_files, node_machine, node_remains
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.network import Network
from tests.harness.node_files import Places
from tests.harness.process import ServerProcess, free_ports, wait_until


class Node:
    """One node, on the network of its control plane, with its logs in one folder."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        if control_plane.network is None:
            raise HarnessError("a node needs a control plane with a network: ControlPlane(network=...)")
        self.control_plane = control_plane
        self.network: Network = control_plane.network
        self.folder = folder
        self.name = f"{self.network.bridge}-node"
        #: Where its pods reach the host.
        self.address = self.network.address
        self.places = Places(folder, self.network)
        # Each program finds the next one by the PATH: containerd its shim, the shim runc.
        binaries = build.binary("containerd-shim-runc-v2").parent
        self._variables = {"PATH": f"{binaries}:{node_machine.PATH}"}
        self.containerd = ServerProcess(
            "containerd",
            [build.binary("containerd"), "--config", folder / "containerd.toml"],
            log=folder / "containerd.log",
            variables=self._variables,
        )
        self.kubelet = ServerProcess(
            "kubelet",
            [
                *(build.binary("kubelet"), "--config", folder / "kubelet.yaml"),
                *("--kubeconfig", folder / "kubelet.kubeconfig", "--root-dir", self.places.kubelet),
                *("--hostname-override", self.name, "--node-ip", self.address),
            ],
            log=folder / "kubelet.log",
            variables=self._variables,
        )

    @staticmethod
    def missing() -> str:
        """What a node lacks on this machine, in words; nothing when all is there."""
        return node_machine.missing()

    # --- up and down ---------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the node up; a pod can be scheduled on it when it comes back."""
        lacks = self.missing()
        if lacks:
            raise HarnessError(lacks)
        node_remains.clear(self.network)
        self.places.state.mkdir(mode=0o700)
        (self.places.state / node_remains.OWNER).write_text(str(self.folder), encoding="utf-8")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_bridge()
        node_files.write_network(self.places)
        node_files.write_containerd(self.places, node_machine.program("runc") or "runc", self._snapshotter())
        self._configure_kubelet()
        self.containerd.start()
        self.containerd.wait_ready(self._containerd_answers)
        pause = self.folder / "pause.tar"
        image.program_image(pause, name=node_files.PAUSE, program=build.binary("pause"))
        self.image_import(pause)
        self.start_kubelet()

    def _make_bridge(self) -> None:
        """The bridge comes before the kubelet, which refuses an address that no interface has."""
        bridge = self.network.bridge
        self._ip("link", "add", bridge, "type", "bridge")
        self._ip("address", "add", f"{self.address}/24", "dev", bridge)
        self._ip("link", "set", bridge, "up")

    def _snapshotter(self) -> str:
        """An overlay cannot lie on an overlay, as a container's own file system is."""
        command = ["stat", "--file-system", "--format", "%T", str(self.folder)]
        return "native" if _run(command).strip() == "overlayfs" else "overlayfs"

    def _configure_kubelet(self) -> None:
        plane = self.control_plane
        # One certificate: who the kubelet is to the API server, and what it serves logs with.
        hosts = (self.name, self.address)
        owner = plane.authority.issue("kubelet", hosts, user=f"system:node:{self.name}", group="system:nodes")
        kubeconfig.write(self.folder / "kubelet.kubeconfig", plane.url, plane.ca_file, owner)
        first, second = free_ports(2)
        node_files.write_kubelet(self.places, owner, plane.ca_file, (first, second))

    def stop(self) -> None:
        """End the node and its pods, and take away what it made outside of its folder."""
        if self.kubelet.running and self.control_plane.answers():
            self._end_pods()
        self.kubelet.stop(grace=5)
        node_remains.kill_containers(self.network)
        self.containerd.stop()
        if (self.places.state / node_remains.OWNER).exists():
            node_remains.clear(self.network)

    def _end_pods(self) -> None:
        # The kubelet's own way is the cleanest; what it does not manage in time goes by force.
        try:
            self.control_plane.kubectl("cordon", self.name)
            every = ("pods", "--all", "--all-namespaces", "--grace-period=1", "--timeout=15s")
            self.control_plane.kubectl("delete", *every)
            wait_until("the sandboxes to end", lambda: not self._ctr("tasks", "list", "--quiet"), seconds=5)
            self.control_plane.kubectl("delete", "node", self.name, "--timeout=5s")
        except HarnessError:
            return

    # --- what befalls it -----------------------------------------------------------------------

    def start_kubelet(self) -> None:
        """Start the kubelet, and wait until the node is ready."""
        self.kubelet.start()
        self.kubelet.wait_ready(self.ready, seconds=60)

    def kill_kubelet(self) -> None:
        """End the kubelet as a crash does: its containers go on, but nobody hears of them.

        `lost_node.lost` waits until the control plane counts on it no more.
        """
        self.kubelet.kill()

    def heal(self) -> None:
        """Start whatever a test left dead."""
        if not self.containerd.running:
            self.containerd.start()
            self.containerd.wait_ready(self._containerd_answers)
        if not self.kubelet.running:
            self.start_kubelet()

    def ready(self) -> bool:
        """Whether the control plane counts on this node, and would schedule pods on it."""
        answer = self.control_plane.request("GET", f"/api/v1/nodes/{self.name}")
        if answer.status != 200:
            return False
        node = answer.json()
        conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    # --- images --------------------------------------------------------------------------------

    def image_import(self, tar: Path) -> None:
        """Make an image known to the node, by the name that it has in the tar.

        Pods must not pull it: `imagePullPolicy: Never`, or `IfNotPresent`.
        """
        self._ctr("images", "import", str(tar))

    def images(self) -> list[str]:
        """The names of the images that the node has."""
        return self._ctr("images", "list", "--quiet").split()

    def _containerd_answers(self) -> bool:
        try:
            self._ctr("version")
        except HarnessError:
            return False
        return True

    def _ctr(self, *arguments: str) -> str:
        options = ("--address", str(self.places.socket), "--namespace", "k8s.io")
        return _run([str(build.binary("ctr")), *options, *arguments])

    def _ip(self, *arguments: str) -> None:
        _run([node_machine.program("ip") or "ip", *arguments])

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


def _run(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HarnessError(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout
