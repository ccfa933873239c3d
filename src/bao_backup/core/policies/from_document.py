"""From a document, or the settings of a run, to what rights are asked for."""

from __future__ import annotations

from msgspec.structs import replace

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.from_document import store_settings
from bao_backup.core.naming import cluster_prefix
from bao_backup.core.policies.asked import Accounts, Asked, Purpose
from bao_backup.core.settings import RunSettings
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.target import WorkloadIdentity

#: The role that the existing operator makes with `selfInit.oidc`.
OIDC_RESTORE_ROLE = "openbao-operator-restore"
_BY_JWT = {AuthMethod.JWT, AuthMethod.KUBERNETES}


def asked_of_document(document: OpenBaoCluster, purpose: Purpose, accounts: Accounts) -> Asked:
    """What the document says; `accounts` are the ServiceAccounts that the manager makes.

    Raises DocumentError: it has no `spec.backup`.
    """
    backup, metadata = document.spec.backup, document.metadata
    if backup is None:
        problem = Problem("spec.backup", "expected it, to know where backups go")
        raise DocumentError(f"read the document {metadata.namespace}/{metadata.name}", [problem])
    target, oidc = backup.target, document.spec.self_init.oidc
    if backup.job_template and backup.job_template.service_account_name:
        accounts = accounts._replace(backup=backup.job_template.service_account_name)
    login = document.login
    auth = None
    if login is not None:
        auth = BaoAuth(method=login.method, mount=login.mount_path, role=login.role, audience=login.audience)
    asked = Asked(
        namespace=metadata.namespace,
        name=metadata.name,
        prefix=cluster_prefix(target.path_prefix, metadata.namespace, metadata.name),
        store=store_settings(target),
        retention=backup.policy,
        auth=auth,
        seconds=backup.active_deadline_seconds,
        account=accounts.backup,
        issuer=oidc.issuer,
        keys=bool(target.credentials_secret) and not target.role_arn,
        annotations=(target.workload_identity or WorkloadIdentity()).service_account_annotations,
        project=target.gcs.project if target.gcs else "",
    )
    role = document.spec.restore.jwt_auth_role or (OIDC_RESTORE_ROLE if oidc.enabled else "")
    return _for(asked, purpose, accounts, role)


def asked_of_run(settings: RunSettings, purpose: Purpose, accounts: Accounts) -> Asked:
    """What the settings of a run say; `accounts` are the ServiceAccounts that pods would have."""
    asked = Asked(
        namespace=settings.namespace,
        name=settings.name,
        prefix=settings.prefix,
        store=settings.store,
        retention=settings.retention,
        auth=settings.bao.auth,
        seconds=settings.deadline_seconds,
        account=accounts.backup,
        keys=bool(settings.credentials_folder) and not settings.store.role_arn,
    )
    return _for(asked, purpose, accounts, "")


def _for(asked: Asked, purpose: Purpose, accounts: Accounts, role: str) -> Asked:
    """A restore has a ServiceAccount and a role of its own, so that no backup can restore."""
    if purpose is not Purpose.RESTORE:
        return replace(asked, purpose=purpose)
    auth = asked.auth
    if auth is not None and auth.method in _BY_JWT:
        auth = replace(auth, role=role or "bao-restore")
    beside = asked.token_subject
    return replace(asked, purpose=purpose, auth=auth, account=accounts.restore, beside=beside)
