"""What is left of a node: its containers, mounts, sockets and bridge, taken away whoever left them.

containerd's shims outlive it, and mounts outlive everybody, so a run that was killed leaves them; the
next one that gets the same network takes them away before it begins.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.harness.errors import HarnessError
from tests.harness.network import Network
from tests.harness.node_machine import program

#: In the network's state: the folder of the node that is, or was, on it.
OWNER = "folder"


def clear(network: Network) -> None:
    """Take away all that a node on this network left, but its logs. No error when there is nothing."""
    owner = network.state / OWNER
    folder = Path(owner.read_text(encoding="utf-8")) if owner.exists() else None
    kill_containers(network)
    places = [network.state, *([folder] if folder else [])]
    for mount in _mounts_below(places):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    still = _mounts_below(places)
    if still:
        raise HarnessError(f"{still[0]} cannot be unmounted, so nothing there is removed")
    if folder:
        for name in ("kubelet", "containerd"):
            shutil.rmtree(folder / name, ignore_errors=True)
        _remove_links(folder)
    if (Path("/sys/class/net") / network.bridge).exists():
        subprocess.run([program("ip") or "ip", "link", "delete", network.bridge], check=False)
    shutil.rmtree(network.state, ignore_errors=True)


def kill_containers(network: Network) -> None:
    """End the containers of a network's node, and the shims that look after them."""
    shims = _shims(network)
    for shim in shims:
        for child in _children(shim):
            _kill(child)
    deadline = time.monotonic() + 2
    while any(_children(shim) for shim in shims) and time.monotonic() < deadline:
        time.sleep(0.02)
    for shim in shims:
        _kill(shim)


def _shims(network: Network) -> list[int]:
    """The pids of the shims that were started for this network's containerd, by their command lines."""
    address = f"-address\0{network.state}/"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # It may end while we look.
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
            if "containerd-shim-runc-v2\0" in line and address in line:
                found.append(int(process.name))
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in (thread / "children").read_text(encoding="ascii").split()]
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _mounts_below(folders: list[Path]) -> list[str]:
    """The mounts in these folders, the innermost first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # Spaces in a path are written as in octal: https://man7.org/linux/man-pages/man5/fstab.5.html
    points = [line.split()[1].replace("\\040", " ") for line in lines]
    return [point for point in reversed(points) if any(Path(point).is_relative_to(each) for each in folders)]


def _remove_links(folder: Path) -> None:
    """The kubelet's links to its containers' logs, which it makes in a folder of the machine's."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and Path(link.readlink()).is_relative_to(folder):
            link.unlink(missing_ok=True)
