"""The command line in this process, and a folder for it to work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.entry.world import CONFIGURING, NOT_ASKED, Answer, World

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.entry.cli import main

Command = Callable[..., Answer]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A configured cluster without backups; nothing of this machine configures anything."""
    for name in list(os.environ):
        if name.startswith(CONFIGURING):
            monkeypatch.delenv(name)
    for name, value in NOT_ASKED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path)
    world.target.mkdir()
    world.set_token("token-of-nobody")
    world.configure()
    return world


@pytest.fixture
def command(world: World, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process: the words, then options by name, `config` as it is."""

    def run(*arguments: str, config: Path | None = world.config) -> Answer:
        capsys.readouterr()
        chosen = () if config is None else ("--config", str(config))
        code = main([*arguments, *chosen])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def server(world: World) -> Iterator[DevelopmentServer]:
    """A development server that the configuration names, and whose token it has."""
    with DevelopmentServer(DevelopmentCluster()) as server:
        world.spec["connection"] = {"addresses": [server.address]}
        world.set_token(server.cluster.root_token)
        world.configure()
        yield server
