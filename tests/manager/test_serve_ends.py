"""How `bao-backup serve` ends, what it refuses, and what it keeps to itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.manager.serving import ask, command, serving
from tests.manager.site import Site

from bao_backup.adapters.development import DevelopmentServer

pytestmark = pytest.mark.servers  # processes of their own, several a test


# --- the end -----------------------------------------------------------------------------------


def test_waits_for_runs(site: Site, server: DevelopmentServer) -> None:
    """SIGTERM waits for a run, starts no other, stays alive meanwhile, and takes in its end."""
    server.rate = 1
    site.configure(site.document(), site.document("other"))
    with serving(site, "--grace", "60") as manager:
        site.until("both", lambda: site.row() and site.row("other"))
        site.ask()
        site.until("the stream", site.streams)
        manager.process.terminate()
        site.until("it waits", lambda: "waiting up to 60 s for 1 runs" in site.log.read_text())
        site.ask("other")
        site.until("the other to be refused", lambda: site.status("other").waiting)
        assert manager.get("/healthz")[0] == 200
        assert manager.get("/readyz")[0] == 503
        assert site.status("other").waiting.reason == "ManagerStopping"  # type: ignore[union-attr]
        server.rate = 0
        assert manager.process.wait(timeout=30) == 0
    assert site.status().successful_backups == 1
    assert len(site.backups()) == 1
    assert site.backups("other") == []
    with serving(site):
        site.until("the other, which was not lost", lambda: site.backups("other"))


@pytest.mark.parametrize("hurry", [False, True], ids=["grace", "second-signal"])
def test_aborts(site: Site, server: DevelopmentServer, hurry: bool) -> None:
    """After the grace time, or at a second signal, runs abort: nothing is visible, and that is told."""
    server.rate = 1
    site.configure(site.document())
    with serving(site, "--grace", "60" if hurry else "0.5") as manager:
        site.until("the cluster", site.row)
        site.ask()
        site.until("the stream", site.streams)
        manager.process.terminate()
        if hurry:
            site.until("it waits", lambda: "waiting up to" in site.log.read_text())
            manager.process.send_signal(signal.SIGINT)
        assert manager.process.wait(timeout=30) == 0
    assert site.files() == []
    status = site.status()
    assert status.last_failure_reason == "Interrupted"
    assert status.attempt is not None
    assert not status.attempt.under_way
    assert "no run is under way" in site.log.read_text()


# --- what must not happen ----------------------------------------------------------------------


def test_secrets(site: Site, server: DevelopmentServer) -> None:
    """The token is nowhere but in its file: not in the memory, logs, run folders, status or arguments."""
    server.rate = 1
    site.configure(site.document())
    with serving(site, "--verbose", "--log-format", "json") as manager:
        site.until("the cluster", site.row)
        site.ask()
        site.until("the stream", site.streams)
        for pid in (manager.process.pid, *site.run_pids()):
            for name in ("cmdline", "environ"):
                assert site.token.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        server.rate = 0
        site.until_settled()
        told = ask(site, "status", "--output", "json", "--events", "200").stdout + manager.get("/metrics")[1]
        assert manager.end() == 0
    assert site.token not in told
    files = [path for path in (*site.state.rglob("*"), site.log, *site.store.rglob("*")) if path.is_file()]
    assert len(files) >= 6
    for path in files:
        assert site.token.encode() not in path.read_bytes(), path
    assert len(site.backups()) == 1


def test_own_environment(site: Site) -> None:
    """What configures the manager by variables does not reach its runs, which have documents of their own."""
    site.configure(site.document(), site.document("other"))
    variables = {
        "BAO_BACKUP_CONFIG": str(site.config),
        "BAO_BACKUP_SECRETS": "/nowhere",
        "BACKUP_KEY": "default/bao/wrong.snap",
        "BACKUP_CONFIG": "{}",
        "CLUSTER_NAME": "wrong",
    }
    with serving(site, variables=variables):
        site.until("both", lambda: site.row() and site.row("other"))
        done = ask(site, "trigger", "--wait", "bao")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"default/bao/{site.backups()[0]}"


def test_where_modules_come_from(site: Site, tmp_path: Path) -> None:
    """A run takes its modules from where they are installed, not from the folder it was started in."""
    (tmp_path / "yaml.py").write_text("raise SystemExit(99)")
    (tmp_path / "msgspec.py").write_text("raise SystemExit(99)")
    site.configure(site.document())
    line = [sys.executable, "-P", "-m", "bao_backup", "serve", "--config", site.config, "--state", site.state]
    line += ["--secrets", site.secrets, "--listen", "127.0.0.1:0"]
    with site.log.open("wb") as log:
        process = subprocess.Popen(list(map(str, line)), cwd=tmp_path, stdout=log, stderr=log)
    try:
        site.until("the cluster", site.row)
        site.ask()
        site.until("the backup", site.backups)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config", "/nowhere"], "there is no such file or folder"),
        (["--state", "/dev/null/state"], "not a directory"),
        (["--listen", "nowhere"], "expected HOST:PORT"),
        (["--listen", "192.0.2.1:9180"], "cannot assign requested address"),
    ],
)
def test_wrong_usage(site: Site, options: list[str], words: str) -> None:
    """What makes a start impossible is one line, and exit code 1."""
    line = command(
        "serve", "--config", site.config, "--state", site.state, "--listen", "127.0.0.1:0", *options
    )
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr.lower().replace("host:port", "HOST:PORT")


def test_second_manager(site: Site) -> None:
    """A second manager with the same state folder is refused, and the first goes on."""
    with serving(site) as manager:
        line = command("serve", "--config", site.config, "--state", site.state, "--listen", "127.0.0.1:0")
        done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "AnotherManager" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert manager.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("what", "mode", "words"),
    [
        ("state", 0o555, "permission denied"),
        ("state", 0o500, "not readable"),
        ("config", 0o000, "not readable"),
    ],
)
def test_permissions(site: Site, what: str, mode: int, words: str) -> None:
    """A folder that the user may not use is one clear line, and exit code 1; root becomes nobody for it."""
    site.configure(site.document())
    site.state.mkdir()
    folder = {"state": site.state, "config": site.config}[what]
    code = f"import sys; sys.path[:] = {sys.path!r}; import os, bao_backup.entry.commands.serve;"
    code += "from bao_backup.entry.cli import main;"
    code += "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534)); sys.exit(main())"
    line = [sys.executable, "-c", code, "serve", "--config", site.config, "--state", site.state]
    for parent in site.config.parents:
        if "pytest" in str(parent):
            parent.chmod(0o755)
    folder.chmod(mode)
    try:
        done = subprocess.run(list(map(str, line)), check=False, capture_output=True, text=True, timeout=60)
    finally:
        folder.chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr.lower()
