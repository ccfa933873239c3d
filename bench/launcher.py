"""Starts a pipeline of programs, waits for them, and prints what each of them used, as JSON.

    python -I -S launcher.py < {"commands": [["curl", ...], ["rclone", ...]], "log": "FILE"}

A program of its own, and a small one: Linux counts into a process's peak memory what its parent
held when it was started, so a large parent would falsify small figures. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Read what to start, start it, and say how it ended."""
    order = json.load(sys.stdin)
    begun = time.monotonic_ns()
    pids = start(order["commands"], order["log"])
    ended = {pid: wait(pid) for pid in pids}
    print(json.dumps({"begun": begun, "ended": time.monotonic_ns(), "programs": list(ended.values())}))


def start(commands: list[list[str]], log: str) -> list[int]:
    """Start the programs, each one's output into the next one; the last one's is thrown away."""
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pids = []
    source = nothing
    for number, command in enumerate(commands):
        following, sink = (-1, nothing) if number == len(commands) - 1 else os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, file, to) for to, file in enumerate((source, sink, errors))]
        pids.append(os.posix_spawnp(command[0], command, os.environ, file_actions=actions))
        for file in (source, sink):
            if file != nothing:
                os.close(file)
        source = following
    return pids


def wait(pid: int) -> dict[str, Any]:
    """The exit status, seconds of processor time and peak memory of a program and its children."""
    _, status, usage = os.wait4(pid, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
