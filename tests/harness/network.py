"""A /24 of this run's own for the pods of a node, and the bridge that they are on."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.errors import HarnessError

#: The third numbers of 10.88.N.0/24 to choose from; the lowest that nobody uses is taken.
NUMBERS = range(20, 120)


@dataclass(frozen=True)
class Network:
    """The subnet 10.88.`number`.0/24, whose first address is the bridge's and so the host's."""

    number: int

    @property
    def bridge(self) -> str:
        """The bridge's name; Linux allows 15 characters."""
        return f"bao-backup{self.number}"

    @property
    def subnet(self) -> str:
        """The addresses of pods, in CIDR notation."""
        return f"10.88.{self.number}.0/24"

    @property
    def address(self) -> str:
        """Where pods reach the host, and the node's own address."""
        return f"10.88.{self.number}.1"

    @property
    def state(self) -> Path:
        """Where a node on it keeps its sockets: a socket's path has 107 characters at most."""
        return Path("/run") / self.bridge


@contextlib.contextmanager
def claimed() -> Iterator[Network]:
    """A network that no other run has until this one gives it back, or dies.

    What a killed run left on it (bridge, sockets, containers) is for the next one to clear away.
    """
    used = routed()
    for number in NUMBERS:
        network = Network(number)
        if any(
            bridge != network.bridge and ipaddress.ip_network(network.subnet).overlaps(subnet)
            for bridge, subnet in used
        ):
            continue
        lock = _lock(Path(tempfile.gettempdir()) / f"{network.bridge}.lock")
        if lock is None:
            continue
        try:
            yield network
        finally:
            os.close(lock)
        return
    raise HarnessError(f"none of the networks {Network(NUMBERS[0]).subnet} to {NUMBERS[-1]} is free")


def _lock(path: Path) -> int | None:
    """An open file that is locked by this process alone; None when another one has it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:  # another user's
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def routed() -> list[tuple[str, ipaddress.IPv4Network]]:
    """The networks that this machine has routes to, without the default one, and their interfaces."""
    table = Path("/proc/net/route")
    if not table.exists():
        return []
    found = []
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        interface, target, _, _, _, _, _, mask = line.split()[:8]
        # Both are numbers in the machine's byte order, as the kernel holds them.
        address = ipaddress.IPv4Address(bytes.fromhex(target)[::-1])
        length = int(mask, 16).bit_count()
        if length:
            found.append((interface, ipaddress.IPv4Network((address, length), strict=False)))
    return found
