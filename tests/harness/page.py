"""A page of commands, and a shell on a terminal in which a test runs them as a person pastes them."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.errors import HarnessError

#: Commands to paste; what they print is in a block of `text` right behind them.
COMMANDS = ("sh", "console", "bash", "shell")
PRINTED = "text"
_FENCE = re.compile(r"^```(\w*)$(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
#: What a line on the page stands for any other of: whatever has a digit in it.
_VARIABLE = re.compile(r"\S*\d\S*")
#: Reads the names of files with commands from descriptor 3, runs each in this very shell, and answers on
#: descriptor 4 with the commands that failed. What the commands start gets neither of the two.
_LOOP = """
trap 'code=$?; [[ $BASH_COMMAND = "source "* ]] || failed="$failed $code:${BASH_COMMAND%% *}"' ERR
while read -r block <&3; do failed=; source "$block" 3<&- 4>&-; echo "done$failed" >&4; done
"""


@dataclass(frozen=True)
class Block:
    """Commands that stand together on a page."""

    #: The nearest heading above.
    heading: str
    #: Counted from 1 below that heading.
    number: int
    text: str
    #: What they print, as the page says it; empty where it says nothing.
    prints: str = ""

    @property
    def name(self) -> tuple[str, int]:
        """What a test calls it by."""
        return self.heading, self.number


def blocks_of(page: str) -> list[Block]:
    """All blocks of commands, in the page's order."""
    found: list[Block] = []
    counts: dict[str, int] = {}
    end = 0
    for fence in _FENCE.finditer(page):
        kind, text = fence[1], fence[2].strip("\n")
        if kind in COMMANDS:
            headings = _HEADING.findall(_FENCE.sub("", page[: fence.start()]))
            heading = headings[-1] if headings else ""
            counts[heading] = counts.get(heading, 0) + 1
            found.append(Block(heading, counts[heading], text))
        elif kind == PRINTED and found and "\n#" not in page[end : fence.start()]:
            last = found.pop()
            found.append(Block(last.heading, last.number, last.text, text))
        end = fence.end()
    return found


def with_values(block: str, values: Mapping[str, str]) -> str:
    """The block that sets variables, with these values in place of the page's.

    Raises HarnessError where it does not set one of them.
    """
    for name, value in values.items():
        quoted = shlex.quote(value).replace("\\", r"\\")
        pattern = re.compile(rf'^((?:export .*)?\b{name}=)"[^"]*"', re.MULTILINE)
        block, count = pattern.subn(rf"\g<1>{quoted}", block)
        if count != 1:
            raise HarnessError(f"the page sets {name} {count} times")
    return block


def not_printed(says: str, printed: str) -> list[str]:
    """Which lines of what the page says were not printed.

    Words with a digit stand for any word, `...` for anything, and spaces for any number of them.
    """
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    missing = []
    for line in filter(str.strip, says.splitlines()):
        words = [r"\S+" if _VARIABLE.fullmatch(word) else re.escape(word) for word in line.split()]
        pattern = re.compile(" ".join(words).replace(r"\.\.\.", ".*"))
        if not any(pattern.search(each) for each in lines):
            missing.append(line)
    return missing


@dataclass(frozen=True)
class Pasted:
    """What became of a block."""

    printed: str
    #: Exit code and program of each command that failed, in order: "4:bao-backup 2:bao".
    failed: str


class Terminal:
    """One bash on a terminal of its own, which a person types into.

    All that it starts ends with it.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = 0
        self._master, slave = pty.openpty()
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        descriptors = f"exec 3<&{orders} 4>&{answers} {orders}<&- {answers}>&-\n"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", descriptors + _LOOP],
            env=dict(variables),
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(orders, answers),
            start_new_session=True,
        )
        for descriptor in (slave, orders, answers):
            os.close(descriptor)

    def paste(self, text: str, answers: Sequence[tuple[str, str]] = (), seconds: float = 90) -> Pasted:
        """Run commands; each of `answers` is typed when its question has been printed.

        Raises HarnessError when it takes longer, or when a question was not asked.
        """
        file = self._folder / f"pasted-{self._count}.sh"
        self._count += 1
        file.write_text(text + "\n", encoding="utf-8")
        os.write(self._orders, f"{file}\n".encode())
        left, printed, seen = list(answers), "", 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready = select.select([self._master, self._answers], [], [], 0.1)[0]
            if self._master in ready:
                printed += os.read(self._master, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
                if left and left[0][0] in printed[seen:]:
                    seen = printed.index(left[0][0], seen) + len(left[0][0])
                    self._type(left.pop(0)[1])
            elif self._answers in ready:
                said = os.read(self._answers, 1 << 16).decode().strip()
                if left:
                    raise HarnessError(f"it did not ask {left[0][0]!r}: {printed}")
                return Pasted(printed, said.removeprefix("done").strip())
        raise HarnessError(f"not done within {seconds:g} s: {text}\n{printed}")

    def _type(self, line: str) -> None:
        time.sleep(0.2)  # a program that hides what is typed needs an instant after its question
        os.write(self._master, f"{line}\n".encode())

    def close(self) -> None:
        """End it with all that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for descriptor in (self._master, self._orders, self._answers):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
