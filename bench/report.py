"""Turns figures into tables: on the terminal, and as a document."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

MIB = 1 << 20
EXPLANATION = """\
Ours and the peer run in turn, on the same machine, against the same servers, which share its
processors. Figures are medians of the runs; a ratio is the median of the ratios of each pair
(ours / peer), so that a machine that is slower for a while does not change it. Processor time is
user and system time of all programs of a contender, peak memory that of the largest of them.
Targets that are missed say **no**. Where other programs kept the processors busy, wall times say
little, and processor times are longer, too."""
#: Ours, and what decides its speed.
OURS = ("bao-backup", "obstore", "kopf", "kubernetes_asyncio")
HEADINGS = ("what", "ours", "peer", "ratio", "target", "met")


@dataclass(frozen=True)
class Row:
    """One figure; `value` is what the target bounds: the ratio where there is a peer."""

    what: str
    ours: str
    peer: str
    value: float
    target: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.value <= self.target

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        verdict = {None: "", True: "yes", False: "**no**"}[self.met]
        target = "" if self.target is None else f"≤ {self.target:g}{self.unit}"
        return (self.what, self.ours, self.peer, "" if self.unit else f"{self.value:.2f}", target, verdict)


@dataclass(frozen=True)
class Section:
    """One case: its rows, and what they mean."""

    title: str
    meaning: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)
    #: How many processors other programs kept busy just before it was measured.
    busy: float = 0.0


def seconds(value: float) -> str:
    """Such as "3.21 s", or milliseconds where it is short."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def mebibytes(value: float) -> str:
    """Such as "61 MiB"."""
    return f"{value / MIB:.0f} MiB"


def size_in_words(size: int) -> str:
    """Such as "256 MiB" and "1 GiB"."""
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def table(rows: Sequence[Row]) -> str:
    """A table that reads the same on a terminal and in Markdown."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]])


def section_text(section: Section) -> str:
    """A section in Markdown."""
    busy = f"Just before, other programs kept {section.busy:.1f} of {cores()} processors busy."
    notes = "".join(f"- {note}\n" for note in (*section.notes, busy))
    return "\n".join([f"## {section.title}", "", section.meaning, "", table(section.rows), "", notes])


def document(sections: Sequence[Section], how: str, versions: Sequence[str]) -> str:
    """The whole page."""
    head = [
        "# Benchmarks",
        "",
        f"Measured on {date.today().isoformat()} with `{how}`, which wrote this page.",  # noqa: DTZ011 - the reader's own day
        "",
        f"- Machine: {machine()}",
        *(f"- {each}" for each in versions),
        "",
        EXPLANATION,
        "",
    ]
    return "\n".join([*head, *(section_text(section) for section in sections)]).rstrip() + "\n"


def machine() -> str:
    """Processors, memory and kernel."""
    model = re.search(r"^model name\s*: (.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    name = model.group(1) if model else platform.machine()
    kernel = platform.release().partition("-")[0]
    return f"{cores()} cores ({name}), {memory:.0f} GiB of memory, Linux {kernel}"


def cores() -> int:
    """Processors that this program may use."""
    return len(os.sched_getaffinity(0))


def own_versions() -> str:
    """Ours and what decides its speed."""
    packages = ", ".join(f"{name} {version(name)}" for name in OURS)
    return f"{packages}, Python {platform.python_version()}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
