"""From a document to the settings of a run on Kubernetes, where its Job mounts what it needs.

The paths are those of the existing operator's Jobs where those have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from bao_backup.core.backup_spec import Backup, JobTemplate
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.from_document import addresses_of, own_deadline, store_settings
from bao_backup.core.job_template import Used, account_problems, template_problems
from bao_backup.core.login import Auth
from bao_backup.core.model import Trigger
from bao_backup.core.observed import StartRun
from bao_backup.core.servers import CaSecret
from bao_backup.core.settings import DEFAULT_CA_FILE, DEFAULT_JWT_FILE, DEFAULT_TOKEN_FOLDER, RunSettings
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.storage import StoreSettings
from bao_backup.core.target import Target

#: The Secret of approle and userpass.
LOGIN_FOLDER = "/etc/bao/backup/login"
#: The Secret with the storage credentials.
CREDENTIALS_FOLDER = "/etc/bao/backup/credentials"
#: The token that AWS takes for `target.roleArn`.
AWS_TOKEN_FILE = "/var/run/secrets/aws/token"  # noqa: S105 - a path
#: Where the servers of a cluster that an operator manages listen.
OPENBAO_PORT = 8200

_BY_JWT = {AuthMethod.JWT, AuthMethod.KUBERNETES}


def job_settings(document: OpenBaoCluster, run: StartRun, *, audience: str) -> RunSettings:
    """What this run of the cluster works with, in a pod.

    Args:
        document: a cluster with `spec.backup`.
        run: which run.
        audience: of the token for OpenBao, where the document names none.

    Raises DocumentError that names each field with which no run can work on Kubernetes.
    """
    backup, login = document.spec.backup, document.login
    problems = list(job_problems(document))
    if backup is None:
        problems.append(Problem("spec.backup", "expected it, to know where backups go"))
    elif login is None:
        expected = "expected a login: auth, jwtAuthRole or tokenSecretRef"
        problems.append(Problem("spec.backup.auth", expected))
    name = f"{document.metadata.namespace}/{document.metadata.name}"
    if backup is None or login is None or problems:
        raise DocumentError(f"make a Job from the document {name}", problems)
    target = backup.target
    return RunSettings(
        namespace=document.metadata.namespace,
        name=document.metadata.name,
        uid=document.identity,
        path_prefix=target.path_prefix,
        key=run.key,
        slot=run.slot,
        trigger=run.trigger,
        number=run.number,
        bao=bao_settings(document, login, audience),
        store=store_in_pod(target),
        credentials_folder=CREDENTIALS_FOLDER if target.credentials_secret else "",
        verify=backup.verify,
        retention=backup.policy,
        deadline_seconds=own_deadline(backup.active_deadline_seconds),
    )


def check_settings(document: OpenBaoCluster, *, audience: str) -> RunSettings:
    """What a check of the cluster's configuration works with, in a pod: as its runs, but for any slot.

    Raises as `job_settings`.
    """
    run = StartRun(name="", key="", slot=datetime.min.replace(tzinfo=UTC), trigger=Trigger.MANUAL, number=1)
    return replace(job_settings(document, run, audience=audience), slot=None)


def job_problems(document: OpenBaoCluster) -> tuple[Problem, ...]:
    """Every field with which no run can work on Kubernetes, though the document itself is right.

    A document without backups, or without a login, has none here: preflight says that.
    """
    backup = document.spec.backup
    if backup is None:
        return ()
    problems = [Problem(f"spec.backup.{path}", expected) for path, expected in _wrong_in_backup(backup)]
    return (*problems, *connection_problems(document))


def connection_problems(document: OpenBaoCluster) -> tuple[Problem, ...]:
    """Every field of `spec.connection` with which no pod finds the servers."""
    connection = document.spec.connection
    if connection is None or not connection.ca_file:
        return ()
    expected = "expected caSecretRef instead: a run on Kubernetes has no such file"
    return (Problem("spec.connection.caFile", expected),)


def login_problems(auth: Auth | None) -> Iterator[tuple[str, str]]:
    """What of `auth` a pod cannot have: path below the field that holds it, and what is expected there."""
    if auth is not None and auth.file:
        instead = "no file, since the pod gets a token" if auth.method in _BY_JWT else "secretRef instead"
        yield "auth.file", f"expected {instead}: a run on Kubernetes has no such file"


def bao_settings(document: OpenBaoCluster, login: Auth, audience: str) -> BaoSettings:
    """The cluster's servers as a pod reaches them, and this login to them."""
    connection = document.spec.connection
    return BaoSettings(
        addresses=server_addresses(document),
        auth=_auth(login, audience),
        ca_file=DEFAULT_CA_FILE if ca_secret(document) else "",
        server_name=connection.server_name if connection else "",
    )


def store_in_pod(target: Target) -> StoreSettings:
    """The target as a pod reaches it."""
    return replace(store_settings(target), role_token_file=AWS_TOKEN_FILE if target.role_arn else "")


def server_addresses(document: OpenBaoCluster) -> tuple[str, ...]:
    """The URLs of the servers: those of `spec.connection`, else of the pods of a managed cluster.

    The pods are those of a StatefulSet and a headless Service, both named as the cluster.
    """
    name, namespace = document.metadata.name, document.metadata.namespace
    if document.spec.connection is not None:
        return addresses_of(document.spec.connection, namespace)
    return tuple(
        f"https://{name}-{index}.{name}.{namespace}.svc:{OPENBAO_PORT}"
        for index in range(document.spec.replicas)
    )


def ca_secret(document: OpenBaoCluster) -> CaSecret | None:
    """The Secret with the CA of the servers; None: the image's own CAs count.

    The existing operator keeps the one of a cluster that it manages in `<cluster>-tls-ca`.
    """
    if document.spec.connection is not None:
        return document.spec.connection.ca_secret_ref
    return CaSecret(name=f"{document.metadata.name}-tls-ca")


def _auth(login: Auth, audience: str) -> BaoAuth:
    by_jwt = login.method in _BY_JWT
    by_token = login.method is AuthMethod.TOKEN
    return BaoAuth(
        method=login.method,
        mount=login.mount_path,
        role=login.role,
        audience=(login.audience or audience) if by_jwt else "",
        token_file=f"{DEFAULT_TOKEN_FOLDER}/token" if by_token else "",
        jwt_file=DEFAULT_JWT_FILE if by_jwt else "",
        secret_folder="" if by_jwt or by_token else LOGIN_FOLDER,
    )


def _wrong_in_backup(backup: Backup) -> Iterator[tuple[str, str]]:
    template = backup.job_template or JobTemplate()
    yield from login_problems(backup.auth)
    yield from template_problems(template, [Used("target.path", backup.target)])
    for path, expected in account_problems(template, backup.target):
        yield f"target.{path}", expected
