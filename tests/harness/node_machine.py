"""What a Kubernetes node needs of the machine that it runs on, and where it comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: Where Debian puts the plugins of containernetworking-plugins.
PLUGINS = Path("/usr/lib/cni")
#: Each Debian package, and what tells that it is there.
_PACKAGES = {"runc": "runc", "iproute2": "ip", "containernetworking-plugins": str(PLUGINS / "bridge")}
#: https://man7.org/linux/man-pages/man7/capabilities.7.html
_CAPABILITIES = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
#: Where root's programs are, which a PATH may leave out.
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def program(name: str) -> str | None:
    """The path of a program of this machine's; None when there is none."""
    return shutil.which(name, path=PATH)


def missing() -> str:
    """What a node lacks here, in words; nothing when all is there."""
    if not sys.platform.startswith("linux"):
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "a node needs root"
    lacks = [name for number, name in _CAPABILITIES.items() if not _capabilities() >> number & 1]
    if not Path("/sys/fs/cgroup").is_mount():
        lacks.append("a mounted /sys/fs/cgroup")
    if not os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        lacks.append("a writable /proc/sys")
    packages = missing_packages()
    if packages:
        lacks.append(f"the Debian packages {', '.join(packages)}")
    return f"a node needs {' and '.join(lacks)}" if lacks else ""


def provide() -> str:
    """Install the packages that are missing, where that can be done; gives what is missing still.

    It is root's machine then, as a continuous integration's is, and Debian's own packages do no harm.
    """
    packages = missing_packages()
    installer = program("apt-get")
    if not packages or os.geteuid() != 0 or installer is None:
        return missing()
    said = ""
    # The lists of a fresh machine are empty, of an old one stale.
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            [installer, "--quiet", *arguments],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = f"; apt-get {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    still = missing()
    return still + said if still else ""


def missing_packages() -> list[str]:
    """The Debian packages that are not installed, told by what is in them."""
    return [package for package, name in _PACKAGES.items() if program(name) is None]


def _capabilities() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)
