"""`restore` on a terminal: a person is shown what would be overwritten, and asked."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.entry.conftest import Command
from tests.entry.restore_world import NEW, OLD, RestoreWorld
from tests.entry.world import World, plain_environment

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer

QUESTION = "Type the cluster's name, default/prod, to go on"
_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def site(world: World, server: DevelopmentServer, command: Command) -> RestoreWorld:
    """New data at the server, old data in the folder."""
    return RestoreWorld(world, server, command)


class Terminal:
    """The program on a terminal of its own, and what it shows there."""

    def __init__(self, site: RestoreWorld, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = plain_environment(TERM="xterm", COLUMNS="200", XDG_STATE_HOME=str(site.world.folder))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bao_backup", "restore", "--config", str(site.world.config), *arguments],
            env=environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def until(self, words: str) -> None:
        """Read until it shows this."""
        end = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        """As a person does."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read on to its end; its exit code."""
        while self._read():
            pass
        return self.process.wait(60)

    @property
    def out(self) -> str:
        """What it answered, which is no terminal."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 60)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += _CODES.sub(b"", data).decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal(site: RestoreWorld) -> Iterator[Terminal]:
    """A restore that asks."""
    terminal = Terminal(site, "--latest")
    yield terminal
    terminal.close()


@pytest.mark.parametrize("answer", ["default/prod", "yes"])
def test_the_clusters_name_is_a_yes(site: RestoreWorld, terminal: Terminal, answer: str) -> None:
    """So is yes itself; before it nothing is changed."""
    terminal.until(QUESTION)
    assert f"key              file://{site.world.target}/{site.key}" in terminal.shown
    assert (site.data, site.safety_keys()) == ({"x": NEW, "y": NEW}, [])
    terminal.type(answer + "\n")
    assert terminal.end() == 0, terminal.shown
    assert site.data == {"x": OLD}
    for phase in ("backing up what is there", "sending file://", "waiting for the server"):
        assert phase in terminal.shown
    assert f"the way back: bao-backup restore --key {site.safety_keys()[0]}" in terminal.out


def with_warnings(site: RestoreWorld) -> None:
    """The server is another cluster, with other keys."""
    site.cluster.barrier = DevelopmentCluster().barrier
    site.cluster.id = DevelopmentCluster().id


@pytest.mark.parametrize(("answer", "code"), [("yes", 4), ("no", 1)])
def test_what_was_asked_about_is_not_told_again(site: RestoreWorld, answer: str, code: int) -> None:
    """Warnings stand before the question alone, whatever the answer is."""
    with_warnings(site)
    with closing(Terminal(site, "--latest", "--force")) as terminal:
        terminal.until(QUESTION)
        asked = terminal.shown.count("warning: ")
        assert asked > 0
        terminal.type(f"{answer}\n")
        assert terminal.end() == code
        assert terminal.shown.count("warning: ") == asked


def test_what_to_do_next_is_the_last_line(site: RestoreWorld) -> None:
    """Who restored into a new server has to start it again, and needs no way back to nothing."""
    with_warnings(site)
    with closing(Terminal(site, "--latest", "--force")) as terminal:
        terminal.until(QUESTION)
        terminal.type("yes\n")
        assert terminal.end() == 4
        assert "RestoreSealed" in terminal.shown
        assert terminal.shown.split("\n")[-2].startswith("next: start every server again, then unseal it")


def test_the_time_that_a_person_takes_does_not_count(site: RestoreWorld) -> None:
    """They may look at the cluster first, for longer than the restore may take."""
    with closing(Terminal(site, "--latest", "--deadline", "10s")) as terminal:
        terminal.until(QUESTION)
        time.sleep(11)
        assert terminal.process.poll() is None, terminal.shown
        terminal.type("yes\n")
        assert terminal.end() == 0, terminal.shown
    assert site.data == {"x": OLD}


@pytest.mark.parametrize("answer", ["\n", "y\n", "default/other\n", "\x04"])
def test_anything_else_is_no(site: RestoreWorld, terminal: Terminal, answer: str) -> None:
    """Exit 1; nothing was changed."""
    terminal.until(QUESTION)
    terminal.type(answer)
    assert terminal.end() == 1
    assert "nobody said yes; nothing was changed" in terminal.shown
    assert (site.data, site.safety_keys()) == ({"x": NEW, "y": NEW}, [])


def test_what_was_typed_before_the_question_is_no_answer(site: RestoreWorld, terminal: Terminal) -> None:
    """Neither a yes, nor the impatient return that would be a no."""
    terminal.type("\nyes\n")
    terminal.until(QUESTION)
    time.sleep(0.5)
    assert terminal.process.poll() is None
    assert site.data == {"x": NEW, "y": NEW}
    terminal.type("prod\n")
    assert terminal.end() == 0, terminal.shown
    assert site.data == {"x": OLD}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_asking(site: RestoreWorld, terminal: Terminal, number: signal.Signals) -> None:
    """Exit 7; nothing was changed, and it says so."""
    terminal.until(QUESTION)
    os.kill(terminal.process.pid, number)
    assert terminal.end() == 7
    assert f"restore default/prod: ended by {number.name}; nothing was changed" in terminal.shown
    assert (site.data, site.safety_keys()) == ({"x": NEW, "y": NEW}, [])


def test_a_pipe_is_no_terminal(site: RestoreWorld) -> None:
    """A yes that is piped in is not read."""
    done = subprocess.run(
        [sys.executable, "-m", "bao_backup", "restore", "--config", str(site.world.config), "--latest"],
        env=plain_environment(),
        input="yes\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no terminal to ask on" in done.stderr
    assert site.data == {"x": NEW, "y": NEW}
