"""What the executor loads: a run in a Job must not wait for what it does not use."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.entry.world import plain_environment

#: What a run that the environment configures has no use for.
UNUSED = {
    "asyncio",
    "bao_backup.adapters.development",
    "bao_backup.adapters.local",
    "bao_backup.adapters.stores.azure",
    "bao_backup.adapters.stores.azure_identity",
    "bao_backup.adapters.stores.gcs",
    "bao_backup.adapters.stores.gcs_identity",
    "bao_backup.adapters.stores.s3_services",
    "bao_backup.core.schedule",
    "bao_backup.core.spec",
    "cronsim",
    "difflib",
    "prometheus_client",
    "rich",
    "sqlite3",
    "traceback",
    "yaml",
    "zoneinfo",
}
RUN = """
import json, sys
from bao_backup.entry.cli import main
loaded_by_the_command_line = sorted(sys.modules)
code = main(["backup"])
print(json.dumps([code, sorted(sys.modules), loaded_by_the_command_line]))
"""


def test_a_run_by_the_environment_loads_only_what_it_uses() -> None:
    """It goes all the way to the store, which is not there, and ends."""
    settings = {
        "store": {"provider": "file", "path": "/nowhere"},
        "bao": {"addresses": ["http://127.0.0.1:1"], "auth": {"method": "token", "tokenFile": "/nowhere"}},
    }
    environment = plain_environment(
        CLUSTER_NAMESPACE="default", CLUSTER_NAME="prod", BACKUP_CONFIG=json.dumps(settings)
    )
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    code, loaded, at_first = json.loads(done.stdout)
    assert code == 5
    assert "BucketNotFound" in done.stderr
    assert "bao_backup.flows.backup" in loaded
    assert not UNUSED & set(loaded)
    # Ctrl-C in the first moments is answered because nothing large is loaded before.
    assert not {"click", "msgspec"} & set(at_first)
