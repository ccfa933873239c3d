"""Servers that are npm packages, pinned in `packages/` and installed beside the binaries."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.errors import HarnessError

PACKAGES = Path(__file__).resolve().parent / "packages"
#: What an installation takes with its downloads.
FREE = 1 << 30


@dataclass(frozen=True)
class Package:
    """An npm package with all that it needs, in a folder of its name."""

    name: str
    #: The program in that folder, for node.
    program: str
    #: Where its pins are.
    pins: Path

    @property
    def lacks(self) -> str:
        """Which programs it needs that are not here; empty: none."""
        return " and ".join(name for name in ("node", "npm") if shutil.which(name) is None)

    def stamp(self) -> str:
        """A digest of its pins."""
        digest = hashlib.sha256(b"1|")
        for file in ("package.json", "package-lock.json"):
            digest.update((self.pins / file).read_bytes())
        return digest.hexdigest()

    def prepare(self, folder: Path, fresh: Path, say: Callable[[str], None]) -> tuple[list[str], Path]:
        """The command that installs it into the folder `fresh`, and where to run it.

        No package's own scripts are run: none of what is used needs them.
        """
        del say
        if self.lacks:
            raise HarnessError(f"{self.name} needs {self.lacks}, and there is none on the PATH")
        free = shutil.disk_usage(folder).free
        if free < FREE:
            raise HarnessError(f"{folder}: {free >> 20} MiB free, {self.name} needs {FREE >> 20} MiB")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(self.pins, fresh)
        return ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"], fresh


def put_in_place(fresh: Path, place: Path) -> int:
    """Move a file or a folder to where it is used, in the place of an older one; its size in bytes."""
    if place.is_dir():
        shutil.rmtree(place)
    fresh.replace(place)
    files = [place] if place.is_file() else [each for each in place.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)
