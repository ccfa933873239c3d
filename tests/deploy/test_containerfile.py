"""The image, as far as it shows without a builder: its Containerfile, and its steps done outside.

No container is built here: there is no builder, and no registry to take the base from.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from tests.deploy.rendering import ROOT

FILE = ROOT / "deploy" / "Containerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

Instruction = tuple[str, str]


def parse(text: str) -> list[Instruction]:
    """Each instruction and what follows it; continued lines are joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))
    ]


INSTRUCTIONS = parse(FILE.read_text(encoding="utf-8"))
LAST_FROM = max(index for index, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM")
FINAL = INSTRUCTIONS[LAST_FROM:]


def of(word: str, instructions: list[Instruction] | None = None) -> list[str]:
    """What follows each instruction of that word."""
    return [rest for name, rest in (INSTRUCTIONS if instructions is None else instructions) if name == word]


def copied() -> list[str]:
    """The files and folders of the repository that the image is made of."""
    local = [shlex.split(rest) for rest in of("COPY") if "--from" not in rest]
    return [source for words in local for source in words[:-1]]


def commands() -> list[list[str]]:
    """Each single command of the image's RUNs, in words."""
    return [shlex.split(part) for rest in of("RUN") for part in rest.split("&&")]


def installs() -> list[list[str]]:
    """The calls of pip."""
    return [command for command in commands() if "pip" in command[0] and "install" in command]


def lock_of(name: str) -> dict[str, set[str]]:
    """A lock's files: "name==version" and their hashes."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return {
        line.split()[0]: set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line))
        for line in text.splitlines()
        if line
    }


def ignored(path: str) -> bool:
    """Whether .containerignore leaves a path out of what the builder gets: the last rule that fits wins."""
    verdict = False
    for line in (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").replace("**/", "*")
        if fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, f"{pattern}/*"):
            verdict = not rule.startswith("!")
    return verdict


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_reaches_the_builder(source: str) -> None:
    """Each source exists, and .containerignore lets its files through."""
    path = ROOT / source
    assert path.exists()
    files = [path] if path.is_file() else list(path.rglob("*.py"))
    assert files
    assert [each for each in files if ignored(each.relative_to(ROOT).as_posix())] == []


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/bin/python", "tests/conftest.py", "secrets/token", "src/x/__pycache__/y.pyc"],
)
def test_nothing_else_reaches_the_builder(path: str) -> None:
    """What lies in a working tree stays out of images."""
    assert ignored(path)


def test_it_runs_as_a_user_that_is_not_root_by_number() -> None:
    """Kubernetes compares numbers: a name would be refused with runAsNonRoot."""
    (user,) = of("USER", FINAL)
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)
    after = FINAL[FINAL.index(("USER", user)) :]
    assert {word for word, _ in after} <= {"USER", "WORKDIR", "ENTRYPOINT"}


def test_its_entry_point_is_the_program() -> None:
    """In the form without a shell, so that signals reach the program."""
    (entry,) = of("ENTRYPOINT", FINAL)
    (name,) = PROJECT["project"]["scripts"]
    assert entry == f'["{name}"]'
    assert "CMD" not in {word for word, _ in FINAL}


def test_every_install_is_by_hash_or_without_the_network() -> None:
    """What pip takes from an index is in a lock with hashes; the wheel itself comes from no index."""
    assert len(installs()) == 3
    for command in installs():
        locked = {"--require-hashes", "-r"} <= set(command)
        alone = {"--no-deps", "--no-index"} <= set(command)
        assert locked != alone, command


@pytest.mark.parametrize("name", ["run.lock", "build.lock"])
def test_each_lock_that_it_uses_has_hashes(name: str) -> None:
    """One at least for each file."""
    assert f"requirements/{name}" in [word for command in installs() for word in command]
    lock = lock_of(name)
    assert lock
    assert [requirement for requirement, hashes in lock.items() if not hashes] == []


def test_the_wheel_is_built_with_what_the_project_pins() -> None:
    """The build's lock has the build system of pyproject.toml, in the same files as the development's."""
    build, development = lock_of("build.lock"), lock_of("dev.lock")
    assert set(PROJECT["build-system"]["requires"]) <= build.keys()
    assert build == {requirement: development[requirement] for requirement in build}


def test_the_manager_and_the_runs_need_one_image_only() -> None:
    """What only the operator needs is in the lock that the image installs."""
    names = {requirement.split("==")[0] for requirement in lock_of("run.lock")}
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["operator"]]
    assert {re.split(r"[<>=~]", each)[0] for each in needed} <= names


def test_it_names_no_package_registry() -> None:
    """Each machine has its own index, and its own registry for the base."""
    text = FILE.read_text(encoding="utf-8")
    assert re.findall(r"(?:https?://|--index-url|--extra-index-url|--find-links)\S*", text) == []
    assert [rest for rest in of("FROM") if not rest.startswith("${PYTHON_IMAGE}")] == []
    (base,) = of("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim", base)


def test_its_label_has_the_version_of_the_program() -> None:
    """What an image says it is."""
    (labels,) = of("LABEL", FINAL)
    found = dict(word.split("=", 1) for word in shlex.split(labels))
    assert found["org.opencontainers.image.version"] == PROJECT["project"]["version"]
    assert found["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


def run(*command: str | Path, **variables: str) -> str:
    """One step; gives what it printed, or fails with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_steps_make_a_program_that_runs(tmp_path: Path) -> None:
    """Wheel, environment without an installer, install, compile: outside a container, and without an index.

    Its dependencies come from this environment, since nothing is fetched here.
    """
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    installed = tmp_path / "installed"
    run(sys.executable, "-m", "venv", "--without-pip", installed)
    python = installed / "bin" / "python"
    arguments = ("--no-compile", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "--python", python, "install", *arguments, wheel)
    run(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", installed / "lib")
    sources = list(installed.glob("lib/**/bao_backup/**/*.py"))
    assert sources
    assert len(list(installed.glob("lib/**/bao_backup/**/__pycache__/*.pyc"))) == len(sources)

    libraries = sysconfig.get_path("purelib")
    program = installed / "bin" / "bao-backup"
    version = PROJECT["project"]["version"]
    assert run(program, "--version", PYTHONPATH=libraries) == f"bao-backup, version {version}\n"
    where = run(python, "-c", "import bao_backup; print(bao_backup.__file__)", PYTHONPATH=libraries)
    assert where.startswith(str(installed))
