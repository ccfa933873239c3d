"""From a document to the settings of a run, where Secrets are folders on this machine."""

from __future__ import annotations

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.servers import Connection
from bao_backup.core.settings import DEFAULT_JWT_FILE, RunSettings
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.storage import StoreSettings
from bao_backup.core.target import GcsOptions, S3Options, Target

#: The run's own deadline is so much before the one that ends it from outside, in seconds.
DEADLINE_MARGIN = 60


def settings_from_document(document: OpenBaoCluster, secrets: str) -> RunSettings:
    """What a run of this cluster works with.

    Args:
        document: a cluster with `spec.backup` and `spec.connection`.
        secrets: the folder that holds a folder for each Secret, with a file for each key.

    Raises DocumentError that names what is missing for a run without Kubernetes.
    """
    backup, connection, login = document.spec.backup, document.spec.connection, document.login
    problems = []
    if backup is None:
        problems.append(Problem("spec.backup", "expected it, to know where backups go"))
    if connection is None:
        problems.append(
            Problem("spec.connection", "expected it, since nobody else says where the servers are")
        )
    if backup is not None and login is None:
        expected = "expected a login: auth, jwtAuthRole or tokenSecretRef"
        problems.append(Problem("spec.backup.auth", expected))
    name = f"{document.metadata.namespace}/{document.metadata.name}"
    if backup is None or connection is None or login is None:
        raise DocumentError(f"read the document {name}", problems)
    ca = connection.ca_secret_ref
    secret_folder = f"{secrets}/{login.secret}" if login.secret else login.file
    auth = BaoAuth(
        method=login.method,
        mount=login.mount_path,
        role=login.role,
        audience=login.audience,
        token_file=_token_file(login.method, login.secret, secrets, login.file),
        jwt_file=_if(login.method in {AuthMethod.JWT, AuthMethod.KUBERNETES}, login.file or DEFAULT_JWT_FILE),
        secret_folder=_if(login.method in {AuthMethod.APPROLE, AuthMethod.USERPASS}, secret_folder),
    )
    return RunSettings(
        namespace=document.metadata.namespace,
        name=document.metadata.name,
        uid=document.identity,
        path_prefix=backup.target.path_prefix,
        bao=BaoSettings(
            addresses=addresses_of(connection, document.metadata.namespace),
            auth=auth,
            ca_file=f"{secrets}/{ca.name}/{ca.key}" if ca else connection.ca_file,
            server_name=connection.server_name,
        ),
        store=store_settings(backup.target),
        credentials_folder=f"{secrets}/{backup.target.credentials_secret}"
        if backup.target.credentials_secret
        else "",
        verify=backup.verify,
        retention=backup.policy,
        deadline_seconds=own_deadline(backup.active_deadline_seconds),
    )


def addresses_of(connection: Connection, namespace: str) -> tuple[str, ...]:
    """The URLs of the servers; a Service without a namespace is in the document's own."""
    service = connection.service
    if service is None:
        return connection.addresses
    return (f"https://{service.name}.{service.namespace or namespace}.svc:{service.port}",)


def own_deadline(given: int) -> float:
    """How many seconds a run gives itself: a minute less than given, a quarter less of little."""
    return given - min(DEADLINE_MARGIN, given / 4)


def store_settings(target: Target) -> StoreSettings:
    """The target as the store's adapters take it."""
    s3, azure, gcs = target.s3 or S3Options(), target.azure, target.gcs or GcsOptions()
    lock = target.object_lock
    return StoreSettings(
        provider=target.provider,
        bucket=(azure.container if azure else "") or target.bucket,
        account=azure.storage_account if azure else "",
        path=target.path,
        endpoint=target.endpoint,
        region=target.region,
        path_style=target.use_path_style,
        insecure_skip_verify=target.insecure_skip_verify,
        role_arn=target.role_arn,
        sts_endpoint=s3.sts_endpoint,
        sse=s3.sse or "",
        kms_key_id=s3.kms_key_id or gcs.kms_key_name,
        storage_class=target.storage_class or s3.storage_class,
        tags=target.tags or s3.tags,
        metadata=target.metadata,
        lock_mode=lock.mode if lock else None,
        lock_days=lock.days if lock else 0,
        default_lock=s3.object_lock,
        checksum=s3.checksum or "",
        part_size=target.part_size,
        concurrency=target.concurrency,
        max_bytes_per_second=target.max_bytes_per_second or 0,
        proxy=target.proxy,
        connect_timeout=target.connect_timeout_seconds,
        request_timeout=target.request_timeout_seconds,
        max_retries=target.max_retries,
        retry_timeout=target.retry_timeout_seconds,
    )


def _token_file(method: AuthMethod, secret: str, secrets: str, file: str) -> str:
    if method is not AuthMethod.TOKEN:
        return ""
    return f"{secrets}/{secret}/token" if secret else file


def _if(condition: bool, text: str) -> str:
    return text if condition else ""
