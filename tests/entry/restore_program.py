"""A restore as in a Job that something befalls at a named point: `before:restore:1`.

The points are before and after each call of a store and of the server, by the method's name and its
number, and before and after each chunk that a method is given (`restore-chunk`, `put-chunk`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from bao_backup.core.restore_settings import from_environment
from bao_backup.entry.progress import LogReporter
from bao_backup.entry.restoring import RestorePorts, run_restore
from bao_backup.entry.wiring import connect, store_of_place
from bao_backup.flows.restore_server import RestorePatience
from bao_backup.ports import Bao, Store

CHUNK = 4096


class Point:
    """Where it befalls, and what: KILL or TERM, or a file to wait for, which `.reached` announces."""

    def __init__(self, where: str, what: str) -> None:
        self._where, self._what = where, what
        self._calls: Counter[str] = Counter()

    def enters(self, method: str) -> None:
        """The method is about to be called."""
        self._calls[method] += 1
        self._befall("before", method)

    def leaves(self, method: str) -> None:
        """The method was carried out."""
        self._befall("after", method)

    def _befall(self, when: str, method: str) -> None:
        if f"{when}:{method}:{self._calls[method]}" != self._where:
            return
        if self._what in {"KILL", "TERM"}:
            os.kill(os.getpid(), signal.Signals[f"SIG{self._what}"])
            return
        file = Path(self._what)
        file.with_suffix(".reached").touch()
        while not file.exists():
            time.sleep(0.01)


class Watched:
    """A port, handed on to the real one."""

    def __init__(self, port: object, point: Point) -> None:
        self._port, self._point = port, point

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._point.enters(name)
            answer = found(*(self._watched(f"{name}-chunk", each) for each in given), **named)
            self._point.leaves(name)
            return answer

        return call

    def _watched(self, name: str, given: Any) -> Any:
        return self._chunks(name, given) if isinstance(given, Iterator) else given

    def _chunks(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            for start in range(0, len(chunk), CHUNK):
                self._point.enters(name)
                yield chunk[start : start + CHUNK]
                self._point.leaves(name)


def main() -> None:
    """Restore: point, what befalls there, patience, the file of the result."""
    where, what, patience, result = sys.argv[1:]
    point = Point(where, what)
    open_store: Callable[..., Store] = store_of_place
    with LogReporter() as reporter:
        ended = run_restore(
            lambda: from_environment(os.environ),
            environment=os.environ,
            result_file=Path(result),
            reporter=reporter,
            agree=lambda _proposal, stop: stop.check(),
            hold=nullcontext,
            ports=RestorePorts(
                lambda place, variables: cast("Store", Watched(open_store(place, variables), point)),
                lambda settings: cast("Bao", Watched(connect(settings), point)),
                RestorePatience(**json.loads(patience)),
            ),
            last=True,
        )
    sys.exit(ended.result.exit_code)


if __name__ == "__main__":
    main()
