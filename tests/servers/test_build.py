"""How the harness builds servers, with a small Go program in the place of one."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
from tests.harness import build
from tests.harness.errors import HarnessError
from tests.harness.npm import Package

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, as the environment names it; a Go that came as a wheel is shared."""
    wheel = build.cache_folder().parent / "go-wheel"
    folder = tmp_path / "cache" / "bin"
    folder.mkdir(parents=True)
    if wheel.exists():
        (folder.parent / "go-wheel").symlink_to(wheel)
    monkeypatch.setenv("BAO_BACKUP_SERVERS", str(folder))
    return folder


@pytest.fixture
def hello(tmp_path: Path) -> build.Target:
    """A program that says hello."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module hello\n\ngo 1.26.0\n")
    (module / "go.sum").write_text("")
    (module / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    return build.Target("hello", str(module), ".")


def test_build(hello: build.Target, cache: Path) -> None:
    """What is missing is built once, and not again while its pins are the same."""
    said: list[str] = []
    build.build([hello], said.append)
    assert subprocess.run([cache / "hello"], capture_output=True, check=True).stderr == b"hello\n"
    assert said[-1].startswith("hello: built in ")
    build.build([hello], said.append)
    assert said[-1] == "hello: up to date"


def test_out_of_date(hello: build.Target) -> None:
    """A binary whose pins changed is out of date."""
    build.build([hello], lambda _: None)
    assert build.ready(hello)
    Path(hello.module, "go.sum").write_text("\n")
    assert build.ready(hello) is None


def test_failure(hello: build.Target, cache: Path) -> None:
    """A failure tells the end of the log and leaves no binary; the others are built still."""
    broken = Path(hello.module).with_name("broken")
    broken.mkdir()
    (broken / "go.mod").write_text("module broken\n\ngo 1.26.0\n")
    (broken / "go.sum").write_text("")
    (broken / "main.go").write_text("package main\n\nfunc main() { nowhere() }\n")
    with pytest.raises(HarnessError, match="undefined: nowhere"):
        build.build([build.Target("broken", str(broken), "."), hello], lambda _: None)
    assert not (cache / "broken").exists()
    assert (cache / "hello").exists()


def test_one_at_a_time(hello: build.Target) -> None:
    """Two runs at a time build once: the second waits for the first."""
    said: list[str] = []
    runs = [threading.Thread(target=build.build, args=[[hello], said.append]) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sum(line.startswith("hello: built in ") for line in said) == 1
    assert "another build is under way: waiting for it" in said


def test_npm_package(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package is installed as its lock says, once; without npm it is said what is missing."""
    if build.AZURITE.lacks:
        pytest.skip(f"there is no {build.AZURITE.lacks} on the PATH")
    folder = tmp_path / "hello"
    folder.mkdir()
    about = {"name": "hello", "version": "1.0.0"}
    (folder / "package.json").write_text(json.dumps(about))
    lock = {**about, "lockfileVersion": 3, "packages": {"": about}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    hello = Package("hello", "package.json", folder)
    said: list[str] = []
    build.build([hello], said.append)
    assert (cache / "hello" / hello.program).exists()
    build.build([hello], said.append)
    assert said[-1] == "hello: up to date"
    (folder / "package-lock.json").write_text(json.dumps(lock, indent=1))
    assert build.ready(hello) is None
    build.build([hello], said.append)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hello.lacks == "node and npm"
    (folder / "package-lock.json").write_text(json.dumps(lock))
    with pytest.raises(HarnessError, match="needs node and npm"):
        build.build([hello], said.append)


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that there is not is refused, with those that there are."""
    with pytest.raises(SystemExit):
        build.main(["nothing"])
    assert "there are minio, vault, " in capsys.readouterr().err
