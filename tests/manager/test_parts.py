"""Smaller promises of the manager's parts: probes, log, processes that do not end."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contracts.runtimes import a_run
from tests.manager.site import UID, Site

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.adapters.local.database import DATABASE, SCHEMA_VERSION, Database
from bao_backup.adapters.local.executors import KILL_AFTER
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.observed import ForgetRun, Health, RunState, StartRun
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.status import BackupStatus, Condition
from bao_backup.entry.logs import Log
from bao_backup.entry.metrics import ClusterFigures, RestoreFigures, exposition
from bao_backup.entry.serving import figures_of
from bao_backup.entry.web import serving_web


class SetClock:
    """Both its times are set by hand."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds


def get(url: str) -> tuple[int, str]:
    """Status and body of a page."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


# --- probes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alive", "ready", "answers"),
    [(True, True, (200, 200)), (True, False, (200, 503)), (False, False, (503, 503))],
)
def test_probes(tmp_path: Path, alive: bool, ready: bool, answers: tuple[int, int]) -> None:
    """Each probe says what it was asked for, and no more."""
    with serving_web(
        "127.0.0.1:0",
        alive=lambda: alive,
        ready=lambda: ready,
        figures=lambda: figures_of(tmp_path / DATABASE),
    ) as address:
        assert (get(f"http://{address}/healthz")[0], get(f"http://{address}/readyz?verbose")[0]) == answers


def test_metrics_of_a_newer_version(tmp_path: Path) -> None:
    """Metrics that cannot be read are an error of the scrape, in words, not a page without figures."""
    file = tmp_path / DATABASE
    with closing(Database(file)) as database:
        database.change(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with serving_web(
        "127.0.0.1:0", alive=lambda: True, ready=lambda: True, figures=lambda: figures_of(file)
    ) as address:
        status, body = get(f"http://{address}/metrics")
    assert status == 500
    assert "newer" in body


def test_metrics_of_an_odd_status() -> None:
    """A duration that somebody else wrote is left out; everything else is told."""
    odd = ClusterFigures(
        namespace="a",
        name="odd",
        status=BackupStatus(last_backup_duration="2 minutes", successful_backups=1),
        succeeded=1,
        failed=0,
        dropped=0,
    )
    told = exposition(
        lambda: [odd, odd._replace(name="other", status=BackupStatus(last_backup_duration="5s"))]
    )
    assert b'openbao_backup_last_duration_seconds{name="other",namespace="a"} 5.0' in told
    assert b'openbao_backup_last_duration_seconds{name="odd"' not in told
    assert b'openbao_backup_success_total{name="odd",namespace="a"} 1.0' in told


def test_metrics_of_restores() -> None:
    """Unknown and sealed are failures, and told apart; where nobody hears of restores nothing is said."""
    without = ClusterFigures(
        namespace="a", name="without", status=BackupStatus(), succeeded=0, failed=0, dropped=0
    )
    figures = RestoreFigures(succeeded=3, failed=4, unknown=2, sealed=1, last_duration=timedelta(seconds=90))
    told = exposition(
        lambda: [
            without,
            without._replace(name="some", restores=figures),
            without._replace(name="none", restores=RestoreFigures(0, 0, 0, 0)),
        ]
    ).decode()
    values = dict(line.rsplit(" ", 1) for line in told.splitlines() if line.startswith("openbao_restore_"))
    assert values == {
        'openbao_restore_duration_seconds{name="some",namespace="a"}': "90.0",
        'openbao_restore_total{name="some",namespace="a"}': "7.0",
        'openbao_restore_success_total{name="some",namespace="a"}': "3.0",
        'openbao_restore_failure_total{name="some",namespace="a"}': "4.0",
        'openbao_restore_unknown_total{name="some",namespace="a"}': "2.0",
        'openbao_restore_sealed_total{name="some",namespace="a"}': "1.0",
    } | {
        f'openbao_restore_{what}total{{name="none",namespace="a"}}': "0.0"
        for what in ("", "success_", "failure_", "unknown_", "sealed_")
    }


@pytest.mark.parametrize(("verdict", "value"), [("True", "1.0"), ("False", "0.0"), ("Unknown", None)])
def test_metric_of_a_check(verdict: str, value: str | None) -> None:
    """1 or 0, and nothing while a check is under way, or says nothing of the configuration."""
    condition = Condition(
        type="ConfigurationProven",
        status=verdict,
        reason="x",
        message="x",
        last_transition_time=datetime(2026, 11, 22, tzinfo=UTC),
    )
    cluster = ClusterFigures(
        namespace="a",
        name="b",
        status=BackupStatus(conditions=(condition,)),
        succeeded=0,
        failed=0,
        dropped=0,
    )
    lines = exposition(lambda: [cluster, cluster._replace(name="unchecked", status=BackupStatus())])
    told = [each for each in lines.decode().splitlines() if each.startswith("openbao_backup_configuration")]
    name = 'openbao_backup_configuration_proven{name="b",namespace="a"}'
    assert told == ([f"{name} {value}"] if value else [])


def test_port_in_use(tmp_path: Path) -> None:
    """A port that somebody else has is an error that says so."""
    file = tmp_path / DATABASE
    with (
        serving_web(
            "127.0.0.1:0", alive=lambda: True, ready=lambda: True, figures=lambda: figures_of(file)
        ) as address,
        pytest.raises(ConfigurationError) as caught,
        serving_web(address, alive=lambda: True, ready=lambda: True, figures=lambda: figures_of(file)),
    ):
        pass
    assert address in caught.value.doing
    assert "in use" in caught.value.why


# --- log ---------------------------------------------------------------------------------------


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_log_lines() -> None:
    """Whatever is said is one line: as text, or as JSON that holds each part."""
    text, lines = io.StringIO(), io.StringIO()
    for form, stream in (("text", text), ("json", lines)):
        Log(form, stream=stream).say("two\nlines \x1b[31m", cluster="default/bao", reason="Why", warning=True)
    assert len(text.getvalue().splitlines()) == 1
    assert text.getvalue().split(" ", 1)[1] == "WARNING default/bao Why: two lines [31m\n"
    said = json.loads(lines.getvalue())
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "warning",
        "cluster": "default/bao",
        "reason": "Why",
        "message": "two lines [31m",
    }


def test_log_on_a_full_disk() -> None:
    """A log that cannot be written stops nothing."""
    Log("text", stream=FullDisk()).say("it began")


def test_details() -> None:
    """With --verbose, what lies behind an error is logged with it."""
    error = InternalError("manage default/bao", "KeyError")
    error.__cause__ = KeyError("behind")
    quiet, verbose = io.StringIO(), io.StringIO()
    Log("text", stream=quiet).say(error.message, error=error)
    Log("text", stream=verbose, verbose=True).say(error.message, error=error)
    assert "behind" not in quiet.getvalue()
    assert "KeyError: 'behind'" in verbose.getvalue()


# --- a run that does not end -------------------------------------------------------------------


def test_late_run(site: Site, server: DevelopmentServer) -> None:
    """A run is killed a minute after its deadline, by a clock that nobody sets; setting one kills nothing."""
    server.rate = 1
    clock = SetClock()

    def environment(document: OpenBaoCluster, run: StartRun) -> Mapping[str, str]:
        settings = settings_from_document(document, str(site.secrets))
        return to_environment(replace(settings, key=run.key, slot=run.slot))

    runtime = LocalRuntime(
        site.state,
        clock=clock,
        check=lambda _: None,
        environment=environment,
        health=lambda _: Health(ready=True),
        tell=lambda _, __: None,
    )
    with closing(runtime):
        runtime.take_documents([site.document(activeDeadlineSeconds=3600)], [])
        asyncio.run(runtime.start(UID, a_run()))
        site.until("the stream", site.streams)
        assert runtime.poll() == set()
        clock.time += timedelta(days=400)
        clock.seconds += 3600 + KILL_AFTER - 1
        assert runtime.poll() == set()
        assert runtime.executors.folder_of(UID, a_run().name).is_claimed()
        clock.seconds += 2
        site.until("its end", runtime.poll)
        (run,) = asyncio.run(runtime.observe(UID))[0].runs
        assert run.state is RunState.FINISHED
        assert run.result is not None
        assert run.result.reason == "NoResult"
        assert "SIGKILL" in run.result.message
        asyncio.run(runtime.forget(UID, ForgetRun(name=a_run().name)))
    assert site.state.stat().st_mode & 0o077 == 0
    assert site.backups() == []


def test_pid_of_another(site: Site, server: DevelopmentServer) -> None:
    """A pid that a dead run left behind is never taken for the run's process."""
    assert server.address
    runtime = LocalRuntime(
        site.state,
        clock=SetClock(),
        check=lambda _: None,
        environment=lambda _, __: {},
        health=lambda _: Health(ready=True),
        tell=lambda _, __: None,
    )
    with closing(runtime):
        folder = runtime.executors.folder_of(UID, a_run().name)
        folder.path.mkdir(parents=True)
        (folder.path / "claim").write_text("1")
        assert not folder.is_claimed()
        assert folder.claimed_by() is None
        claim = folder.claim()
        assert claim is not None
        assert folder.is_claimed()
        assert folder.claimed_by() is None
        assert folder.claim() is None
        io.FileIO(claim).close()
        assert not folder.is_claimed()
