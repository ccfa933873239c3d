"""A program of its own that streams into a store: to measure its memory, or to be killed.

Reads one JSON object from its standard input: settings, credentials, key, blocks (of 1 MiB),
hold. Writes how many KiB its memory grew; with `hold`, "held" after the last block, and then waits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tests.contracts.stores import Place

from bao_backup.adapters.stores import open_store
from bao_backup.core.storage import StoreSettings

ROOT = Path(__file__).parents[2]


def start(place: Place, key: str, blocks: int, *, hold: bool = False) -> subprocess.Popen[bytes]:
    """Run this module on a store that is not in memory."""
    order = {
        "settings": msgspec.to_builtins(place.settings),
        "credentials": dict(place.credentials),
        "key": key,
        "blocks": blocks,
        "hold": hold,
    }
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.contracts.streaming"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert program.stdin is not None
    program.stdin.write(json.dumps(order).encode())
    program.stdin.close()
    program.stdin = None  # so that `communicate` leaves it alone
    return program


def _memory(name: str) -> int:
    """KiB; `VmRSS` is now, `VmHWM` the most so far (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(f"no {name} in /proc/self/status")


def _blocks(count: int, *, hold: bool) -> Iterator[bytes]:
    for _ in range(count):
        yield os.urandom(1024 * 1024)
    if hold:
        print("held", flush=True)
        threading.Event().wait()


def main(order: dict[str, Any]) -> None:
    """Stream as ordered."""
    store = open_store(msgspec.convert(order["settings"], StoreSettings), order["credentials"])
    before = _memory("VmRSS")
    store.put(order["key"], _blocks(order["blocks"], hold=order["hold"]))
    after_put = _memory("VmHWM")
    read = sum(map(len, store.get(order["key"])))
    assert read == order["blocks"] * 1024 * 1024
    print(json.dumps({"put": after_put - before, "get": _memory("VmHWM") - before}))


if __name__ == "__main__":
    main(json.load(sys.stdin))
