"""From a document to the settings of a run on Kubernetes, and which documents have none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.core.documents import document

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.errors import DocumentError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.job_settings import job_problems, job_settings
from bao_backup.core.model import Trigger
from bao_backup.core.observed import StartRun
from bao_backup.core.settings import RunSettings
from bao_backup.core.spec import parse_cluster

SLOT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
KEY = "default/prod/2026-11-22T02-00-00Z-1a2b3c4d.snap"
RUN = StartRun(name="backup-prod", key=KEY, slot=SLOT, trigger=Trigger.MANUAL, number=2)
JWT = {"spec.backup.jwtAuthRole": "backup"}
FILE = {"provider": "file", "path": "/backups"}
DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


def settings(changes: dict[str, Any] | None = None) -> RunSettings:
    """The settings of a run of a managed cluster, with changes of its document."""
    parsed = parse_cluster(document(JWT | (changes or {})), strict=True)
    return job_settings(parsed, RUN, audience="by-default")


def problems(changes: dict[str, Any]) -> list[str]:
    """The paths of what keeps it from running on Kubernetes."""
    return [found.path for found in job_problems(parse_cluster(document(JWT | changes), strict=True))]


def test_a_managed_cluster_says_by_its_name_where_its_servers_are() -> None:
    """As many as it has replicas; the CA in the Secret that its operator makes."""
    found = settings({"spec.replicas": 2})
    assert found.bao.addresses == (
        "https://prod-0.prod.default.svc:8200",
        "https://prod-1.prod.default.svc:8200",
    )
    assert found.bao.ca_file == "/etc/bao/tls/ca.crt"
    assert len(settings().bao.addresses) == 3


def test_a_run_knows_its_key_slot_and_try() -> None:
    """Which the manager chose."""
    found = settings()
    assert (found.key, found.slot, found.trigger, found.number) == (KEY, SLOT, Trigger.MANUAL, 2)
    assert (found.namespace, found.name, found.uid) == ("default", "prod", "default/prod")


@pytest.mark.parametrize(
    ("connection", "ca_file"),
    [
        ({"addresses": ["https://a:1"]}, ""),
        (
            {"addresses": ["https://a:1"], "caSecretRef": {"name": "ca", "key": "x.pem"}},
            "/etc/bao/tls/ca.crt",
        ),
    ],
)
def test_a_connection_of_its_own(connection: dict[str, Any], ca_file: str) -> None:
    """Without a CA the system's count."""
    found = settings({"spec.connection": connection}).bao
    assert (found.addresses, found.ca_file) == (("https://a:1",), ca_file)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "by-default"),
        ({"spec.selfInit": {"oidc": {"audience": "of-oidc"}}}, "of-oidc"),
        (
            {
                "spec.backup.jwtAuthRole": None,
                "spec.backup.auth": {"method": "jwt", "role": "r", "audience": "of-auth"},
                "spec.selfInit": {"oidc": {"audience": "of-oidc"}},
            },
            "of-auth",
        ),
    ],
)
def test_the_audience_is_the_nearest_that_is_said(changes: dict[str, Any], expected: str) -> None:
    """The login's, else that of selfInit, else the manager's."""
    assert settings(changes).bao.auth.audience == expected


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (
            {"method": "kubernetes", "role": "r", "mountPath": "k8s"},
            BaoAuth(
                method=AuthMethod.KUBERNETES,
                mount="k8s",
                role="r",
                audience="by-default",
                jwt_file="/var/run/secrets/tokens/openbao-token",
            ),
        ),
        (
            {"method": "token", "secretRef": {"name": "t"}},
            BaoAuth(method=AuthMethod.TOKEN, token_file="/etc/bao/backup/token/token"),
        ),
        (
            {"method": "approle", "secretRef": {"name": "t"}},
            BaoAuth(method=AuthMethod.APPROLE, secret_folder="/etc/bao/backup/login"),
        ),
        (
            {"method": "userpass", "secretRef": {"name": "t"}},
            BaoAuth(method=AuthMethod.USERPASS, secret_folder="/etc/bao/backup/login"),
        ),
    ],
)
def test_each_login_reads_what_is_mounted_for_it(auth: dict[str, Any], expected: BaoAuth) -> None:
    """At the existing operator's paths where it has them."""
    assert settings({"spec.backup.jwtAuthRole": None, "spec.backup.auth": auth}).bao.auth == expected


def test_the_identity_for_the_store() -> None:
    """Keys from a Secret, a role with a token, or neither."""
    by_keys = settings({"spec.backup.target.credentialsSecretRef": {"name": "keys"}})
    assert (by_keys.credentials_folder, by_keys.store.role_token_file) == ("/etc/bao/backup/credentials", "")
    by_role = settings({"spec.backup.target.roleArn": "arn:aws:iam::1:role/a"})
    assert (by_role.credentials_folder, by_role.store.role_token_file) == ("", "/var/run/secrets/aws/token")
    # Such a Secret holds a CA; the executor refuses keys in it beside the role.
    both = settings(
        {
            "spec.backup.target.roleArn": "arn:aws:iam::1:role/a",
            "spec.backup.target.credentialsSecretRef": {"name": "ca"},
        }
    )
    assert (both.credentials_folder, both.store.role_token_file) == (
        "/etc/bao/backup/credentials",
        "/var/run/secrets/aws/token",
    )
    ambient = settings()
    assert (ambient.credentials_folder, ambient.store.role_token_file) == ("", "")


def test_all_else_is_as_without_kubernetes() -> None:
    """Target, verification, retention and deadline."""
    changes = {
        "spec.backup.verify": "Full",
        "spec.backup.retention": {"maxCount": 3, "maxAge": "168h"},
        "spec.backup.activeDeadlineSeconds": 600,
        "spec.backup.target": {
            "bucket": "b",
            "pathPrefix": "p",
            "partSize": 16777216,
            "s3": {"sse": "AES256"},
        },
        "spec.connection": {"addresses": ["https://a:1"]},
    }
    there = settings(changes)
    here = settings_from_document(parse_cluster(document(JWT | changes), strict=True), "/secrets")
    for name in ("path_prefix", "store", "verify", "retention", "deadline_seconds"):
        assert getattr(there, name) == getattr(here, name)


def template(**fields: Any) -> dict[str, Any]:
    """The change that sets this jobTemplate."""
    return {"spec.backup.jobTemplate": fields}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a file with the JWT": (
        {"spec.backup.jwtAuthRole": None, "spec.backup.auth": {"method": "jwt", "role": "r", "file": "/jwt"}},
        "spec.backup.auth.file",
    ),
    "a file with the token": (
        {"spec.backup.jwtAuthRole": None, "spec.backup.auth": {"method": "token", "file": "/token"}},
        "spec.backup.auth.file",
    ),
    "a file with the CA": (
        {"spec.connection": {"addresses": ["https://a:1"], "caFile": "/ca"}},
        "spec.connection.caFile",
    ),
    "a folder on no volume": ({"spec.backup.target": FILE}, "spec.backup.jobTemplate.volumeMounts"),
    "a folder beside the volume": (
        {
            "spec.backup.target": FILE,
            **template(volumes=[DATA], volumeMounts=[{"name": "data", "mountPath": "/backups2"}]),
        },
        "spec.backup.jobTemplate.volumeMounts",
    ),
    "a folder that cannot be written to": (
        {
            "spec.backup.target": FILE,
            **template(
                volumes=[DATA], volumeMounts=[{"name": "data", "mountPath": "/backups", "readOnly": True}]
            ),
        },
        "spec.backup.jobTemplate.volumeMounts",
    ),
    "annotations of somebody else's account": (
        {
            "spec.backup.target.workloadIdentity": {"serviceAccountAnnotations": {"a/b": "c"}},
            **template(serviceAccountName="backups"),
        },
        "spec.backup.target.workloadIdentity.serviceAccountAnnotations",
    ),
    "a variable of ours": (
        template(env=[{"name": "A"}, {"name": "BACKUP_KEY", "value": "x"}]),
        "spec.backup.jobTemplate.env[1].name",
    ),
    "another configuration": (
        template(env=[{"name": "BAO_BACKUP_CONFIG", "value": "/x"}]),
        "spec.backup.jobTemplate.env[0].name",
    ),
    "another role": (
        {
            "spec.backup.target.roleArn": "arn:aws:iam::1:role/a",
            **template(env=[{"name": "AWS_ROLE_ARN", "value": "x"}]),
        },
        "spec.backup.jobTemplate.env[0].name",
    ),
    "a volume of ours": (
        template(volumes=[{"name": "bao-ca", "emptyDir": {}}]),
        "spec.backup.jobTemplate.volumes[0].name",
    ),
    "a volume without a name": (
        template(volumes=[{"emptyDir": {}}]),
        "spec.backup.jobTemplate.volumes[0].name",
    ),
    "a folder of the node": (
        template(volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
        "spec.backup.jobTemplate.volumes[0].hostPath",
    ),
    "a mount of no volume": (
        template(volumes=[DATA], volumeMounts=[{"name": "other", "mountPath": "/x"}]),
        "spec.backup.jobTemplate.volumeMounts[0].name",
    ),
    **{
        f"a mount at {path!r}": (
            template(volumes=[DATA], volumeMounts=[{"name": "data", "mountPath": path}]),
            "spec.backup.jobTemplate.volumeMounts[0].mountPath",
        )
        for path in (
            "",
            None,
            "x",
            "/",
            "/etc",
            "/etc/bao/tls",
            "/tmp",
            "//tmp/x",
            "/var/run",
            "/run",
            "/a/../tmp",
        )
    },
}


@pytest.mark.parametrize(("changes", "path"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_on_kubernetes_is_named(changes: dict[str, Any], path: str) -> None:
    """By its field alone, and no run is made of it."""
    assert problems(changes) == [path]
    with pytest.raises(DocumentError) as caught:
        settings(changes)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        template(env=[{"name": "BAO_BACKUP_VERBOSE", "value": "1"}, {"name": "AWS_ROLE_ARN", "value": "x"}]),
        template(volumes=[DATA], volumeMounts=[{"name": "data", "mountPath": "/etc/baobab"}]),
        {
            "spec.backup.target": {"provider": "file", "path": "/backups/deep/er"},
            **template(volumes=[DATA], volumeMounts=[{"name": "data", "mountPath": "/backups"}]),
        },
        {"spec.backup": None},
        {"spec.backup.jwtAuthRole": None},
    ],
)
def test_what_can_run_has_no_problem(changes: dict[str, Any]) -> None:
    """Nor has a document without backups or login: that is for preflight to say."""
    assert problems(changes) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [({"spec.backup": None}, "spec.backup"), ({"spec.backup.jwtAuthRole": None}, "spec.backup.auth")],
)
def test_no_run_without_backups_or_login(changes: dict[str, Any], path: str) -> None:
    """Whoever asks for its settings is told what is missing."""
    with pytest.raises(DocumentError) as caught:
        settings(changes)
    assert [problem.path for problem in caught.value.problems] == [path]
