"""The core is pure: what it loads, and what its modules never contain."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bao_backup.core

CORE = Path(bao_backup.core.__file__).parent
MODULES = sorted(CORE.rglob("*.py"))

#: What the core may load beside the standard library; msgspec itself loads typing_extensions.
ALLOWED = {"bao_backup", "cronsim", "msgspec", "typing_extensions"}
#: Modules of the standard library that reach the world, and functions that ask it.
WORLD = {
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "uuid",
}  # fmt: skip
ASKING = {"open", "print", "input", "now", "utcnow", "today", "uuid4"}

LOAD = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def module_name(path: Path) -> str:
    """The name to import it by."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(("bao_backup.core", *(part for part in parts if part != "__init__")))


def impurities(source: str) -> list[str]:
    """What a pure module must not contain, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Await() | ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith():
                found.append(f"{node.lineno}: {type(node).__name__}")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in ASKING:
                found.append(f"{node.lineno}: {name}()")
            case ast.Import(names=names):
                found += [f"{node.lineno}: {each.name}" for each in names if each.name.split(".")[0] in WORLD]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in WORLD:
                found.append(f"{node.lineno}: {module}")
    return found


def test_importing_the_core_loads_the_standard_library_msgspec_and_cronsim_only() -> None:
    """In an interpreter of its own, every module of the core."""
    answer = subprocess.run(
        [sys.executable, "-c", LOAD, *(module_name(path) for path in MODULES)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = set(json.loads(answer.stdout))
    assert "msgspec" in loaded
    # The standard library's own file of build settings has a name that differs by platform.
    foreign = {name for name in loaded if not name.startswith("_sysconfigdata")} - set(
        sys.stdlib_module_names
    )
    assert foreign <= ALLOWED


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_module_of_the_core_asks_the_world(path: Path) -> None:
    """No clock, no random number, no file, no socket, no await: all that is an argument."""
    assert impurities(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): pass",
        "datetime.now(UTC)",
        "open('x')",
        "uuid4()",
        "import os.path",
        "from time import monotonic",
        "import random as r",
    ],
)
def test_each_way_to_ask_the_world_is_noticed(source: str) -> None:
    """The check above can fail."""
    assert impurities(source)
