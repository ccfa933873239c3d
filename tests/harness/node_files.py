"""The configuration files of a node's programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.harness.certificates import Certificate
from tests.harness.network import Network
from tests.harness.node_machine import PLUGINS

PAUSE = "localhost/pause:1"
#: How often a kubelet says that it is there: a quarter of this, in seconds.
LEASE_SECONDS = 8


@dataclass(frozen=True)
class Places:
    """Where a node has its things. Sockets and mounts are in `state`, since their paths must be short."""

    folder: Path
    network: Network

    @property
    def state(self) -> Path:
        """What lasts as long as the node runs."""
        return self.network.state

    @property
    def socket(self) -> Path:
        """Where containerd is asked."""
        return self.state / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """The kubelet's volumes."""
        return self.folder / "kubelet"

    @property
    def containerd(self) -> Path:
        """Images and containers' file systems."""
        return self.folder / "containerd"

    @property
    def logs(self) -> Path:
        """What the containers said."""
        return self.folder / "pod-logs"

    @property
    def plugins(self) -> Path:
        """The configuration of the pods' network."""
        return self.folder / "network"


def write_network(places: Places) -> None:
    """Write the pods' network: a bridge, without masquerading, and so no way out of this machine.

    https://www.cni.dev/plugins/current/main/bridge/
    """
    places.plugins.mkdir(parents=True, exist_ok=True)
    addresses = {
        "type": "host-local",
        "dataDir": str(places.state / "addresses"),
        "ranges": [[{"subnet": places.network.subnet}]],
    }
    bridge = {
        "type": "bridge",
        "bridge": places.network.bridge,
        "isGateway": True,
        "ipMasq": False,
        "ipam": addresses,
    }
    document = {"cniVersion": "0.4.0", "name": places.network.bridge, "plugins": [bridge]}
    (places.plugins / "10-bridge.conflist").write_text(json.dumps(document), encoding="utf-8")


def write_containerd(places: Places, runc: str, snapshotter: str) -> Path:
    """Write containerd's configuration: it uses nothing outside of this node's own folders.

    https://github.com/containerd/containerd/blob/main/docs/cri/config.md
    """
    path = places.folder / "containerd.toml"
    quoted = {
        name: json.dumps(str(value))
        for name, value in {
            "root": places.containerd,
            "state": places.state / "containerd",
            "socket": places.socket,
            "plugins": PLUGINS,
            "network": places.plugins,
            "runc": runc,
            "snapshotter": snapshotter,
            "pause": PAUSE,
        }.items()
    }
    path.write_text(_CONTAINERD.format(**quoted), encoding="utf-8")
    return path


_CONTAINERD = """
version = 3
root = {root}
state = {state}
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
[grpc]
address = {socket}
[plugins."io.containerd.nri.v1.nri"]
disable = true
[plugins."io.containerd.cri.v1.images"]
snapshotter = {snapshotter}
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {pause}
[plugins."io.containerd.cri.v1.runtime"]
# Where lowering oom_score_adj is refused no container would start without it.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{plugins}]
conf_dir = {network}
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = {runc}
"""


def write_kubelet(places: Places, issued: Certificate, ca_file: Path, ports: tuple[int, int]) -> Path:
    """Write the kubelet's configuration; `ports` are the one for the API server and the one for its health.

    https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
    """
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": places.network.address,
        "port": ports[0],
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports[1],
        "tlsCertFile": str(issued.certificate),
        "tlsPrivateKeyFile": str(issued.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca_file)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{places.socket}",
        "podLogsDir": str(places.logs),
        "volumePluginDir": str(places.folder / "volume-plugins"),
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
        "syncFrequency": "10s",
        # The machine's own cgroups, memory, disk and firewall stay as they are.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "enableControllerAttachDetach": False,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
    }
    path = places.folder / "kubelet.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
