"""How much is measured."""

from __future__ import annotations

import msgspec

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


class Plan(msgspec.Struct, frozen=True):
    """Sizes in bytes, and how often."""

    runs: int
    replay: int
    memory: tuple[int, ...]
    server: int
    starts: int
    #: How many backups are listed.
    backups: int
    #: What goes into each store, and what is read from it.
    stores: int
    verify: int
    restore: int


FULL = Plan(
    runs=5,
    replay=GIB,
    memory=(256 * MIB, GIB, 8 * GIB),
    server=512 * MIB,
    starts=15,
    backups=10_000,
    stores=GIB,
    verify=GIB,
    restore=GIB,
)
#: For the test that the program runs: seconds, and figures that say little.
QUICK = Plan(
    runs=1,
    replay=16 * MIB,
    memory=(64 * MIB, 256 * MIB),
    server=8 * MIB,
    starts=3,
    backups=600,
    stores=16 * MIB,
    verify=16 * MIB,
    restore=8 * MIB,
)
