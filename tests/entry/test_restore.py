"""`restore` by command, in this process, on the development server: choices, answers, exit codes."""

from __future__ import annotations

import functools
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.entry.conftest import Command
from tests.entry.restore_world import NEW, OLD, RestoreWorld
from tests.entry.world import World

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.holding import hold
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted, to_environment
from bao_backup.core.status import LOCK_HOLDER, OperationLock
from bao_backup.core.storage import StoreSettings
from bao_backup.entry.commands import restore
from bao_backup.entry.restore_settings import Choice, settings_of
from bao_backup.entry.restoring import RestorePorts, run_restore
from bao_backup.entry.source import Source, load_settings
from bao_backup.flows.restore_server import RestorePatience

QUICK = RestorePorts(patience=RestorePatience(pause=0.01, leader_wait=0.3, settle_wait=30))
IMPATIENT = RestorePorts(patience=RestorePatience(pause=0.01, settle_wait=0.3))


@pytest.fixture
def site(
    world: World, server: DevelopmentServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> RestoreWorld:
    """New data at the server, old data in the folder; nobody waits for long."""
    monkeypatch.setenv("XDG_STATE_HOME", str(world.folder / "state-home"))
    monkeypatch.setenv("STATE_DIRECTORY", str(world.folder / "state"))
    monkeypatch.setattr(restore, "run_restore", functools.partial(run_restore, ports=QUICK))
    return RestoreWorld(world, server, command)


@pytest.fixture
def fresh() -> Iterator[DevelopmentServer]:
    """A new cluster with other keys."""
    with DevelopmentServer(DevelopmentCluster()) as server:
        yield server


# --- which backup --------------------------------------------------------------------------------


def choices(site: RestoreWorld) -> dict[str, list[str]]:
    """Each way to say which backup is meant."""
    return {
        "whole key": ["--key", site.key],
        "last part": ["--key", Path(site.key).name],
        "latest": ["--latest"],
        "before": ["--before", "0s"],
        "file": ["--from", str(site.file())],
    }


@pytest.mark.parametrize("how", ["whole key", "last part", "latest", "before", "file"])
def test_the_old_data_is_back_and_the_new_is_gone(site: RestoreWorld, how: str) -> None:
    """However it is named; what was there is a backup itself, and the last line tells how to use it."""
    answer = site.command("restore", *choices(site)[how], "--yes")
    assert answer.code == 0, answer.err
    assert site.data == {"x": OLD}
    (safety,) = site.safety_keys()
    lines = answer.out.splitlines()
    restored = str(site.file()) if how == "file" else site.key
    assert lines[0] == f"{restored} is restored; {site.server.address} leads with its data"
    back = lines[-1].removeprefix("the way back: ")
    assert shlex.split(back)[:4] == ["bao-backup", "restore", "--key", safety]


@pytest.mark.parametrize("deadline", ["9s", "soon", "169h"])
def test_a_deadline_that_is_none(site: RestoreWorld, deadline: str) -> None:
    """Before anything is read."""
    answer = site.command("restore", "--latest", "--yes", "--deadline", deadline)
    assert (answer.code, site.safety_keys()) == (1, [])


def test_a_deadline_is_chosen(site: RestoreWorld) -> None:
    """And the way back has it, too."""
    answer = site.command("restore", "--latest", "--yes", "--deadline", "12h")
    assert answer.code == 0, answer.err
    assert "--deadline 12h" in answer.out.splitlines()[-1]
    choice = Choice(latest=True, deadline="1h30m", to=(site.server.address,), token_file=Path("token"))
    assert settings_of(Source(target=f"file://{site.world.target}"), choice).deadline_seconds == 5400


@pytest.mark.parametrize("content", ["", "s.one s.two"])
@pytest.mark.parametrize("document", [True, False])
def test_a_token_file_without_a_token(site: RestoreWorld, document: bool, content: str) -> None:
    """The error says to correct the option, which named the file, and not a document."""
    file = site.token()
    file.write_text(content)
    where = ["--to", site.server.address, "--token-file", str(file)]
    options = ["restore", "--latest", *where, "--yes"]
    if document:
        answer = site.command(*options)
    else:
        answer = site.command(*options, "--target", f"file://{site.world.target}", config=None)
    assert answer.code == 2, answer.err
    assert "or correct --token-file" in answer.err
    assert "spec.backup.auth" not in answer.err
    assert site.data == {"x": NEW, "y": NEW}


def test_the_way_back_is_a_command_that_works(site: RestoreWorld) -> None:
    """As it is printed, with a yes."""
    answer = site.command("restore", "--latest", "--yes")
    back = shlex.split(answer.out.splitlines()[-1].removeprefix("the way back: "))
    assert site.command(*back[1:], "--yes", config=None).code == 0
    assert site.data == {"x": NEW, "y": NEW}


def test_what_is_overwritten_by_what_is_shown(site: RestoreWorld) -> None:
    """Cluster, leader, seal; key, age, size, digest, counts; where the safety backup goes."""
    said = site.command("restore", "--latest", "--yes").err
    body = (site.world.target / site.key).read_bytes()
    for words in (
        "This restore overwrites everything in",
        f"cluster          default/prod ({site.cluster.name})",
        f"cluster id       {site.cluster.id}",
        f"leader           {site.server.address}, of 1 node",
        "version          2.4.4",
        "seal             shamir, 1 of 1 shares",
        f"key              file://{site.world.target}/{site.key}",
        f"({len(body)} bytes)",
        "proven just now",
        "3 sys/policy, ",
        f"First what is there is backed up to file://{site.world.target}/default/prod, then",
    ):
        assert words in said
    assert " ago" in said or ", now" in said


def test_json_is_the_result_and_nothing_else(site: RestoreWorld) -> None:
    """On standard output; also where it failed."""
    answer = site.command("restore", "--latest", "--yes", "--output", "json")
    assert (answer.code, answer.json["outcome"], answer.json["key"]) == (0, "Succeeded", site.key)
    assert [answer.json["safetyKey"]] == site.safety_keys()
    failed = site.command("restore", "--key", "nothing", "--yes", "--output", "json")
    assert (failed.code, failed.json["reason"], failed.json["exitCode"]) == (5, "ObjectNotFound", 5)


def test_no_secret_is_told(site: RestoreWorld) -> None:
    """Whatever is said."""
    secrets = site.secrets()
    told = [site.command("restore", "--latest", "--yes", "--verbose", "--output", "json")]
    told.append(
        site.command("restore", "--latest", "--yes", "--token-file", str(site.token()), "--output", "json")
    )
    for answer in told:
        assert answer.code == 0
        assert not [secret for secret in secrets if secret in answer.out + answer.err]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("", "says which backup is meant, and none of them is given"),
        ("--latest --key x", "--key and --latest are given"),
        ("--before 36h --from x", "--before and --from are given"),
        ("--before noon", "read the time 'noon'"),
        ("--latest --to prod", "it is not a URL like https://host:8200"),
        ("--latest --credentials x", "--credentials is for --target alone"),
        ("--from x --target file:///tmp", "both --from and --target say where it is"),
    ],
)
def test_wrong_usage(site: RestoreWorld, arguments: str, why: str) -> None:
    """Exit 1 and one line; the server hears nothing."""
    answer = site.command("restore", *arguments.split(), "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint
    assert site.safety_keys() == []


def test_without_a_terminal_nobody_is_asked(site: RestoreWorld) -> None:
    """Exit 1 before anything."""
    answer = site.command("restore", "--latest")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines() == [answer.complaint]
    assert "there is no terminal to ask on; run it on a terminal, or say yes" in answer.complaint
    assert site.data == {"x": NEW, "y": NEW}


def test_one_until_a_time(site: RestoreWorld) -> None:
    """There is none so early: it says what there is instead."""
    answer = site.command("restore", "--before", "1h", "--yes")
    assert answer.code == 5
    assert "1 later one" in answer.complaint


@pytest.mark.parametrize(
    "options", [["--cluster", "other"], ["--force"], ["--expect-sha256", "0"], ["--yes"]]
)
def test_an_option_that_would_not_count_in_a_job_is_refused(
    site: RestoreWorld, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """Nobody would be asked, and another cluster than the named one would be overwritten."""
    for name, value in to_environment(job(site)).items():
        monkeypatch.setenv(name, value)
    answer = site.command("restore", *options, config=None)
    assert (answer.code, f"RESTORE_CONFIG is set, and {options[0]} given" in answer.complaint) == (1, True)
    assert site.data == {"x": NEW, "y": NEW}


@pytest.mark.parametrize("option", ["--expect-sha256", "--expect-version", "--expect-cluster-id", "--before"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_expectation_that_is_empty_is_none(site: RestoreWorld, option: str, value: str) -> None:
    """As a variable that is not set leaves it: what a person wants checked is not left unchecked."""
    answer = site.command("restore", "--latest", "--yes", option, value)
    assert (answer.code, f"{option} is empty" in answer.complaint) == (1, True)
    assert site.command("restore", "--latest", "--yes", "--expect-sha256", "sha256:").code == 1
    assert site.data == {"x": NEW, "y": NEW}


def test_a_date_is_its_beginning(site: RestoreWorld) -> None:
    """A backup of that day is not before it."""
    day = Path(site.key).name[:10]
    assert site.command("restore", "--before", day, "--yes").code == 5


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "arguments", "code", "reason"),
    [
        ("", "--latest --expect-sha256 sha256:00", 6, "BackupUnexpected"),
        ("", "--latest --expect-version 1.0", 6, "BackupUnexpected"),
        ("", "--latest --expect-cluster-id x", 6, "BackupUnexpected"),
        ("password", "--latest", 2, "LoginFailed"),
        ("user", "--latest", 4, "RestoreDenied"),
        ("server", "--latest", 3, "NoLeader"),
        ("truncate", "--latest", 6, "ArchiveTruncated"),
        ("remove", "--latest", 5, "ObjectNotFound"),
        ("foreign", "--latest", 4, "RestoreRefused"),
        ("foreign", "--latest --force", 4, "RestoreSealed"),
        ("slow", "--latest", 9, "RestoreUnknown"),
    ],
)
def test_exit_codes(
    site: RestoreWorld,
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
    arguments: str,
    code: int,
    reason: str,
) -> None:
    """Each failure has its own, and one line that says what to do."""
    body = site.world.target / site.key
    if spoil == "password":
        (site.world.folder / "secrets" / "login" / "password").write_text("wrong")
    if spoil == "user":
        site.login("backup")
    if spoil == "server":
        site.server.stop()
    if spoil == "truncate":
        body.write_bytes(body.read_bytes()[:-30])
    if spoil == "remove":
        body.with_name(f"{body.name}.json").unlink()
    if spoil == "foreign":
        site.cluster.barrier = DevelopmentCluster().barrier
    if spoil == "slow":
        site.cluster.apply_seconds = 1.5
        monkeypatch.setattr(restore, "run_restore", functools.partial(run_restore, ports=IMPATIENT))
    answer = site.command("restore", *arguments.split(), "--yes")
    assert answer.code == code
    assert answer.complaint.startswith(f"bao-backup: {reason}: ")
    assert answer.out == ""
    if reason in {"RestoreSealed", "RestoreUnknown"}:
        (safety,) = site.safety_keys()
        *_, before, back, following = answer.err.splitlines()
        assert before.startswith(f"what was there before, the cluster {site.cluster.name}, is in {safety}, ")
        assert back.startswith(f"the way back: bao-backup restore --key {safety} ")
        assert following.startswith("next: "), "what to do now is the last that is read"
        assert answer.complaint.endswith(following.removeprefix("next: "))
    elif reason == "RestoreRefused":
        assert "nothing was restored; what is there was backed up before, as" in answer.err
    else:
        assert site.safety_keys() == []
    site.cluster.settled.wait(10)


def test_without_a_safety_backup_there_is_no_way_back(site: RestoreWorld) -> None:
    """It is said before and after."""
    answer = site.command("restore", "--latest", "--yes", "--no-safety-backup")
    assert answer.code == 0
    assert "What is there is NOT backed up first: there is no way back." in answer.err
    assert site.safety_keys() == []
    assert "the way back" not in answer.out


# --- to where ------------------------------------------------------------------------------------


def test_into_another_server_by_the_document(site: RestoreWorld, fresh: DevelopmentServer) -> None:
    """Refused without force; with it the old keys open it, and the old data is there."""
    token = site.world.folder / "new-token"
    token.write_text(fresh.cluster.root_token)
    options = ["--latest", "--yes", "--to", fresh.address, "--token-file", str(token)]
    answer = site.command("restore", *options)
    assert (answer.code, "RestoreRefused" in answer.complaint) == (4, True)
    answer = site.command("restore", *options, "--force")
    assert (answer.code, "RestoreSealed" in answer.complaint) == (4, True)
    assert "unseal keys of the time of the backup" in answer.complaint
    assert fresh.cluster.unseal(fresh.node, site.cluster.unseal_key)
    assert {name: dict(secret.data) for name, secret in fresh.cluster.secrets.items()} == {"x": OLD}
    assert site.data == {"x": NEW, "y": NEW}, "the cluster of the document is as it was"


@pytest.mark.parametrize("named", ["", "default/prod"])
def test_without_any_document(site: RestoreWorld, named: str) -> None:
    """The bucket is left, and a server with a token."""
    site.world.config.unlink()
    options = ["--target", f"file://{site.world.target}", "--to", site.server.address]
    cluster = ["--cluster", named] if named else []
    answer = site.command(
        "restore", "--latest", *options, *cluster, "--token-file", str(site.token()), "--yes", config=None
    )
    assert answer.code == 0, answer.err
    assert site.data == {"x": OLD}
    (safety,) = site.safety_keys()
    back = shlex.split(answer.out.splitlines()[-1].removeprefix("the way back: "))
    assert back == [
        *["bao-backup", "restore", "--key", safety, "--target", f"file://{site.world.target}"],
        *["--cluster", "default/prod", "--to", site.server.address, "--token-file", str(site.token())],
    ]
    needed = f"the way back needs a token that the restored data knows: put it into {site.token()}"
    assert answer.out.splitlines()[-2] == needed
    site.token()  # the root token is the snapshot's now: the same here
    assert site.command(*back[1:], "--yes", config=None).code == 0
    assert site.data == {"x": NEW, "y": NEW}


def test_a_whole_key_names_its_cluster(site: RestoreWorld) -> None:
    """Where the target has several, and none is named."""
    other = site.world.target / "team" / "other" / Path(site.key).name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x")
    options = ["--target", f"file://{site.world.target}", "--to", site.server.address]
    options += ["--token-file", str(site.token()), "--yes"]
    answer = site.command("restore", "--latest", *options, config=None)
    assert (answer.code, "there are default/prod, team/other" in answer.complaint) == (1, True)
    assert site.command("restore", "--key", site.key, *options, config=None).code == 0
    assert site.data == {"x": OLD}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--latest", "needs --config FILE, or --target URL and --to URL and --token-file FILE"),
        ("--latest --target file:///tmp", "needs --to URL and --token-file FILE"),
        ("--from x --to http://127.0.0.1:1 --token-file x", "no place for a backup of what is there"),
        ("--key x/y --target file:///tmp --to http://127.0.0.1:1 --token-file x", "does not name a cluster"),
    ],
)
def test_too_little_without_a_document(site: RestoreWorld, arguments: str, why: str) -> None:
    """Exit 1, with what is missing."""
    answer = site.command("restore", *arguments.split(), "--yes", config=None)
    assert answer.code == 1
    assert why in answer.complaint


@pytest.mark.parametrize("option", ["--token-file", "--ca-file"])
def test_a_file_that_is_not_there_is_told_before_anything_is_read(site: RestoreWorld, option: str) -> None:
    """By its option; a backup may take an hour to prove."""
    answer = site.command("restore", "--latest", "--yes", option, "nowhere")
    assert answer.code == 1
    assert answer.err.splitlines() == [answer.complaint]
    assert f"{option} nowhere is not there, or may not be read; name a file" in answer.complaint


def test_a_file_and_a_server_are_enough(site: RestoreWorld) -> None:
    """Where nobody wants a way back."""
    options = ["--to", site.server.address, "--token-file", str(site.token()), "--no-safety-backup", "--yes"]
    answer = site.command("restore", "--from", str(site.file()), *options, config=None)
    assert answer.code == 0, answer.err
    assert site.data == {"x": OLD}


def test_another_target_than_the_documents(site: RestoreWorld, tmp_path: Path) -> None:
    """The backup is from there; the safety backup goes where the cluster's go."""
    elsewhere = tmp_path / "elsewhere"
    site.world.target.rename(elsewhere)
    site.world.target.mkdir()
    answer = site.command("restore", "--latest", "--target", f"file://{elsewhere}", "--yes")
    assert answer.code == 0, answer.err
    assert site.data == {"x": OLD}
    assert len(site.safety_keys()) == 1


def test_the_documents_role_for_restores(site: RestoreWorld) -> None:
    """A login by JWT takes the cluster's role for restores, where there is one."""
    document = site.world.document()
    backup = document["spec"]["backup"]
    del backup["tokenSecretRef"]
    backup["auth"] = {"method": "jwt", "role": "backup", "file": "/nowhere/jwt"}
    document["spec"]["restore"] = {"jwtAuthRole": "restore"}
    site.world.configure(document)
    site.cluster.logins.jwts["jwt-operator"] = {"restore": {"the-jwt"}, "backup": set()}
    jwt = site.world.folder / "jwt"
    jwt.write_text("the-jwt")
    backup["auth"]["file"] = str(jwt)
    site.world.configure(document)
    assert site.command("restore", "--latest", "--yes").code == 0


# --- beside a manager ----------------------------------------------------------------------------


def lock_of(site: RestoreWorld, state: Path, *, take: OperationLock | None = None) -> OperationLock | None:
    """The cluster's lock in the manager's memory; with `take`, after it was written there."""
    with closing(Database(state / DATABASE)) as database:
        clusters = Clusters(database)
        if clusters.get("default/prod") is None:
            clusters.put_document("default/prod", "default", "prod", json.dumps(site.world.document()))
        row = clusters.get("default/prod")
        assert row is not None
        if take is not None:
            assert clusters.save("default/prod", row.version, row.status, take)
        return row.lock


@pytest.mark.parametrize("named", [True, False])
def test_a_backup_of_the_manager_is_waited_for(site: RestoreWorld, tmp_path: Path, named: bool) -> None:
    """Exit 1 before anything; also where nobody names the usual folder."""
    state = tmp_path / ("of-serve" if named else "state")
    held = hold(state)
    lock_of(site, state, take=OperationLock(operation="Backup", holder=LOCK_HOLDER, message="backup-1"))
    options = ["--state", str(state)] if named else []
    answer = site.command("restore", "--latest", "--yes", *options)
    assert answer.code == 1
    assert "the manager is about to begin or to end the run backup-1; wait for its end" in answer.complaint
    assert site.data == {"x": NEW, "y": NEW}
    os.close(held)


def test_beside_a_manager_the_lock_is_held_and_given_back(site: RestoreWorld, tmp_path: Path) -> None:
    """The way back names the folder, too."""
    state = tmp_path / "of-serve"
    os.close(hold(state))
    lock_of(site, state)
    answer = site.command("restore", "--latest", "--yes", "--state", str(state))
    assert (answer.code, lock_of(site, state)) == (0, None)
    assert f"--state {state}" in answer.out.splitlines()[-1]


def test_a_state_folder_that_is_none(site: RestoreWorld) -> None:
    """It was named, so it must be there."""
    answer = site.command("restore", "--latest", "--yes", "--state", "nowhere")
    assert (answer.code, "there is none; name the folder with --state" in answer.complaint) == (1, True)


# --- a Job ---------------------------------------------------------------------------------------


def job(site: RestoreWorld) -> RestoreSettings:
    """What the manager hands over."""
    settings = load_settings(site.world.config, None, None)
    where = Place(store=StoreSettings(provider="file", path=str(site.world.target)), prefix=settings.prefix)
    return RestoreSettings(
        namespace="default",
        name="prod",
        restore="monday",
        bao=settings.bao,
        wanted=Wanted(key=site.key),
        source=where,
        safety=where,
    )


def test_a_job_asks_nothing(site: RestoreWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It works by the environment, and writes its result where it is told to."""
    for name, value in to_environment(job(site)).items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "termination-log"
    file.touch()
    answer = site.command("restore", "--result", str(file), config=None)
    assert answer.code == 0, answer.err
    assert site.data == {"x": OLD}
    assert f'"safetyKey":"{site.safety_keys()[0]}"' in file.read_text()
    assert f"overwrites: default/prod ({site.cluster.name})" in answer.err


def test_a_jobs_failure_has_a_result(
    site: RestoreWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also what cannot be read."""
    monkeypatch.setenv("RESTORE_CONFIG", "{}")
    file = tmp_path / "termination-log"
    answer = site.command("restore", "--result", str(file), config=None)
    assert answer.code == 1
    assert '"reason":"InvalidConfiguration"' in file.read_text()


def test_a_jobs_environment_and_options_do_not_go_together(
    site: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can know which is meant."""
    settings = replace(job(site), deadline_seconds=timedelta(hours=1).total_seconds())
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    answer = site.command("restore", "--latest", "--yes")
    assert (answer.code, "RESTORE_CONFIG is set, and " in answer.complaint) == (1, True)
    assert "--latest" in answer.complaint
