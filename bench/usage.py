"""What programs used while they ran: wall time, processor time, peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


class ContenderError(Exception):
    """A program that was to be measured failed, so there is nothing to measure."""


@dataclass(frozen=True)
class Usage:
    """Of one run of one or more programs: seconds, bytes, and nanoseconds of the monotonic clock."""

    begun: int
    wall: float
    processor: float
    #: The largest of the programs, not their sum.
    peak: int
    #: Seconds of processor time that the store's server took meanwhile, where somebody looked.
    server: float = 0.0


def measure(
    commands: Sequence[Sequence[str | Path]],
    variables: Mapping[str, str],
    log: Path,
    errors: Path | None = None,
) -> Usage:
    """Run a pipeline to its end. Raises ContenderError, with the log's end, when a program failed.

    What the programs say goes to `errors` where that is given, whose reader writes it to `log`.
    """
    words = [[str(part) for part in command] for command in commands]
    order = {"commands": words, "log": str(errors or log)}
    # Whoever uses a program has its modules compiled; a first run that does not count may do it here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER)],
        input=json.dumps(order),
        env=environment | dict(variables),
        capture_output=True,
        text=True,
        check=True,
    )
    ended = json.loads(done.stdout)
    programs = ended["programs"]
    failed = [
        f"{command[0]} ended with {program['status']}"
        for command, program in zip(words, programs, strict=True)
        if program["status"] != 0
    ]
    if failed:
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]
        raise ContenderError("\n    ".join(["; ".join(failed), *end]))
    return Usage(
        begun=ended["begun"],
        wall=(ended["ended"] - ended["begun"]) / 1e9,
        processor=sum(program["user"] + program["system"] for program in programs),
        peak=max(program["peak"] for program in programs),
    )


@dataclass(frozen=True)
class Pair:
    """Ours and the peer's, one right after the other."""

    ours: Usage
    peer: Usage


Figure = Callable[[Usage], float]


def ratio(pairs: Iterable[Pair], figure: Figure) -> float:
    """The median of the ratios ours / peer, taken pair by pair: the machine's drift falls out."""
    return statistics.median(figure(pair.ours) / figure(pair.peer) for pair in pairs)


def median(usages: Iterable[Usage], figure: Figure) -> float:
    """The median of one figure."""
    return statistics.median(map(figure, usages))


def wall(usage: Usage) -> float:
    """Seconds from the start of the first program to the end of the last one."""
    return usage.wall


def processor(usage: Usage) -> float:
    """Seconds of processor time."""
    return usage.processor


def server(usage: Usage) -> float:
    """Seconds of processor time of the store's server."""
    return usage.server


def peak(usage: Usage) -> float:
    """Bytes of memory at the most."""
    return usage.peak


def processors_busy(seconds: float) -> float:
    """How many processors all programs of this machine keep busy, over so many seconds from now."""
    before = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / seconds


def busy_seconds() -> float:
    """Of all processors since the start of the machine: user, nice and system time (proc(5))."""
    first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    return sum(int(ticks) for ticks in first.split()[1:4]) / os.sysconf("SC_CLK_TCK")
