"""By a schedule, from a real cluster of three nodes, to a bucket and a folder, and back into a server."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.harness import client
from tests.harness.certificates import Authority
from tests.harness.process import free_ports, wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import Place
from tests.servers.program import Running, Site

pytestmark = pytest.mark.servers

EVERY = "@every 3s"


class Manager:
    """`bao-backup serve`, and what it says of its clusters."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._state = str(site.folder / "state")
        self._port = free_ports(1)[0]
        options = ["--config", str(site.documents), "--secrets", str(site.secrets), "--state", self._state]
        self.running: Running = site.begin(
            "serve", *options, "--listen", f"127.0.0.1:{self._port}", "--log-format", "json"
        )

    def status(self) -> Mapping[str, Any]:
        """`status --output json`: cluster -> what it knows of its backups; empty before there is any."""
        ended = self._site.begin("status", "--state", self._state, "--output", "json").wait()
        if ended.code != 0:
            return {}
        return {each["name"]: each["status"]["backup"] for each in ended.json["clusters"]}

    def metrics(self) -> str:
        """What Prometheus is told."""
        text = client.request("GET", f"http://127.0.0.1:{self._port}/metrics").body.decode()
        self._site.witness.saw("the metrics", text)
        return text

    def watch_runs(self) -> int:
        """Show the witness the command lines of the runs that are under way; how many there are."""
        found = 0
        for children in Path(f"/proc/{self.running.pid}/task").glob("*/children"):
            for child in children.read_text(encoding="utf-8").split():
                try:
                    line = Path(f"/proc/{child}/cmdline").read_bytes()
                except OSError:  # it has just ended
                    continue
                found += b"backup" in line
                self._site.witness.saw("command line of a run", line)
        return found


def proven(place: Place) -> list[str]:
    """The keys of the backups there, oldest first."""
    keys = set(place.visible())
    return sorted(key for key in keys if key.endswith(".snap") and f"{key}.json" in keys)


def test_scheduled_backups_bring_a_secret_back(
    full_cluster: VaultCluster, authority: Authority, site: Site, places: dict[str, Place], tmp_path: Path
) -> None:
    """Slot after slot a backup to each target; each one restores, by the server's own command line."""
    full_cluster.write_secret("precious", {"value": "worth keeping"})
    auth = site.token(full_cluster)
    for name, place in places.items():
        target = place.target(site)
        kept = {"maxCount": 2}
        site.describe(name, full_cluster, target, auth=auth, schedule=EVERY, retention=kept)
    manager = Manager(site)
    seen: set[str] = set()
    runs = 0

    def third_is_there() -> bool:
        nonlocal runs
        runs += manager.watch_runs()
        seen.update(key for place in places.values() for key in proven(place))
        return all(sum(f"/{name}/" in key for key in seen) >= 3 for name in places)

    wait_until("three backups of each", third_is_there, seconds=60)
    manager.running.signal(signal.SIGTERM)
    ended = manager.running.wait(30)
    assert ended.code == 0, ended.err
    assert runs > 0
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert "BackupCompleted" in {line.get("reason") for line in lines}
    for name, place in places.items():
        assert len(proven(place)) == 2
        assert list(place.leftovers()) == []
        last = manager.status()[name]["lastSuccessfulBackup"]
        assert last["key"] in seen | {*proven(place)}
        listed = site.run("list", name, "--output", "json").json["backups"]
        assert [each["key"] for each in listed] == proven(place)[::-1]

    folder = tmp_path / "fetched"
    folder.mkdir()
    for name in places:
        done = site.run("download", name, "latest", str(folder / f"{name}.snap"))
        assert done.code == 0, done.err
    with VaultCluster(tmp_path / "fresh", full_cluster.binary, authority=authority) as fresh:
        for name in places:
            fresh.restore(folder / f"{name}.snap", full_cluster)
            assert fresh.read_secret("precious") == {"value": "worth keeping"}
            # The second restore has to bring it back once more.
            fresh.write_secret("precious", {"value": "spoiled"})


def test_failing_slots_are_counted_and_recovered_from(
    vault_cluster: VaultCluster, site: Site, places: dict[str, Place]
) -> None:
    """While nobody leads no run starts; with a leader the next slots succeed; status and metrics say so."""
    auth = site.token(vault_cluster)
    name, place = "to-folder", places["to-folder"]
    site.describe(name, vault_cluster, place.target(site), auth=auth, schedule=EVERY)
    manager = Manager(site)
    wait_until("a first backup", lambda: len(proven(place)) == 1, seconds=30)
    for node in vault_cluster.nodes:
        vault_cluster.kill(node)
    # A run that is under way may still fail; then it is the preflight that waits for a leader.
    wait_until("it waits", lambda: bool(manager.status()[name].get("waiting")), seconds=30, every=0.3)
    assert manager.status()[name]["waiting"]["reason"] == "NoLeader"
    before = proven(place)
    vault_cluster.heal()
    wait_until("another backup", lambda: len(proven(place)) > len(before), seconds=30)
    wait_until("it says so", lambda: manager.status()[name].get("consecutiveFailures", 0) == 0, seconds=10)
    metrics = manager.metrics()
    assert f'openbao_backup_consecutive_failures{{name="{name}",namespace="default"}} 0.0' in metrics
    manager.running.signal(signal.SIGTERM)
    assert manager.running.wait(30).code == 0
