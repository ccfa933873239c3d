"""Container images without a registry: of bao-backup, from the wheel that users install, and of one program.

An image is a tar for `ctr images import`, in the form of `docker save`:
https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tests.harness.errors import HarnessError
from tests.harness.image_layers import LIBRARIES, PREFIX, SITE_PACKAGES, Layer, add_libraries, python_layer

#: The image of the manager and of its runs.
NAME = "localhost/bao-backup:test"
PROGRAM = "bao-backup"
PROJECT = Path(__file__).resolve().parents[2]
RUN_LOCK = PROJECT / "requirements" / "run.lock"


@dataclass(frozen=True)
class Start:
    """How a container of an image begins, if its pod says nothing else."""

    entrypoint: Sequence[str]
    user: str
    variables: Sequence[str] = ()


def build_image(output: Path, *, name: str = NAME) -> Path:
    """The image of bao-backup: this Python, the locked dependencies, and the project from its wheel.

    The dependencies are those of the environment that runs this, since that has the locked ones.
    Gives `output`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    start = Start(
        entrypoint=[f"/{PREFIX}/bin/{PROGRAM}"],
        user="1000:1000",
        variables=[
            f"PATH=/{PREFIX}/bin:/usr/bin:/bin",
            f"LD_LIBRARY_PATH=/{LIBRARIES}",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            # The root is read-only, and all is compiled already.
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONUNBUFFERED=1",
        ],
    )
    wheel = build_wheel(output.parent / "wheel")
    layers = [python_layer(), dependencies_layer(), project_layer(wheel, output.parent / "installed")]
    return write_image(output, name, layers, start)


def program_image(output: Path, *, name: str, program: Path) -> Path:
    """An image of nothing but one program that needs no library; gives `output`."""
    layer = Layer()
    layer.copy(program, program.name)
    return write_image(output, name, [layer], Start([f"/{program.name}"], "65535:65535"))


def build_wheel(folder: Path) -> Path:
    """The project's wheel, built anew; needs no network."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(PROJECT))
    return next(folder.glob("*.whl"))


def dependencies_layer() -> Layer:
    """The distributions that `requirements/run.lock` names, and no others, as they are installed here."""
    layer = Layer()
    modules = []
    for distribution in _locked():
        for file in distribution.files or ():
            source = Path(str(file.locate()))
            # Programs of theirs are outside of the packages' folder, and nobody needs them.
            if ".." not in file.parts and source.exists():
                layer.copy(source, f"{SITE_PACKAGES}/{file}")
                modules += [source] if re.search(r"\.so(\.\d+)*$", source.name) else []
    add_libraries(layer, modules)
    return layer


def _locked() -> list[metadata.Distribution]:
    found = []
    for line in RUN_LOCK.read_text(encoding="utf-8").splitlines():
        pinned = re.match(r"([\w.-]+)==(\S+)\s*(;?)", line)
        if pinned is None:
            continue
        name, version, conditional = pinned.groups()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if conditional:
                continue
            raise HarnessError(f"{name} is in {RUN_LOCK.name} and not installed here: make clean") from None
        if distribution.version != version:
            raise HarnessError(f"{name} {distribution.version} is here, {RUN_LOCK.name} has {version}")
        found.append(distribution)
    return found


def project_layer(wheel: Path, folder: Path) -> Layer:
    """The wheel, installed into an empty folder, and its program."""
    options = ["--no-deps", "--no-index", "--upgrade", "--target", str(folder)]
    _pip("install", *options, str(wheel))
    layer = Layer()
    layer.copy_tree(folder, SITE_PACKAGES, frozenset({"bin"}))
    # pip's own would name the Python of this machine.
    found = metadata.Distribution.discover(name=PROGRAM, path=[str(folder)])
    points = next(iter(found)).entry_points.select(group="console_scripts", name=PROGRAM)
    point = next(iter(points))
    program = f"#!/{PREFIX}/bin/python3\nimport sys\n\nfrom {point.module} import {point.attr}\n\n"
    layer.write(f"{PREFIX}/bin/{PROGRAM}", f"{program}sys.exit({point.attr}())\n".encode(), 0o755)
    return layer


def write_image(output: Path, name: str, layers: Sequence[Layer], start: Start) -> Path:
    """Write an image of that name and tag; gives `output`."""
    files = [output.with_suffix(f".layer{index}") for index in range(len(layers))]
    digests = [layer.save(file) for layer, file in zip(layers, files, strict=True)]
    machine = platform.machine()
    configuration = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "config": {
            "Entrypoint": list(start.entrypoint),
            "Env": list(start.variables),
            "User": start.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    raw = json.dumps(configuration).encode()
    config_name = f"{hashlib.sha256(raw).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{each}.tar" for each in digests]}]
    with tarfile.open(output, "w") as tar:
        for path, content in ((config_name, raw), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for file, digest in zip(files, digests, strict=True):
            tar.add(file, f"{digest}.tar")
            file.unlink()
    return output


def _pip(*arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", arguments[0], *options, *arguments[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise HarnessError(f"pip {' '.join(arguments)}: {(done.stdout + done.stderr).strip()[-1000:]}")
