"""From the documents of a restore and of its cluster to the settings of the restore's Job on Kubernetes.

The paths are those of backups' Jobs; the place of the safety backup has a folder of its own for its
credentials, where those are another Secret's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from bao_backup.core.backup_spec import JobTemplate
from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.from_document import own_deadline
from bao_backup.core.job_settings import (
    CREDENTIALS_FOLDER,
    bao_settings,
    connection_problems,
    login_problems,
    store_in_pod,
)
from bao_backup.core.job_template import Used, account_problems, template_problems
from bao_backup.core.login import Auth
from bao_backup.core.naming import cluster_prefix
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted
from bao_backup.core.restore_spec import OpenBaoRestore, RestoreSource
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.target import Target

#: The Secret with the storage credentials of the place of the safety backup, where it is another one.
SAFETY_CREDENTIALS_FOLDER = "/etc/bao/backup/safety-credentials"
#: The role that the existing operator makes with `selfInit.oidc`.
OIDC_RESTORE_ROLE = "openbao-operator-restore"


def restore_settings_from_documents(
    restore: OpenBaoRestore, cluster: OpenBaoCluster, *, audience: str
) -> RestoreSettings:
    """What the restore works with, in a pod.

    Args:
        restore: which backup, and how.
        cluster: the cluster that it overwrites.
        audience: of the token for OpenBao, where neither document names one.

    Raises DocumentError that names each field with which no restore can work on Kubernetes.
    """
    problems = restore_problems(restore, cluster)
    source, login = source_target(restore, cluster), restore_login(restore, cluster)
    if source is None or login is None or problems:
        name = f"{restore.metadata.namespace}/{restore.metadata.name}"
        raise DocumentError(f"make a Job from the restore {name}", problems)
    safety = safety_target(restore, cluster)
    return RestoreSettings(
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.identity,
        restore=restore.metadata.name,
        # The same for every start, also of a Job that had to be made once more.
        accepted=restore.metadata.creation_timestamp,
        bao=bao_settings(cluster, login, audience),
        wanted=_wanted(restore.spec.source),
        source=_place(source, cluster, CREDENTIALS_FOLDER),
        force=restore.spec.force,
        safety=_place(safety, cluster, _safety_folder(safety, source)) if safety else None,
        deadline_seconds=own_deadline(restore.spec.active_deadline_seconds),
    )


def source_target(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> Target | None:
    """Where the backup is: what the restore says, else where the cluster's backups go."""
    return restore.spec.source.target or (cluster.spec.backup.target if cluster.spec.backup else None)


def safety_target(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> Target | None:
    """Where the safety backup goes: where the cluster's go, else to the source; None: there is none."""
    if not restore.spec.safety_backup:
        return None
    return cluster.spec.backup.target if cluster.spec.backup else restore.spec.source.target


def restore_login(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> Auth | None:
    """The one way to log in: the restore's own, else the cluster's role for restores; None: there is none.

    An empty audience means the manager's own default.
    """
    spec, oidc = restore.spec, cluster.spec.self_init.oidc
    auth = spec.auth
    if auth is None and spec.token_secret_ref is not None and spec.token_secret:
        auth = Auth(method=AuthMethod.TOKEN, secret_ref=spec.token_secret_ref)
    role = (
        spec.jwt_auth_role
        or cluster.spec.restore.jwt_auth_role
        or (OIDC_RESTORE_ROLE if oidc.enabled else "")
    )
    if auth is None and role:
        auth = Auth(method=AuthMethod.JWT, role=role)
    if auth is not None and auth.role and not auth.audience:
        return replace(auth, audience=oidc.audience)
    return auth


def restore_template(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> JobTemplate:
    """The restore's `jobTemplate`, else that of the cluster's backups, but for its ServiceAccount.

    A ServiceAccount for backups has an OpenBao role that only reads.
    """
    backup = cluster.spec.backup
    if restore.spec.job_template is not None or backup is None or backup.job_template is None:
        return restore.spec.job_template or JobTemplate()
    return replace(backup.job_template, service_account_name="")


def restore_problems(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> tuple[Problem, ...]:
    """Every field with which no restore can work on Kubernetes, though both documents themselves are right.

    Those of the cluster's document say so.
    """
    problems = [Problem(f"spec.{path}", expected) for path, expected in _wrong(restore, cluster)]
    return (*problems, *(_of_cluster(problem) for problem in connection_problems(cluster)))


def _wrong(restore: OpenBaoRestore, cluster: OpenBaoCluster) -> Iterator[tuple[str, str]]:
    """Path below `spec`, and what is expected there."""
    source, safety = source_target(restore, cluster), safety_target(restore, cluster)
    template = restore_template(restore, cluster)
    yield from login_problems(restore.spec.auth)
    if restore_login(restore, cluster) is None:
        ways = "auth, jwtAuthRole or tokenSecretRef, or spec.restore.jwtAuthRole of the cluster"
        yield "auth", f"expected a login: {ways}"
    if source is None:
        yield "source.target", "expected it, since the cluster has no spec.backup.target"
        return
    used = [Used("source.target.path", source, writes=safety is source)]
    if safety is not None and safety is not source:
        used.append(Used("the path of the cluster's backup target", safety))
    borrowed = "" if restore.spec.job_template else "; without one here, that of the cluster's backups counts"
    for path, expected in template_problems(template, used):
        yield path, expected + borrowed
    if restore.spec.source.target is not None:
        for path, expected in account_problems(template, source):
            yield f"source.target.{path}", expected
    if safety is not None and _differ(_identity(source), _identity(safety)):
        expected = "expected the same as of the cluster's backup target, where the safety backup goes"
        yield "source.target.workloadIdentity", f"{expected}, since a pod has one; or safetyBackup: false"


def _identity(target: Target) -> dict[str, str]:
    """What a pod is told of the cloud's identity, by key."""
    identity = target.workload_identity
    if identity is None:
        return {}
    annotations = {f"annotation {key}": value for key, value in identity.service_account_annotations.items()}
    return annotations | {f"label {key}": value for key, value in identity.pod_labels.items()}


def _differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(one[key] != other[key] for key in one.keys() & other.keys())


def _of_cluster(problem: Problem) -> Problem:
    return Problem(problem.path, f"{problem.expected} (in the cluster's document)")


def _wanted(source: RestoreSource) -> Wanted:
    return Wanted(
        key=source.key,
        latest=source.latest,
        before=source.before,
        sha256=source.expected_digest.removeprefix("sha256:"),
        size=source.expected_size,
        cluster_id=source.expected_cluster_id,
        version=source.expected_version,
    )


def _place(target: Target, cluster: OpenBaoCluster, folder: str) -> Place:
    names = cluster.metadata
    return Place(
        store=store_in_pod(target),
        credentials_folder=folder if target.credentials_secret else "",
        prefix=cluster_prefix(target.path_prefix, names.namespace, names.name),
    )


def _safety_folder(safety: Target, source: Target) -> str:
    same = safety.credentials_secret == source.credentials_secret
    return CREDENTIALS_FOLDER if same else SAFETY_CREDENTIALS_FOLDER
