"""Tells a person, or a log, what a run is doing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from bao_backup.core.words import size_in_words
from bao_backup.entry.output import say
from bao_backup.ports import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: How often a log is told of bytes that move, in seconds.
LOG_EVERY = 30.0


class ScopedReporter(Reporter, AbstractContextManager["ScopedReporter"], Protocol):
    """A reporter that cleans up its line when the run ends."""

    def aside(self) -> AbstractContextManager[None]:
        """Inside, nothing moves: a person is asked."""
        ...


class LogReporter(ScopedReporter):
    """Lines on standard error: for logs, and for pipes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._told = time.monotonic()

    def say(self, words: str) -> None:
        if not self._quiet:
            say(words)

    def moved(self, size: int) -> None:
        now = time.monotonic()
        if now - self._told >= LOG_EVERY:
            self._told = now
            self.say(f"{size_in_words(size)} so far")

    @contextmanager
    def aside(self) -> Iterator[None]:
        yield

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class TerminalReporter(ScopedReporter):
    """A line with bytes, rate and time that moves, and what was said above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[size]}"),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._task: TaskID = self._progress.add_task("moving", total=None, visible=False, size="")
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.update(self._task, visible=False)
            self._progress.start()

    def say(self, words: str) -> None:
        self._progress.console.print(words, markup=False, soft_wrap=True)

    def moved(self, size: int) -> None:
        now = time.monotonic()
        if now - self._shown < 0.1:
            return
        self._shown = now
        self._progress.update(self._task, completed=size, size=size_in_words(size), visible=True)


def reporter_for(*, quiet: bool = False) -> ScopedReporter:
    """The reporter that fits where standard error goes."""
    terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return TerminalReporter() if terminal and not quiet else LogReporter(quiet=quiet)
