"""What a program says on standard error, and when."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from bench.usage import ContenderError


@dataclass
class Told:
    """Lines with the nanoseconds of the monotonic clock at which they came; `pipe` is where to write them.

    They go on into `log`.
    """

    pipe: Path
    log: Path
    lines: list[tuple[int, str]] = field(default_factory=list)

    def when(self, *words: str) -> int:
        """When the first line with all of these came. Raises ContenderError where there is none."""
        for came, line in self.lines:
            if all(word in line for word in words):
                return came
        raise ContenderError(f"it never said {' '.join(words)}: {self.lines}")

    def __enter__(self) -> Self:
        os.mkfifo(self.pipe)
        # Opened for both, so that it neither waits for a writer nor ends with the first one.
        self._file = os.open(self.pipe, os.O_RDWR)
        self._thread = Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._file, b"\0\n")
        self._thread.join()
        os.close(self._file)
        self.pipe.unlink()

    def _read(self) -> None:
        with os.fdopen(os.dup(self._file), "rb") as source, self.log.open("ab") as log:
            for line in source:
                if line.startswith(b"\0"):
                    return
                self.lines.append((time.monotonic_ns(), line.decode(errors="replace").rstrip()))
                log.write(line)
                log.flush()
