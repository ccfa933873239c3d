"""The fixtures of Azurite, for every folder of tests. Where there is no Node.js, it is not tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import build
from tests.harness.azurite import Azurite
from tests.harness.certificates import Authority

_was_wanted = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def azurite_program(request: pytest.FixtureRequest) -> Path:
    """The program that node runs."""
    lacks = build.AZURITE.lacks
    if lacks:
        request.config.stash[_was_wanted] = True
        pytest.skip(f"Azurite needs {lacks}, and there is none on the PATH")
    return build.binary("azurite") / build.AZURITE.program


@pytest.fixture(scope="session")
def azurite(servers_folder: Path, azurite_program: Path) -> Iterator[Azurite]:
    """Azurite over plain HTTP."""
    with Azurite(servers_folder / "azurite", azurite_program) as server:
        yield server


@pytest.fixture(scope="session")
def azurite_tls(servers_folder: Path, azurite_program: Path, authority: Authority) -> Iterator[Azurite]:
    """Azurite over TLS with a certificate of `authority`, which takes tokens, too."""
    with Azurite(servers_folder / "azurite-tls", azurite_program, authority) as server:
        yield server


@pytest.fixture
def container(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container of this test's own on `azurite`; it is removed with all that is in it."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    azurite.root.make_container(name)
    yield name
    azurite.root.remove_container(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say it where a run could not test it."""
    if config.stash.get(_was_wanted, False):
        terminalreporter.write_line(f"Azure: not tested, there is no {build.AZURITE.lacks} here")
