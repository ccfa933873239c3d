"""`bao-backup serve`, `trigger` and `status`, as a person and a scraper use them."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime

import pytest
from tests.manager.serving import ask, command, serving
from tests.manager.site import SELDOM, Site

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.entry.commands.serve import serve_command

pytestmark = pytest.mark.servers  # processes of their own, several a test


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
