"""The layers of a container image: tars whose bytes depend on nothing but what was added to them."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import py_compile
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

#: Where the image has its Python, and the libraries that it loads.
PREFIX = "usr/local"
LIBRARIES = f"{PREFIX}/lib"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"{LIBRARIES}/{PYTHON}/site-packages"
#: Parts of the standard library that no program needs, and places that are not the library's own.
_LEFT_OUT = {
    *("test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3", "pydoc_data"),
    *("site-packages", "dist-packages"),
    f"config-{sys.version_info.major}.{sys.version_info.minor}-{platform.machine()}-linux-gnu",
}
_LEFT_OUT_ENDINGS = (".a", ".opt-1.pyc", ".opt-2.pyc")
#: What the C library loads by name while it runs.
_LOADED_BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")
_SYSTEM_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nrunner:x:1000:1000:runner:/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nrunner:x:1000:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


class Layer:
    """One layer: what is where in it. Paths are those in the image, without the first slash."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes | Path | None]] = {}

    def _entry(self, path: str, mode: int) -> tarfile.TarInfo:
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.folder(parent)
        info = tarfile.TarInfo(path)
        info.mode = mode
        return info

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add an empty folder."""
        info = self._entry(path, mode)
        info.type = tarfile.DIRTYPE
        self._entries[path] = (info, None)

    def link(self, path: str, to: str) -> None:
        """Add a symbolic link."""
        info = self._entry(path, 0o777)
        info.type, info.linkname = tarfile.SYMTYPE, to
        self._entries[path] = (info, None)

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file with this content."""
        info = self._entry(path, mode)
        info.size = len(content)
        self._entries[path] = (info, content)

    def copy(self, source: Path, path: str) -> None:
        """Add a file of this machine's; a Python module that has no compiled file gets one."""
        info = self._entry(path, 0o755 if os.access(source, os.X_OK) else 0o644)
        status = source.stat()
        info.size = status.st_size
        # A compiled file is good for the source of one time only.
        info.mtime = int(status.st_mtime)
        self._entries[path] = (info, source)
        if source.suffix == ".py":
            name = f"__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc"
            if not (source.parent / name).exists():
                self.write(str(Path(path).parent / name), _compiled(source, path))

    def copy_tree(self, source: Path, path: str, left_out: frozenset[str] = frozenset()) -> None:
        """Add a folder of this machine's, without the folders of these names in it."""
        for base, folders, files in os.walk(source):
            folders[:] = [folder for folder in folders if folder not in left_out]
            for name in files:
                file = Path(base, name)
                if file.exists() and not name.endswith(_LEFT_OUT_ENDINGS):
                    self.copy(file, f"{path}/{file.relative_to(source)}")

    def save(self, file: Path) -> str:
        """Write the tar; gives its SHA-256 in hex."""
        with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self._entries):
                info, content = self._entries[path]
                if isinstance(content, Path):
                    with content.open("rb") as stream:
                        tar.addfile(info, stream)
                else:
                    tar.addfile(info, io.BytesIO(content) if content is not None else None)
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def __contains__(self, path: str) -> bool:
        return path in self._entries


def python_layer() -> Layer:
    """This interpreter: its standard library, what it loads, and the files that any program looks for."""
    layer = Layer()
    binary = Path(sys.executable).resolve()
    layer.copy(binary, f"{PREFIX}/bin/{PYTHON}")
    for alias in ("python3", "python"):
        layer.link(f"{PREFIX}/bin/{alias}", PYTHON)
    layer.copy_tree(Path(sysconfig.get_path("stdlib")), f"{LIBRARIES}/{PYTHON}", frozenset(_LEFT_OUT))
    layer.folder(SITE_PACKAGES)
    modules = sorted(Path(sysconfig.get_config_var("DESTSHARED")).glob("*.so"))
    add_libraries(layer, [binary, *modules])
    for path, content in _SYSTEM_FILES.items():
        layer.write(path, content.encode())
    layer.folder("tmp", 0o1777)
    trusted = Path("/etc/ssl/certs/ca-certificates.crt")
    if trusted.exists():
        layer.copy(trusted.resolve(), "etc/ssl/certs/ca-certificates.crt")
    return layer


def add_libraries(layer: Layer, programs: list[Path]) -> None:
    """Add the shared libraries that these programs and modules load, and the loader of programs."""
    needed = _libraries(programs)
    for c_library in [path for path in needed if path.name == "libc.so.6"]:
        beside = (c_library.resolve().parent / name for name in _LOADED_BY_NAME)
        needed |= {path for path in beside if path.exists()}
    for path in sorted(needed):
        # A program names its loader by the whole path.
        loader = path.name.startswith("ld-")
        layer.copy(path.resolve(), str(path)[1:] if loader else f"{LIBRARIES}/{path.name}")


def _libraries(programs: list[Path]) -> set[Path]:
    found: set[Path] = set()
    for start in range(0, len(programs), 100):
        command = ["ldd", *map(str, programs[start : start + 100])]
        # Its status is 1 when one of them is linked statically.
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", output, re.MULTILINE)}
    return found


def _compiled(source: Path, path: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "module.pyc")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        if py_compile.compile(str(source), str(target), dfile=f"/{path}", quiet=2, invalidation_mode=mode):
            return target.read_bytes()
    return b""
