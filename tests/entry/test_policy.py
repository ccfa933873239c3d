"""`policy`: by a document or the environment, as text to paste or as JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, plain_environment

from bao_backup.core.policies.sheets import SUBJECTS

#: What a person would run; here each writes down how it was called.
TOOLS = ("aws", "az", "bao", "gcloud", "install", "mc")
NOTE = '#!/bin/sh\nprintf "%s\\0" "$(basename "$0")" "$@" "" >> "$CALLS"\n'

S3 = {"provider": "s3", "bucket": "backups", "credentialsSecretRef": {"name": "keys"}}


def test_all_of_it_is_printed_by_default(command: Command) -> None:
    """One script: the store, the server and the rules."""
    answer = command("policy")
    assert (answer.code, answer.err) == (0, "")
    heads = [
        line for line in answer.out.splitlines() if line.startswith(tuple(f"# {each}: " for each in SUBJECTS))
    ]
    assert [head.split()[1] for head in heads] == [f"{each}:" for each in SUBJECTS]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_one_subject_alone(command: Command, subject: str) -> None:
    """As it is named; as JSON, too."""
    text = command("policy", subject)
    assert text.code == 0
    assert text.out.startswith(f"# {subject}: ")
    assert list(command("policy", subject, "--output", "json").json) == [subject]


def test_subjects_come_once_and_in_their_order(command: Command) -> None:
    """However they are named."""
    answer = command("policy", "lifecycle", "store", "lifecycle", "--output", "json")
    assert list(answer.json) == ["store", "lifecycle"]


def test_a_document_need_not_say_where_the_servers_are(command: Command, world: World) -> None:
    """Nor how to log in: that is said in its place."""
    write(world, {"backup": {"schedule": "@daily", "target": S3}})
    answer = command("policy")
    assert answer.code == 0
    assert "The document names no login" in answer.out


def test_the_environment_of_a_job(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as by a document, without any."""
    variables = {
        "CLUSTER_NAMESPACE": "openbao",
        "CLUSTER_NAME": "prod",
        "BACKUP_BUCKET": "backups",
        "BACKUP_JWT_AUTH_ROLE": "runs",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = command("policy", "--output", "json", config=None)
    assert answer.code == 0
    (listing,) = (
        each
        for each in answer.json["store"]["files"]["store-policy.json"]["Statement"]
        if each["Sid"] == "List"
    )
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["openbao/prod/*"]}}
    assert "auth/jwt-operator/role/runs" in " ".join(answer.json["server"]["commands"])


def test_for_a_restore(command: Command, world: World) -> None:
    """It has a role and a ServiceAccount of its own; to force is asked for."""
    write(world, {"backup": {"schedule": "@daily", "target": S3, "jwtAuthRole": "runs"}})
    answer = command("policy", "server", "--for", "restore")
    assert "auth/jwt-operator/role/bao-restore" in answer.out
    assert "bound_subject=system:serviceaccount:default:prod-restore-serviceaccount" in answer.out
    assert 'path "sys/storage/raft/snapshot-force"' not in answer.out
    assert (
        'path "sys/storage/raft/snapshot-force"'
        in command("policy", "server", "--for", "restore", "--force").out
    )


def test_what_is_known_is_filled_in(command: Command, world: World) -> None:
    """The issuer, its CA, and another subject; what is not known is told."""
    write(world, {"backup": {"schedule": "@daily", "target": S3, "jwtAuthRole": "runs"}})
    assert command("policy", "server", "--output", "json").json["server"]["fillIn"].keys() == {"<ISSUER>"}
    options = ("--issuer", "https://issuer.example", "--issuer-ca", "/ca.crt", "--subject", "machine")
    answer = command("policy", "server", *options)
    for word in (
        "oidc_discovery_url=https://issuer.example",
        "bound_issuer=https://issuer.example",
        "oidc_discovery_ca_pem=@/ca.crt",
        "bound_subject=machine",
    ):
        assert word in answer.out.split()
    assert "fill in" not in answer.out


def test_a_cluster_without_backups_is_told(command: Command, world: World) -> None:
    """On one line."""
    write(world, {})
    answer = command("policy")
    assert (answer.code, answer.out) == (1, "")
    assert "spec.backup: expected it" in answer.complaint


@pytest.mark.parametrize(
    ("arguments", "why"),
    [("nothing", "'nothing' is not one of 'store', 'server', 'lifecycle'"), ("--for x", "'x' is not one of")],
)
def test_wrong_usage(command: Command, arguments: str, why: str) -> None:
    """Exit 1, with the choices."""
    answer = command("policy", *arguments.split())
    assert answer.code == 1
    assert why in answer.complaint


TARGETS: list[dict[str, Any]] = [
    S3 | {"pathPrefix": 'it\'s $HOME & `all` "mine"'},
    S3 | {"endpoint": "https://minio.example", "pathPrefix": "END"},
    {"provider": "gcs", "bucket": "backups", "pathPrefix": 'a, b"c|d'},
    {"provider": "azure", "bucket": "backups", "azure": {"storageAccount": "acme"}, "pathPrefix": "ü"},
    {"provider": "file", "path": "/srv/my backups"},
]


@pytest.mark.parametrize(
    "target", TARGETS, ids=lambda target: f"{target['provider']}-{target.get('endpoint', '')}"
)
def test_the_script_says_to_a_shell_what_it_says_as_json(
    command: Command, world: World, tmp_path: Path, target: dict[str, Any]
) -> None:
    """Each file is written as it is, and each tool is called once for each command, quoted as it must be."""
    retention = {"maxAge": "720h"}
    write(
        world,
        {"backup": {"schedule": "@daily", "target": target, "jwtAuthRole": "r", "retention": retention}},
    )
    tools, pasted = tmp_path / "tools", tmp_path / "pasted"
    tools.mkdir()
    pasted.mkdir()
    for tool in TOOLS:
        (tools / tool).write_text(NOTE)
        (tools / tool).chmod(0o755)
    printed = command("policy", "--output", "json").json
    subprocess.run(
        ["sh", "-e", "-u", "-c", command("policy").out],
        cwd=pasted,
        env=plain_environment(CALLS=str(tmp_path / "calls"), PATH=f"{tools}:{os.environ['PATH']}"),
        check=True,
        timeout=60,
    )
    files = {name: content for sheet in printed.values() for name, content in sheet["files"].items()}
    written = {path.name: path.read_text() for path in pasted.iterdir()}
    assert written.keys() == files.keys()
    for name, content in files.items():
        assert (json.loads(written[name]) if name.endswith(".json") else written[name]) == (
            content if name.endswith(".json") else content + "\n"
        )
    calls = (tmp_path / "calls").read_text().split("\0\0")
    assert len(calls) - 1 == sum(len(sheet["commands"]) for sheet in printed.values())
    said = [word for call in calls for word in call.split("\0")]
    assert not any("$(" in word or word.endswith("\\") for word in said)
    if target["provider"] == "gcs":
        expression = files["store-condition.json"]["expression"]
        literal = expression.removeprefix("resource.name.startsWith(").removesuffix(")")
        assert json.loads(literal) == 'projects/_/buckets/backups/objects/a, b"c|d/default/prod/'


def write(world: World, spec: dict[str, Any]) -> None:
    """The document of default/prod with this spec and nothing else."""
    document = {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": "prod", "namespace": "default"},
        "spec": spec,
    }
    world.config.write_text(json.dumps(document), encoding="utf-8")
