"""The tree of errors is as it is drawn, and every reason is explained to people."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core import errors, kubernetes_errors, restore_errors, storage_errors
from bao_backup.core.errors import BaoBackupError, DocumentError, InternalError, Problem, one_line

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
MODULES = (errors, kubernetes_errors, restore_errors, storage_errors)
#: What design and README promise.
EXIT_CODES = range(1, 10)
#: Modules in which the manager decides, and gives its reasons.
DECIDING = ("checking", "ended", "followed", "outcome", "preflight", "result", "step", "wanted")
#: Words in them that are values of fields, and no reasons.
VALUES = {"Backup", "False", "Running", "True", "Unknown"}
TREE_LINE = re.compile(r"^    ([│ ├└─]*)(\w+Error)(?: (\d))?(?: {2,}(\w+)(?::.*)?)?$", re.MULTILINE)


def all_types(root: type[BaoBackupError] = BaoBackupError) -> Iterator[type[BaoBackupError]]:
    """Every type of error below the root, in the order of their definition."""
    for kind in root.__subclasses__():
        if kind.__module__ in {module.__name__ for module in MODULES}:
            yield kind
            yield from all_types(kind)


TYPES = list(all_types())


def make(kind: type[BaoBackupError], doing: str = "do it", why: str = "it failed") -> BaoBackupError:
    """An error of that type."""
    return DocumentError(doing, [Problem("spec", why)]) if kind is DocumentError else kind(doing, why)


def drawn() -> list[tuple[str, str, str | None]]:
    """Each line of the drawn tree: type, its parent in the drawing, its reason."""
    found, above = [], dict[int, str]()
    for line in TREE_LINE.finditer(errors.__doc__ or ""):
        depth = len(line[1]) // 4
        above[depth] = line[2]
        if depth:
            found.append((line[2], above[depth - 1], line[4]))
    return found


def test_every_type_is_drawn_where_it_belongs() -> None:
    """Name, parent and reason, in the order of the file."""
    defined = [(kind.__name__, kind.__bases__[0].__name__, kind.reason) for kind in TYPES]
    assert sorted(drawn()) == sorted(defined)


def test_the_drawn_exit_codes_are_the_types_own() -> None:
    """They are drawn at the types that stand directly below the root."""
    codes = {line[2]: int(line[3]) for line in TREE_LINE.finditer(errors.__doc__ or "") if line[3]}
    assert codes == {kind.__name__: kind.exit_code for kind in BaoBackupError.__subclasses__()}


def test_reasons_are_unique() -> None:
    """A machine that reads one knows the type."""
    assert len({kind.reason for kind in TYPES}) == len(TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_has_the_exit_code_of_its_branch(kind: type[BaoBackupError]) -> None:
    """A script that knows the number knows the branch."""
    (branch,) = (top for top in BaoBackupError.__subclasses__() if issubclass(kind, top))
    assert kind.exit_code == branch.exit_code
    assert kind.exit_code in EXIT_CODES


@pytest.mark.parametrize("kind", TYPES)
def test_an_error_is_one_line_with_its_hint(kind: type[BaoBackupError]) -> None:
    """What was tried, why it failed, what to do next, whatever line ends are in it."""
    message = make(kind, "do\nit\ton\x1b[2J this", "it\r\nfailed").message
    assert message.startswith("do it on [2J this: ")
    assert "it failed; " in message
    assert message.endswith(kind.default_hint)
    assert message == one_line(message)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_explained(kind: type[BaoBackupError]) -> None:
    """In the part of its exit code, with its type."""
    part = PAGE.partition(f"### Exit code {kind.exit_code}: ")[2].partition("\n##")[0]
    (row,) = (line for line in part.splitlines() if line.startswith(f"| `{kind.reason}` | "))
    _, _, name, meaning, advice, _ = (cell.strip() for cell in row.split("|"))
    assert name == f"`{kind.__name__}`"
    assert len(meaning) > 10
    assert len(advice) > 10


def test_the_page_has_no_reason_that_is_gone() -> None:
    """Rows about types are about types that are there, in the order of the tree."""
    rows = re.findall(r"^\| `(\w+)` \| `(\w+Error)` \|", PAGE, re.MULTILINE)
    assert rows == [(reason, name) for name, _, reason in drawn()]


def test_every_exit_code_is_explained_to_scripts() -> None:
    """On the page and in the README; 9 belongs to restores."""
    table = PAGE.partition("## For scripts")[2].partition("\n- ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d) \|", table, re.MULTILINE)] == [0, *EXIT_CODES]
    readme = (ROOT / "README.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d) \|", readme, re.MULTILINE)][:9] == list(range(9))


def reasons_of_the_manager() -> list[str]:
    """Every reason, event and condition that the deciding modules name."""
    found = set[str]()
    for module in DECIDING:
        tree = ast.parse((ROOT / "src/bao_backup/core" / f"{module}.py").read_text())
        texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        found |= {text for text in texts if isinstance(text, str) and re.fullmatch("([A-Z][a-z]+)+", text)}
    return sorted(found - VALUES)


@pytest.mark.parametrize("reason", reasons_of_the_manager())
def test_a_reason_of_the_manager_is_explained(reason: str) -> None:
    """Why nothing starts, how a slot ends, events and conditions."""
    assert f"`{reason}`" in PAGE.partition("## Why no run starts")[2]


def test_the_managers_reasons_were_found() -> None:
    """The search above sees the ones that it must see."""
    assert {"SlotMissed", "NoResult", "RunLost", "TooManyRuns", "BackupReady"} <= set(
        reasons_of_the_manager()
    )


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    """Whatever came in: no line ends, no control characters, and nothing more to fold."""
    folded = one_line(text)
    assert len(folded.splitlines()) <= 1
    assert folded.isprintable()
    assert one_line(folded) == folded


def test_of_what_nobody_foresaw_the_text_stays_out() -> None:
    """It may hold anything; what the system says of a file or socket is known."""
    assert InternalError.unforeseen("run", LookupError("hvs.SECRET")).why == "LookupError"
    full = OSError(28, "No space left on device", "/some/file")
    assert InternalError.unforeseen("run", full).why == "OSError: no space left on device"
