"""Asks a person on the terminal whether something is to be done."""

from __future__ import annotations

import select
import sys
import termios
from collections.abc import Container
from contextlib import suppress

from bao_backup.entry.output import say
from bao_backup.flows.stop import Stop

#: How often a signal is looked for while nobody answers, in seconds.
LOOK_EVERY = 0.1


def is_terminal() -> bool:
    """Whether a person can be asked: what is said is seen, and what is typed is read."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(question: str, yes: Container[str], stop: Stop) -> bool:
    """Whether the answer is one of `yes`; nothing, or the end of the input, is no.

    What was typed before the question, as while a backup was read, answers nothing.
    Raises what `stop` ends the run with.
    """
    with suppress(termios.error, OSError, ValueError):  # no terminal has nothing that was typed
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    say(question)
    while not select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
        stop.check()
    answer = sys.stdin.readline().strip()
    stop.check()
    return answer in yes
