"""From a document to a run's settings, where Secrets are folders on this machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.documents import document

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.errors import DocumentError
from bao_backup.core.from_document import settings_from_document
from bao_backup.core.model import VerifyLevel
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.settings import DEFAULT_JWT_FILE, RunSettings, from_environment, to_environment
from bao_backup.core.spec import parse_cluster
from bao_backup.core.storage import StoreSettings

RUNNABLE = {
    "spec.connection": {"addresses": ["https://bao-0:8200", "https://bao-1:8200"]},
    "spec.backup.tokenSecretRef": {"name": "bao-token"},
}


def settings(**changes: Any) -> RunSettings:
    """The settings of a document that has what a run needs; `changes` are of spec.backup."""
    paths = {f"spec.backup.{name}": value for name, value in changes.items()}
    return settings_from_document(parse_cluster(document({**RUNNABLE, **paths}), strict=True), "/secrets")


def auth(login: dict[str, Any]) -> BaoAuth:
    """The login of `spec.backup.auth`."""
    return settings(auth=login, tokenSecretRef=None).bao.auth


def test_the_least_document_that_can_run() -> None:
    """Everything else has its default."""
    found = settings()
    assert (found.namespace, found.name, found.uid) == ("default", "prod", "default/prod")
    assert found.prefix == "default/prod"
    assert found.bao.addresses == ("https://bao-0:8200", "https://bao-1:8200")
    assert (found.bao.ca_file, found.bao.server_name) == ("", "")
    assert found.bao.auth == BaoAuth(method=AuthMethod.TOKEN, token_file="/secrets/bao-token/token")
    assert found.store == StoreSettings(provider="s3", bucket="backups", region="us-east-1")
    assert found.credentials_folder == ""
    assert (found.verify, found.retention) == (VerifyLevel.HEAD, None)
    assert (found.key, found.slot) == ("", None)


def test_all_of_the_target_arrives() -> None:
    """Each field that a store of this kind can use."""
    found = settings(
        target={
            "bucket": "backups",
            "endpoint": "https://s3.example:9000",
            "pathPrefix": "/clusters/",
            "credentialsSecretRef": {"name": "s3"},
            "partSize": 16777216,
            "concurrency": 7,
            "region": "eu-west-1",
            "usePathStyle": True,
            "insecureSkipVerify": True,
            "s3": {
                "sse": "aws:kms",
                "kmsKeyId": "k",
                "storageClass": "STANDARD_IA",
                "stsEndpoint": "https://sts.example",
                "tags": {"team": "x"},
            },
        }
    )
    assert found.store == StoreSettings(
        provider="s3",
        bucket="backups",
        endpoint="https://s3.example:9000",
        region="eu-west-1",
        path_style=True,
        insecure_skip_verify=True,
        sts_endpoint="https://sts.example",
        sse="aws:kms",
        kms_key_id="k",
        storage_class="STANDARD_IA",
        tags={"team": "x"},
        part_size=16777216,
        concurrency=7,
    )
    assert found.credentials_folder == "/secrets/s3"
    assert found.prefix == "clusters/default/prod"


@pytest.mark.parametrize(("container", "bucket"), [("snapshots", "snapshots"), ("", "backups")])
def test_azure_as_target(container: str, bucket: str) -> None:
    """The account, and the container; without one it is called as the bucket is."""
    azure = {"storageAccount": "acme", "container": container}
    found = settings(target={"provider": "azure", "bucket": "backups", "azure": azure}).store
    assert (found.provider, found.account, found.bucket) == ("azure", "acme", bucket)


def test_a_folder_as_target() -> None:
    """Its path is the store's."""
    found = settings(target={"provider": "file", "path": "/srv/backups"})
    assert (found.store.provider, found.store.path) == ("file", "/srv/backups")


LOGINS: dict[str, tuple[dict[str, Any], BaoAuth]] = {
    "jwt": (
        {"method": "jwt", "role": "backup", "audience": "bao"},
        BaoAuth(
            method=AuthMethod.JWT,
            role="backup",
            audience="bao",
            jwt_file=DEFAULT_JWT_FILE,
        ),
    ),
    "kubernetes, with a file": (
        {"method": "kubernetes", "role": "backup", "mountPath": "k8s/a", "file": "/run/token"},
        BaoAuth(method=AuthMethod.KUBERNETES, mount="k8s/a", role="backup", jwt_file="/run/token"),
    ),
    "approle, from a Secret": (
        {"method": "approle", "secretRef": {"name": "role"}},
        BaoAuth(method=AuthMethod.APPROLE, secret_folder="/secrets/role"),
    ),
    "userpass, from a folder": (
        {"method": "userpass", "file": "/run/login"},
        BaoAuth(method=AuthMethod.USERPASS, secret_folder="/run/login"),
    ),
    "token, from a file": (
        {"method": "token", "file": "/run/token"},
        BaoAuth(method=AuthMethod.TOKEN, token_file="/run/token"),
    ),
    "token, from a Secret": (
        {"method": "token", "secretRef": {"name": "t"}},
        BaoAuth(method=AuthMethod.TOKEN, token_file="/secrets/t/token"),
    ),
}


@pytest.mark.parametrize(("login", "expected"), LOGINS.values(), ids=LOGINS)
def test_each_login_reads_its_own_files(login: dict[str, Any], expected: BaoAuth) -> None:
    """A Secret is its folder, and only the method's own file is named."""
    assert auth(login) == expected


def test_the_short_form_of_jwt() -> None:
    """`jwtAuthRole` alone, with the audience of selfInit."""
    changes = {
        **RUNNABLE,
        "spec.backup.tokenSecretRef": None,
        "spec.backup.jwtAuthRole": "backup",
        "spec.selfInit": {"oidc": {"enabled": True, "audience": "bao"}},
    }
    found = settings_from_document(parse_cluster(document(changes), strict=True), "/secrets").bao.auth
    assert (found.method, found.role, found.audience) == (AuthMethod.JWT, "backup", "bao")


@pytest.mark.parametrize(
    ("connection", "addresses", "ca"),
    [
        ({"service": {"name": "bao"}}, ("https://bao.default.svc:8200",), ""),
        (
            {"service": {"name": "bao", "namespace": "vault", "port": 443}},
            ("https://bao.vault.svc:443",),
            "",
        ),
        ({"addresses": ["https://a:1"], "caFile": "/ca.pem"}, ("https://a:1",), "/ca.pem"),
        (
            {"addresses": ["https://a:1"], "caSecretRef": {"name": "ca", "key": "root.pem"}},
            ("https://a:1",),
            "/secrets/ca/root.pem",
        ),
    ],
)
def test_ways_to_the_servers(connection: dict[str, Any], addresses: tuple[str, ...], ca: str) -> None:
    """Addresses or a Service; the CA from a file or a Secret."""
    parsed = parse_cluster(document({**RUNNABLE, "spec.connection": connection}), strict=True)
    found = settings_from_document(parsed, "/secrets").bao
    assert (found.addresses, found.ca_file) == (addresses, ca)


def test_retention_and_verification() -> None:
    """Under either of its names."""
    for name in ("retention", "retentionPolicy"):
        found = settings(**{name: {"maxCount": 3, "maxAge": "168h"}}, verify="Full")
        assert found.retention == RetentionPolicy(max_count=3, max_age=timedelta(days=7))
        assert found.verify is VerifyLevel.FULL


@pytest.mark.parametrize(("given", "own"), [(14_400, 14_340), (240, 180), (100, 75), (10, 7.5)])
def test_a_run_ends_itself_before_it_is_ended(given: int, own: float) -> None:
    """A minute before, or a quarter of the time where that is short."""
    assert settings(activeDeadlineSeconds=given).deadline_seconds == own


def test_everything_that_a_run_lacks_is_named_at_once() -> None:
    """Without Kubernetes nobody else says where the servers are and how to log in."""
    with pytest.raises(DocumentError) as caught:
        settings_from_document(parse_cluster(document(), strict=True), "/secrets")
    assert [problem.path for problem in caught.value.problems] == ["spec.connection", "spec.backup.auth"]
    with pytest.raises(DocumentError) as caught:
        settings_from_document(parse_cluster(document({"spec.backup": None}), strict=True), "/secrets")
    assert [problem.path for problem in caught.value.problems] == ["spec.backup", "spec.connection"]


def test_what_a_document_says_reaches_the_executor() -> None:
    """Through its environment, unchanged."""
    found = settings(
        retention={"keepDaily": 7, "preUpgrade": {"maxCount": 2}}, verify="Full", activeDeadlineSeconds=99
    )
    assert from_environment(to_environment(found)) == found
