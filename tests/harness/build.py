"""Builds the servers from the Go modules pinned in `modules/`, into a cache outside the tree.

Azurite, an npm package (see `npm`), is installed there, too.

    python -m tests.harness.build              whatever is missing or out of date
    python -m tests.harness.build minio vault  only these

The cache is $BAO_BACKUP_SERVERS, else bao-backup/servers/bin below $XDG_CACHE_HOME or ~/.cache. A
binary is out of date when its module's pins, its package, tags or flags changed; a newer Go alone
is no reason, so that what is built serves where there is no Go.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness import toolchain
from tests.harness.errors import HarnessError
from tests.harness.npm import PACKAGES, Package, put_in_place

MODULES = Path(__file__).resolve().parent / "modules"
STAMPS = ".stamps-v2"
PROGRESS_EVERY = 15.0
#: A cold build of all fills 8 GiB of Go's build cache and 9 GiB of its module cache, a warm one little.
FREE_COLD = 20 << 30
FREE_WARM = 2 << 30


@dataclass(frozen=True)
class Target:
    """A binary, and what it is built from."""

    name: str
    module: str
    package: str
    tags: str = ""
    #: Variables of the program that the linker sets; "{version}" is the pinned version of the `of` module.
    link: tuple[str, ...] = ()
    of: str = ""

    @property
    def ldflags(self) -> str:
        """What the linker is told; stripped: a third smaller, and nobody debugs them."""
        version = pinned_version(self.module, self.of) if self.of else ""
        major, minor, *_ = [*version.split("."), "", ""]
        words = [each.format(version=version, major=major, minor=minor) for each in self.link]
        return " ".join([LDFLAGS, *(f"-X {word}" for word in words)])

    def stamp(self) -> str:
        """A digest of all that the binary depends on."""
        digest = hashlib.sha256(f"1|{self.package}|{self.tags}|{self.ldflags}|".encode())
        folder = MODULES / self.module
        for file in [folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))]:
            if file.exists():  # a module without dependencies has no sums
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def prepare(self, folder: Path, fresh: Path, say: Callable[[str], None]) -> tuple[list[str], Path]:
        """The command that builds it as `fresh`, and where to run it."""
        module = MODULES / self.module
        go = toolchain.find_go(toolchain.wanted_version(module / "go.mod"), folder.parent, say)
        check_space(folder, go)
        command = [str(go), "build", "-v", "-tags", self.tags, "-ldflags", self.ldflags, "-o", str(fresh)]
        return [*command, self.package], module


LDFLAGS = "-s -w "


def pinned_version(module: str, of: str) -> str:
    """The version, without its "v", that the module pins of another one."""
    text = (MODULES / module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^(?:require |\t){re.escape(of)} v(\S+)", text, re.MULTILINE)
    if not found:
        raise HarnessError(f"{module}/go.mod pins no version of {of}")
    return found.group(1)


def kubernetes(name: str) -> Target:
    """A program of Kubernetes. One that does not know its version stops the clients that parse it."""
    about = "k8s.io/component-base/version"
    link = (
        f"{about}.gitVersion=v{{version}}",
        f"{about}.gitMajor={{major}}",
        f"{about}.gitMinor={{minor}}",
    )
    return Target(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", link=link, of="k8s.io/kubernetes")


def containerd(name: str) -> Target:
    """A program of containerd."""
    path = "github.com/containerd/containerd/v2"
    return Target(
        name, "containerd", f"{path}/cmd/{name}", link=(f"{path}/version.Version=v{{version}}",), of=path
    )


def helm() -> Target:
    """Helm. Its version is a part of its answers, and of what charts can ask for."""
    path = "helm.sh/helm/v4"
    return Target(
        "helm", "helm", f"{path}/cmd/helm", link=(f"{path}/internal/version.version=v{{version}}",), of=path
    )


AZURITE = Package("azurite", "node_modules/azurite/dist/src/blob/main.js", PACKAGES / "azurite")
TARGETS: dict[str, Target | Package] = {
    target.name: target
    for target in (
        Target("minio", "minio", "github.com/minio/minio"),
        # "minimal" leaves the cloud's storage and login backends out: half the size and time.
        Target("vault", "vault", "github.com/hashicorp/vault", tags="minimal"),
        # What "minimal" leaves out, too, as a plugin.
        Target(
            "vault-plugin-auth-kubernetes",
            "vault-auth-kubernetes",
            "github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes",
        ),
        Target("rclone", "rclone", "github.com/rclone/rclone"),
        Target("fake-gcs-server", "fake-gcs-server", "github.com/fsouza/fake-gcs-server"),
        Target("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        kubernetes("kube-apiserver"),
        kubernetes("kube-controller-manager"),
        kubernetes("kube-scheduler"),
        kubernetes("kubelet"),
        kubernetes("kubectl"),
        containerd("containerd"),
        containerd("containerd-shim-runc-v2"),
        containerd("ctr"),
        Target("pause", "pause", "."),
        helm(),
        AZURITE,
    )
}


def cache_folder() -> Path:
    """Where the binaries are kept."""
    chosen = os.environ.get("BAO_BACKUP_SERVERS")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "bao-backup" / "servers" / "bin"


def ready(target: Target | Package) -> Path | None:
    """The binary, if it is there and up to date."""
    binary = cache_folder() / target.name
    stamp = cache_folder() / STAMPS / target.name
    if binary.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == target.stamp():
        return binary
    return None


def binary(name: str, say: Callable[[str], None] = print) -> Path:
    """The binary of that name, built now if need be."""
    build([TARGETS[name]], say, quiet=True)
    return cache_folder() / name


def build(
    targets: Sequence[Target | Package], say: Callable[[str], None] = print, *, quiet: bool = False
) -> None:
    """Build what is missing or out of date; when one fails, the others are built still.

    `quiet` says nothing of what is up to date. Raises HarnessError that names each failure with the end
    of its log.
    """
    missing = []
    for target in targets:
        if not ready(target):
            missing.append(target)
        elif not quiet:
            say(f"{target.name}: up to date")
    if not missing:
        return
    folder = cache_folder()
    (folder / STAMPS).mkdir(parents=True, exist_ok=True)
    failures = []
    with locked(folder / ".lock", say):
        for target in missing:
            if ready(target):  # by the run that held the lock before
                continue
            try:
                build_one(target, folder, say)
            except HarnessError as error:
                say(f"{target.name}: FAILED")
                failures.append(str(error))
    if failures:
        raise HarnessError("\n".join(failures))


def build_one(target: Target | Package, folder: Path, say: Callable[[str], None]) -> None:
    """Build one and put it in its place whole."""
    fresh = folder / f".{target.name}.new"
    command, place = target.prepare(folder, fresh, say)
    log = folder / STAMPS / f"{target.name}.log"
    started = time.monotonic()
    status = run_with_progress(command, place, log, target.name, say)
    if status != 0:
        tail = "".join(f"\n    {line}" for line in read_lines(log)[-8:])
        raise HarnessError(
            f"{target.name}: {' '.join(command[:2])} ended with {status}; the end of {log}:{tail}"
        )
    size = put_in_place(fresh, folder / target.name)
    (folder / STAMPS / target.name).write_text(target.stamp(), encoding="utf-8")
    say(f"{target.name}: built in {time.monotonic() - started:.0f} s, {size >> 20} MiB")


def run_with_progress(
    command: list[str], folder: Path, log: Path, name: str, say: Callable[[str], None]
) -> int:
    """Run a build, with a line of progress every now and then; ends it when we are interrupted."""
    started = time.monotonic()
    say(f"{name}: building")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=toolchain.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=PROGRESS_EVERY)
                except subprocess.TimeoutExpired:
                    seconds = time.monotonic() - started
                    say(f"{name}: building, {seconds:.0f} s, {len(read_lines(log))} packages so far")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def check_space(folder: Path, go: Path) -> None:
    """Refuse to begin what would fill the disk."""
    output = toolchain.run([str(go), "env", "GOCACHE", "GOMODCACHE"], "ask Go for its caches")
    caches = [Path(line) for line in output.split()]
    warm = all(cache.is_dir() and any(cache.iterdir()) for cache in caches)
    needed = FREE_WARM if warm else FREE_COLD
    for place in [folder, *caches]:
        there = next(parent for parent in (place, *place.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            raise HarnessError(f"{place}: {free >> 20} MiB free, a build needs {needed >> 20} MiB")


@contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock between processes: two builds at a time would only slow each other down."""
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_lines(path: Path) -> list[str]:
    """A log's lines, whatever bytes are in it."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def say_at_once(line: str) -> None:
    """Print a line that is seen even where the output is a file."""
    print(line, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 when a build failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.build", description="Build the servers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)} (all)")
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    wanted = [TARGETS[name] for name in names or TARGETS]
    if not names and AZURITE.lacks:
        say_at_once(f"azurite: left out, there is no {AZURITE.lacks} here; its tests will say so")
        wanted.remove(AZURITE)
    try:
        build(wanted, say_at_once)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
