"""A `bao-backup serve` of its own process, and the commands that talk to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.manager.site import Site

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
