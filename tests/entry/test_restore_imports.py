"""What a restore loads in a Job: it must not wait for what it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.entry.test_imports import UNUSED
from tests.entry.world import plain_environment

RUN = """
import json, sys
from bao_backup.entry.cli import main
code = main(["restore"])
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_a_restore_by_the_environment_loads_only_what_it_uses(tmp_path: Path) -> None:
    """It looks for the backup, which is not there, and ends."""
    place = {"store": {"provider": "file", "path": str(tmp_path)}, "prefix": "default/prod"}
    settings = {
        "namespace": "default",
        "name": "prod",
        "bao": {"addresses": ["http://127.0.0.1:1"], "auth": {"method": "token", "tokenFile": "/nowhere"}},
        "wanted": {"latest": True},
        "source": place,
        "safety": place,
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env=plain_environment(RESTORE_CONFIG=json.dumps(settings)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, loaded = json.loads(done.stdout)
    assert code == 5
    assert "ObjectNotFound" in done.stderr
    assert "bao_backup.flows.restore" in loaded
    assert not UNUSED & set(loaded)
