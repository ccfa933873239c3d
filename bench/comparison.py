"""Rows of a table that compare ours with a peer."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plan import MIB
from bench.report import Row, mebibytes, seconds
from bench.usage import Figure, Pair, median, peak, processor, ratio, wall

#: Of ours, in MiB.
PEAK_LIMIT = 80


def compared(
    what: str,
    pairs: Sequence[Pair],
    *,
    wall_target: float | None = None,
    processor_target: float | None = None,
) -> list[Row]:
    """Wall time, processor time and memory of ours and the peer; targets bound the ratios."""
    return [
        timed(f"{what}: wall time", pairs, wall, wall_target),
        timed(f"{what}: processor time", pairs, processor, processor_target),
        most_memory(f"{what}: peak memory", pairs),
    ]


def timed(what: str, pairs: Sequence[Pair], figure: Figure, target: float | None = None) -> Row:
    """One figure in seconds."""
    mine = median((pair.ours for pair in pairs), figure)
    peer = median((pair.peer for pair in pairs), figure)
    return Row(what, seconds(mine), seconds(peer), ratio(pairs, figure), target)


def most_memory(what: str, pairs: Sequence[Pair]) -> Row:
    """The most that ours ever had, beside the peer's median."""
    most = max(pair.ours.peak for pair in pairs)
    peer = median((pair.peer for pair in pairs), peak)
    return Row(what, mebibytes(most), mebibytes(peer), most / MIB, PEAK_LIMIT, " MiB")
