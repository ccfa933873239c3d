"""Runs the demonstration, tells what happens, and cleans up after itself."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import Database
from bao_backup.adapters.local.events import Events
from bao_backup.core.status import BackupStatus
from demo.server import DemoServer, choose

SCHEDULE = "@every 3s"
KEPT = 3
PROGRAM = [sys.executable, "-m", "bao_backup"]
#: No single step takes longer, in seconds.
PATIENCE = 30.0


class Demo:
    """One demonstration in a folder of its own."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._config = folder / "clusters.json"
        self._state = folder / "state"
        self.target = folder / "backups"
        self._told = 0
        self._begun = time.monotonic()

    def say(self, words: str, style: str = "") -> None:
        """A line with the seconds since the beginning."""
        stamp = f"{time.monotonic() - self._begun:5.1f}s"
        self._console.print(f"[dim]{stamp}[/dim]  ", end="")
        self._console.print(words, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def configure(self, server: DemoServer) -> None:
        """Write the document, the Secret and the empty target."""
        secret = self._folder / "secrets" / "token"
        secret.mkdir(parents=True)
        (secret / "token").write_text(server.token)
        self.target.mkdir()
        document = {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": {"name": "demo"},
            "spec": {
                "connection": server.connection,
                "backup": {
                    "schedule": SCHEDULE,
                    "activeDeadlineSeconds": 10,
                    "tokenSecretRef": {"name": "token"},
                    "target": {"provider": "file", "path": str(self.target)},
                    "retention": {"maxCount": KEPT},
                },
            },
        }
        self._config.write_text(json.dumps(document, indent=2))

    def serve(self) -> subprocess.Popen[bytes]:
        """Start the manager."""
        log = (self._folder / "log").open("ab")
        options = ["--config", str(self._config), "--state", str(self._state), "--listen", "127.0.0.1:0"]
        return subprocess.Popen([*PROGRAM, "serve", *options, "--grace", "5"], stdout=log, stderr=log)

    def until(self, what: str, done: Callable[[BackupStatus], bool], pause: float = 0.1) -> BackupStatus:
        """Tell what happens until it is so."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status = self._look()
            if status is not None and done(status):
                return status
            time.sleep(pause)
        log = (self._folder / "log").read_text()[-2000:]
        raise SystemExit(f"gave up after {PATIENCE:g} s waiting until {what}; the manager's log ends:\n{log}")

    def _look(self) -> BackupStatus | None:
        if not (self._state / "state.db").exists():
            return None
        database = Database(self._state / "state.db")
        try:
            for row in Clusters(database).present():
                events = Events(database).newest(row.uid, 200)
                for event in events[self._told :]:
                    mark, style = ("✗", "red") if event.warning else ("✓", "green")
                    self.say(f"{mark} {event.reason}: {event.message}", style)
                self._told = len(events)
                return row.status
        finally:
            database.close()
        return None

    def command(self, *arguments: str) -> None:
        """Run a command as a person would, and show it."""
        self.say(f"$ bao-backup {' '.join(arguments)}", "bold")
        command = [*PROGRAM, *arguments, "--config", str(self._config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self._console.print(done.stdout.rstrip(), markup=False, highlight=False, soft_wrap=True)
        if done.returncode:
            raise SystemExit(done.stderr)


def main() -> None:
    """The demonstration."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the backups")
    keep = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="bao-backup-demo-"))
    server: DemoServer | None = None
    manager: subprocess.Popen[bytes] | None = None
    demo = Demo(folder, Console())
    try:
        server = choose(folder)
        demo.say(f"starting {server.words}")
        server.start()
        demo.configure(server)
        manager = demo.serve()
        show(demo, server)
    finally:
        if manager is not None:
            manager.terminate()
            manager.wait(PATIENCE)
        if server is not None:
            server.end()
        if not keep:
            shutil.rmtree(folder)
    demo.say(f"the backups stay in {demo.target}" if keep else "all of it is removed again (--keep keeps it)")


def show(demo: Demo, server: DemoServer) -> None:
    """What there is to see, in order."""
    demo.say(f"bao-backup serve: a backup {SCHEDULE} into a folder, the newest {KEPT} are kept", "bold")
    demo.until("two backups are there", lambda status: status.successful_backups >= 2)
    demo.say("reading the newest one back from the folder, and proving it", "bold")
    demo.command("verify", "latest", "--quiet")
    demo.until(
        "retention has dropped one", lambda status: status.successful_backups > KEPT and not under_way(status)
    )
    demo.say("now the server is stopped in the middle of a run", "bold")
    demo.until("a run is under way", under_way, pause=0.01)
    server.break_off()
    failed = demo.until(
        "the run has failed, and is counted",
        lambda status: status.consecutive_failures > 0 and not under_way(status),
    )
    demo.say(
        f"{failed.consecutive_failures} failed: {failed.last_failure_reason}; the server comes back", "bold"
    )
    server.come_back()
    demo.until("it has recovered", lambda status: not status.consecutive_failures)
    demo.say("recovered. What there is now:", "bold")
    demo.command("list")
    demo.say(f"each .snap has its receipt beside it, in {demo.target}/default/demo")


def under_way(status: BackupStatus) -> bool:
    """Whether a run is under way."""
    return status.attempt is not None and status.attempt.under_way


if __name__ == "__main__":
    main()
