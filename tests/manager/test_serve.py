"""`bao-backup serve`, `trigger` and `status`, as a person and a scraper use them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.manager.site import SELDOM, Site

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.entry.commands.serve import serve_command

pytestmark = pytest.mark.servers  # processes of their own, several a test
LABELS = (("name", "bao"), ("namespace", "default"))


def command(*arguments: str | Path) -> list[str]:
    """A command line of ours."""
    return [sys.executable, "-m", "bao_backup", *map(str, arguments)]


def ask(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that talks to the manager."""
    name, *rest = arguments
    return subprocess.run(
        command(name, "--state", site.state, *rest), check=False, capture_output=True, text=True, timeout=60
    )


class Serving:
    """A `bao-backup serve` of its own process."""

    def __init__(self, site: Site, process: subprocess.Popen[bytes]) -> None:
        self.site = site
        self.process = process
        self.url = ""

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """The values of the cluster's metrics."""
        status, body = self.get("/metrics")
        assert status == 200
        samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
        return {
            sample.name: sample.value for sample in samples if tuple(sorted(sample.labels.items())) == LABELS
        }

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)


@contextmanager
def serving(site: Site, *options: str, variables: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """A manager that manages."""
    line = command("serve", "--config", site.config, "--secrets", site.secrets, "--state", site.state)
    line += ["--listen", "127.0.0.1:0", *options]
    with site.log.open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **(variables or {})})
    try:
        serving = Serving(site, process)
        site.until("it manages", lambda: process.poll() is not None or "managing" in site.log.read_text())
        found = re.search(r"http://127\.0\.0\.1:\d+", site.log.read_text())
        assert found is not None, site.log.read_text()
        serving.url = found[0]
        yield serving
    finally:
        process.kill()
        process.wait()


# --- probes and metrics ------------------------------------------------------------------------


def test_loopback() -> None:
    """Probes and metrics are for this machine only, unless somebody says otherwise."""
    (listen,) = (option for option in serve_command.params if option.name == "listen")
    assert str(listen.default).startswith("127.0.0.1:")


def test_probes(site: Site) -> None:
    """It is alive and ready when it manages, also with an empty folder; other pages say what there is."""
    with serving(site) as manager:
        assert manager.get("/healthz") == (200, "ok\n")
        assert manager.get("/readyz") == (200, "ready\n")
        status, body = manager.get("/")
        assert status == 404
        assert "/metrics" in body
        assert "managing 0 clusters" in site.log.read_text()
        site.configure(site.document())
        site.until("the new document", site.row)
        assert manager.end() == 0


def test_metrics(site: Site, server: DevelopmentServer) -> None:
    """Each metric of backups is recorded, at each stage of a cluster's life."""
    server.rate = 1
    site.configure(site.document(retention={"maxCount": 1}))
    with serving(site) as manager:
        site.until("the cluster", lambda: site.status().next_scheduled_backup)
        fresh = manager.metrics()
        assert fresh["openbao_backup_state"] == 0
        assert fresh["openbao_backup_success_total"] == fresh["openbao_backup_failure_total"] == 0
        assert fresh["openbao_backup_next_scheduled_timestamp"] > 1.7e9
        assert "openbao_backup_last_success_timestamp" not in fresh

        assert ask(site, "trigger", "bao").returncode == 0
        site.until("the stream", site.streams)
        assert manager.metrics()["openbao_backup_in_progress"] == 1
        assert manager.metrics()["openbao_backup_state"] == 3

        server.rate = 0
        site.until_settled()
        assert ask(site, "trigger", "bao", "--wait").returncode == 0
        done = manager.metrics()
        last = site.status().last_successful_backup
        assert last is not None
        assert done["openbao_backup_last_success_timestamp"] == pytest.approx(last.time.timestamp())
        assert done["openbao_backup_last_size_bytes"] == last.size > 1_000_000
        assert 0 < done["openbao_backup_last_duration_seconds"] < 20
        assert done["openbao_backup_last_attempt_timestamp"] <= last.time.timestamp()
        assert done["openbao_backup_success_total"] == 2
        assert done["openbao_backup_retention_deleted_total"] == 1
        assert done["openbao_backup_in_progress"] == 0
        assert done["openbao_backup_state"] == 1
        assert len(site.backups()) == 1

        server.cluster.revoke(site.token)
        assert ask(site, "trigger", "bao", "--wait").returncode in {2, 4}
        failed = manager.metrics()
        assert failed["openbao_backup_failure_total"] == 1
        assert failed["openbao_backup_consecutive_failures"] == 1
        assert failed["openbao_backup_state"] == 2
        assert failed["openbao_backup_success_total"] == 2


def test_log(site: Site) -> None:
    """The log has a line for each event: as text, or as JSON with time, level and message."""
    site.configure(site.document(schedule="61 * * * *"))
    with serving(site, "--log-format", "json") as manager:
        site.until("the complaint", lambda: "InvalidDocument" in site.log.read_text())
        assert manager.end() == 0
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    for line in lines:
        assert datetime.fromisoformat(line["time"])
        assert line["level"] in {"info", "warning"}
        assert line["message"]
    wrong = next(line for line in lines if line.get("reason") == "InvalidDocument")
    assert wrong["cluster"] == "default/bao"
    assert wrong["level"] == "warning"
    assert "spec.backup.schedule" in wrong["message"]


# --- trigger and status ------------------------------------------------------------------------


def test_trigger(site: Site, server: DevelopmentServer) -> None:
    """`trigger --wait` prints the key of its own run, or ends as that run did; two at once are two runs."""
    site.configure(site.document(schedule="@every 2s", historyLimit=0))
    with serving(site):
        site.until("a scheduled backup", lambda: site.status().successful_backups)
        first = subprocess.Popen(
            command("trigger", "--state", site.state, "--wait", "default/bao"),
            stdout=subprocess.PIPE,
            text=True,
        )
        second = ask(site, "trigger", "--wait", "bao")
        keys = {first.communicate(timeout=60)[0].strip(), second.stdout.strip()}
        assert (first.returncode, second.returncode, len(keys)) == (0, 0, 2)
        for key in keys:
            assert json.loads((site.store / f"{key}.json").read_text())["trigger"] == "Manual"
        server.cluster.revoke(site.token)
        refused = ask(site, "trigger", "--wait", "bao")
        assert refused.returncode in {2, 4}
        assert "Denied" in refused.stderr or "LoginFailed" in refused.stderr
        assert len(refused.stderr.splitlines()) == 2
        site.configure(site.document())
        site.until("the last run", lambda: SELDOM in site.row().document and not site.row().lock)  # type: ignore[union-attr]
        server.cluster.seal(server.node)
        late = ask(site, "trigger", "--wait", "--timeout", "2", "bao")
        assert late.returncode == 7
        assert "sealed" in late.stderr


def test_trigger_without_a_manager(site: Site) -> None:
    """Without a manager, a state or such a cluster, `trigger` says so and asks for nothing."""
    nothing = ask(site, "trigger", "bao")
    assert (nothing.returncode, "there is none" in nothing.stderr) == (1, True)
    site.configure(site.document())
    with serving(site):
        unknown = ask(site, "trigger", "other")
        assert (unknown.returncode, "the manager knows default/bao" in unknown.stderr) == (1, True)
    alone = ask(site, "trigger", "bao")
    assert (alone.returncode, "no manager runs" in alone.stderr) == (1, True)
    row = site.row()
    assert row is not None


def test_status(site: Site) -> None:
    """`status` shows each cluster, what is wrong with documents and files, and whether a manager runs."""
    site.configure(
        site.document(schedule="0 2 * * *", suspend=True), site.document("other", schedule="61 * * * *")
    )
    (site.config / "broken.yaml").write_text("a: [")
    with serving(site):
        site.until("both", lambda: site.status("other").conditions and site.status().conditions)
        table = ask(site, "status", "--events", "5")
        assert table.returncode == 0
        lines = table.stdout.splitlines()
        assert re.match(r"default/bao +Suspended +never +- +0 +-", lines[1])
        assert re.match(r"default/other +Failing +never .*spec.backup.schedule", lines[2])
        assert "InvalidDocument" in lines[3]
        assert "broken.yaml" in table.stderr
        told = json.loads(ask(site, "status", "--output", "json").stdout)
        assert told["managerRuns"]
        assert [cluster["name"] for cluster in told["clusters"]] == ["bao", "other"]
        assert told["clusters"][0]["status"]["backup"]["conditions"][0]["type"] == "Suspended"
    after = ask(site, "status")
    assert after.returncode == 0
    assert "no manager runs" in after.stderr


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
