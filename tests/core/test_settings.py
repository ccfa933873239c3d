"""Settings travel as environment variables: ours there and back, and those of the existing operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Trigger, VerifyLevel
from bao_backup.core.naming import backup_key, cluster_prefix
from bao_backup.core.retention import ClassPolicy, RetentionPolicy
from bao_backup.core.settings import RunSettings, from_environment, to_environment
from bao_backup.core.storage import MIB, StoreSettings
from bao_backup.core.store_options import LockMode

SLOT = datetime(2026, 11, 22, 2, tzinfo=UTC)

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
# What a variable of its own can carry: no white space around it.
plain = st.text("abcXYZ019-_./:@ü ", max_size=20).map(str.strip)
kinds = st.sampled_from(["", "pre-upgrade", "weekly"])
prefixes = st.sampled_from(["", "a", "/a/b/", "über/uns"])
classes = {
    "max_count": st.integers(0, 99),
    "max_age": st.none() | st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=9999)),
    "keep_daily": st.integers(0, 99),
    "min_keep": st.integers(0, 9),
}
policies = st.builds(RetentionPolicy, pre_upgrade=st.none() | st.builds(ClassPolicy, **classes), **classes)
auths = st.builds(
    BaoAuth,
    method=st.sampled_from(AuthMethod),
    mount=words,
    role=words,
    audience=words,
    token_file=words,
    jwt_file=words,
    secret_folder=words,
)
baos = st.builds(
    BaoSettings,
    addresses=st.lists(words, min_size=1, max_size=3).map(tuple),
    auth=auths,
    ca_file=words,
    server_name=words,
    connect_seconds=st.floats(0.1, 100),
    stall_seconds=st.floats(0.1, 100),
)
of_any_store = {
    "bucket": plain,
    "path": words,
    "endpoint": plain,
    "region": plain,
    "path_style": st.booleans(),
    "insecure_skip_verify": st.booleans(),
    "role_arn": words,
    "sts_endpoint": words,
    "sse": words,
    "part_size": st.integers(5 * MIB, 5 * 1024 * MIB),
    "concurrency": st.integers(1, 10),
    "max_bytes_per_second": st.integers(0, 2**40),
}
options = {
    "tags": st.dictionaries(
        st.text("aZ1 +", min_size=1, max_size=9), st.text("aZ1 :", max_size=9), max_size=2
    ),
    "metadata": st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "a b"])),
    "lock_mode": st.none() | st.sampled_from(LockMode),
    "lock_days": st.integers(1, 9),
}
stores = st.builds(StoreSettings, provider=st.just("file"), **of_any_store) | st.builds(
    StoreSettings, provider=st.just("s3"), **of_any_store, **options
)


@st.composite
def runs(draw: st.DrawFn) -> RunSettings:
    """Any settings that a run may have."""
    namespace, name, path_prefix = draw(names), draw(names), draw(prefixes)
    kind = draw(kinds)
    key = backup_key(cluster_prefix(path_prefix, namespace, name), SLOT, "0123abcd", kind)
    return RunSettings(
        namespace=namespace,
        name=name,
        uid=draw(words),
        path_prefix=path_prefix,
        kind=kind,
        key=draw(st.sampled_from(["", key])),
        slot=draw(st.none() | st.just(SLOT)),
        trigger=draw(st.sampled_from(Trigger)),
        number=draw(st.integers(1, 50)),
        bao=draw(baos),
        store=draw(stores),
        credentials_folder=draw(plain),
        verify=draw(st.sampled_from(VerifyLevel)),
        retention=draw(st.none() | policies),
        deadline_seconds=draw(st.floats(1, 1e6)),
    )


OPERATORS = {
    "CLUSTER_NAMESPACE": "bao",
    "CLUSTER_NAME": "prod",
    "CLUSTER_REPLICAS": "3",
    "STATEFULSET_NAME": "prod-blue",
    "BACKUP_PROVIDER": "s3",
    "BACKUP_ENDPOINT": "https://minio.example:9000",
    "BACKUP_BUCKET": "backups",
    "BACKUP_PATH_PREFIX": "clusters",
    "BACKUP_FILENAME_PREFIX": "",
    "BACKUP_KEY": "clusters/bao/prod/2026-11-22T02-00-00Z-0123abcd.snap",
    "BACKUP_REGION": "eu-west-1",
    "BACKUP_USE_PATH_STYLE": "true",
    "BACKUP_PART_SIZE": "16777216",
    "BACKUP_CONCURRENCY": "5",
    "BACKUP_AUTH_METHOD": "jwt",
    "BACKUP_JWT_AUTH_ROLE": "backup",
    "BACKUP_CREDENTIALS_PATH": "/etc/bao/backup/credentials",
    "BACKUP_CREDENTIALS_SECRET_NAME": "s3-credentials",
    "JWT_TOKEN_PATH": "/var/run/secrets/tokens/openbao-token",
    "TLS_CA_PATH": "/etc/bao/tls/ca.crt",
    "OPENBAO_CLIENT_QPS": "10",
}


def refusal(environment: dict[str, str]) -> ConfigurationError:
    """How it is refused."""
    with pytest.raises(ConfigurationError) as caught:
        from_environment(environment)
    return caught.value


@given(runs())
def test_what_is_sent_arrives(settings: RunSettings) -> None:
    """Every setting of every run, as variables that a process can be given."""
    variables = to_environment(settings)
    assert not [value for value in variables.values() if "\0" in value]
    assert from_environment(variables) == settings


@given(runs())
def test_nothing_of_who_starts_the_executor_shows_through(settings: RunSettings) -> None:
    """A manager that itself has such variables hands on none of them."""
    around = {**OPERATORS, "BACKUP_FILENAME_PREFIX": "pre-upgrade", "BACKUP_TOKEN_PATH": "/elsewhere"}
    assert from_environment({**around, **to_environment(settings)}) == settings


def test_the_job_of_the_existing_operator_works() -> None:
    """Its variables alone are enough: JWT, three replicas, an S3 service."""
    settings = from_environment(OPERATORS)
    assert (settings.namespace, settings.name, settings.prefix) == ("bao", "prod", "clusters/bao/prod")
    assert settings.key == OPERATORS["BACKUP_KEY"]
    assert settings.bao.addresses == tuple(f"https://prod-blue-{n}.prod.bao.svc:8200" for n in range(3))
    assert settings.bao.ca_file == "/etc/bao/tls/ca.crt"
    auth = settings.bao.auth
    assert (auth.method, auth.role, auth.mount_path) == (AuthMethod.JWT, "backup", "jwt-operator")
    assert auth.jwt_file == "/var/run/secrets/tokens/openbao-token"
    store = settings.store
    assert (store.provider, store.bucket, store.endpoint) == ("s3", "backups", "https://minio.example:9000")
    assert (store.region, store.path_style, store.insecure_skip_verify) == ("eu-west-1", True, False)
    assert (store.part_size, store.concurrency) == (16 * MIB, 5)
    assert settings.credentials_folder == "/etc/bao/backup/credentials"
    assert (settings.verify, settings.retention) == (VerifyLevel.HEAD, None)


def test_what_its_job_leaves_out_has_its_defaults() -> None:
    """One replica, the pods of the cluster's name, the paths where its volumes are."""
    settings = from_environment(
        {
            "CLUSTER_NAMESPACE": "bao",
            "CLUSTER_NAME": "prod",
            "BACKUP_BUCKET": "backups",
            "BACKUP_JWT_AUTH_ROLE": "backup",
        }
    )
    assert settings.bao.addresses == ("https://prod-0.prod.bao.svc:8200",)
    assert settings.bao.auth.jwt_file == "/var/run/secrets/tokens/openbao-token"
    assert settings.bao.ca_file == "/etc/bao/tls/ca.crt"
    assert (settings.store.provider, settings.store.part_size, settings.store.concurrency) == (
        "s3",
        10 * MIB,
        3,
    )
    assert settings.deadline_seconds == 4 * 3600 - 60


def test_its_other_ways() -> None:
    """A token from its volume, a domain, a class prefix with its dash, a role taken on by web identity."""
    settings = from_environment(
        {
            **OPERATORS,
            "BACKUP_AUTH_METHOD": "token",
            "BACKUP_KEY": "",
            "BACKUP_FILENAME_PREFIX": "pre-upgrade-",
            "CLUSTER_REPLICAS": "1",
            "CLUSTER_DOMAIN_SUFFIX": "cluster.local",
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/backup",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/aws/token",
            "BACKUP_INSECURE_SKIP_VERIFY": "True",
        }
    )
    assert settings.bao.auth == BaoAuth(method=AuthMethod.TOKEN, token_file="/etc/bao/backup/token")
    assert settings.bao.addresses == ("https://prod-blue-0.prod.bao.svc.cluster.local:8200",)
    assert settings.kind == "pre-upgrade"
    assert settings.store.role_arn == "arn:aws:iam::1:role/backup"
    assert settings.store.role_token_file == "/var/run/secrets/aws/token"
    assert settings.store.insecure_skip_verify
    moved = from_environment(
        {**OPERATORS, "BACKUP_AUTH_METHOD": "token", "BACKUP_TOKEN_PATH": "/token/token"}
    )
    assert moved.bao.auth.token_file == "/token/token"


def test_its_variables_of_azure() -> None:
    """The account, and the container in the bucket's place."""
    azure = {
        "BACKUP_PROVIDER": "azure",
        "BACKUP_AZURE_STORAGE_ACCOUNT": "acme",
        "BACKUP_AZURE_CONTAINER": "snapshots",
    }
    store = from_environment({**OPERATORS, **azure}).store
    assert (store.provider, store.account, store.bucket) == ("azure", "acme", "snapshots")
    store = from_environment({**OPERATORS, **azure, "BACKUP_AZURE_CONTAINER": ""}).store
    assert store.bucket == "backups"


def test_every_variable_that_is_wrong_or_missing_is_named_at_once() -> None:
    """Not one after the other, in as many failed Jobs."""
    wrong = {
        "CLUSTER_NAMESPACE": "Not A Name",
        "CLUSTER_REPLICAS": "many",
        "BACKUP_FILENAME_PREFIX": "Pre_Upgrade",
        "BACKUP_PATH_PREFIX": "../up",
        "BACKUP_USE_PATH_STYLE": "perhaps",
        "BACKUP_INSECURE_SKIP_VERIFY": "2",
        "BACKUP_PART_SIZE": "1",
        "BACKUP_CONCURRENCY": "11",
        "BACKUP_AUTH_METHOD": "smile",
    }
    error = refusal(wrong)
    assert error.exit_code == 1
    for name in (*wrong, "CLUSTER_NAME is not set", "BACKUP_BUCKET is not set", "BACKUP_JWT_AUTH_ROLE"):
        assert name in error.why
    assert "BACKUP_PART_SIZE is '1', expected a whole number from 5242880 to 5368709120" in error.why


@pytest.mark.parametrize(
    "key",
    [
        "foo.snap",
        "clusters/bao/other/2026-11-22T02-00-00Z-0123abcd.snap",
        "clusters/bao/prod/2026-11-22T02:00:00Z-0123abcd.snap",
        "clusters/bao/prod/2026-02-31T02-00-00Z-0123abcd.snap",
    ],
)
def test_a_key_that_no_list_would_show_is_refused(key: str) -> None:
    """A backup under it would be nobody's: never listed, never verified, never removed."""
    assert "BACKUP_KEY is" in refusal({**OPERATORS, "BACKUP_KEY": key}).why


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"number": "x"}', '{"store": {"provider": "s3", "partSize": 1}}', '{"slot": "now"}']
)
def test_a_broken_configuration_variable_is_named_alone(text: str) -> None:
    """What it would have said is not called missing elsewhere."""
    error = refusal({"CLUSTER_NAMESPACE": "bao", "CLUSTER_NAME": "prod", "BACKUP_CONFIG": text})
    assert error.why.startswith("BACKUP_CONFIG: ")
    assert "not set" not in error.why


def test_no_secret_is_in_settings_or_in_their_errors() -> None:
    """The executor's environment may hold secrets; they are read elsewhere, when they are needed."""
    secrets = {
        "AWS_ACCESS_KEY_ID": "AKIAHUSHHUSH",
        "AWS_SECRET_ACCESS_KEY": "hush-hush-1",
        "AWS_SESSION_TOKEN": "hush-hush-2",
        "VAULT_TOKEN": "hvs.hush-hush-3",
        "BAO_TOKEN": "s.hush-hush-4",
    }
    settings = from_environment({**OPERATORS, **secrets})
    error = refusal({**OPERATORS, **secrets, "BACKUP_BUCKET": "", "BACKUP_CONCURRENCY": "x"})
    said = msgspec.json.encode(settings).decode() + repr(to_environment(settings)) + error.message
    assert not [value for value in secrets.values() if value in said]
