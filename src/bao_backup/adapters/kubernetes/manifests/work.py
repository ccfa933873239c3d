"""What one Job is for, in the words that its objects are made in: the same for backups and restores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from bao_backup.adapters.kubernetes import names
from bao_backup.core import restore_settings as of_restore
from bao_backup.core import settings as of_backup
from bao_backup.core.backup_spec import JobTemplate
from bao_backup.core.connection import BaoSettings
from bao_backup.core.errors import InternalError
from bao_backup.core.login import Auth
from bao_backup.core.model import Trigger
from bao_backup.core.observed import StartRun
from bao_backup.core.restore_from_document import (
    restore_login,
    restore_template,
    safety_target,
    source_target,
)
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.core.restore_spec import OpenBaoRestore
from bao_backup.core.settings import RunSettings
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.storage import StoreSettings
from bao_backup.core.target import Target

#: Values of the label `names.BACKUP_TYPE`.
BACKUP_TYPES = {
    Trigger.SCHEDULED: "scheduled",
    Trigger.MANUAL: "manual",
    Trigger.PRE_UPGRADE: "pre-upgrade",
    Trigger.PRE_RESTORE: "pre-restore",
}
#: How long a check's Job may take, with the time that its image takes to come; and how long it waits
#: for a leader: a new cluster may not be initialised yet. In seconds.
CHECK_SECONDS = 900
CHECK_WAIT = 300
_NO_SLOT = datetime(1970, 1, 1, tzinfo=UTC)


class Attached(NamedTuple):
    """A target, as the pod has it."""

    #: Name of the volume with its credentials.
    volume: str
    target: Target
    store: StoreSettings
    credentials_folder: str


class Work(NamedTuple):
    """What one Job is for."""

    #: Its objects are beside this cluster, and go away with it.
    cluster: OpenBaoCluster
    #: `names.BACKUP_COMPONENT` or `names.RESTORE_COMPONENT`; also the command, and the container's name.
    component: str
    #: Of the Job.
    name: str
    #: Of Job and pod, beside those of all our objects.
    labels: Mapping[str, str]
    #: Of the Job: what the manager reads from it again. A label has no room for a whole name.
    annotations: Mapping[str, str]
    #: Of the backup's object; empty where only the executor will know.
    key: str
    template: JobTemplate
    #: Empty: the manager's own.
    image: str
    deadline_seconds: int
    environment: Mapping[str, str]
    bao: BaoSettings
    #: The Secret of the login; empty: it needs none.
    login_secret: str
    targets: tuple[Attached, ...]
    #: The program's command, with its options; empty: the component.
    command: tuple[str, ...] = ()

    @property
    def service_account_name(self) -> str:
        """The ServiceAccount of the pod."""
        return self.template.service_account_name or names.service_account_name(
            self.cluster.metadata.name, self.component
        )


def work_of_backup(document: OpenBaoCluster, run: StartRun, settings: RunSettings) -> Work:
    """A backup of this cluster, which `settings` were made for."""
    backup = document.spec.backup
    if backup is None:
        raise InternalError("make the objects of a run", "the document has no spec.backup")
    environment = of_backup.to_environment(settings)
    if settings.store.role_arn:
        environment["AWS_ROLE_ARN"] = settings.store.role_arn
        environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = settings.store.role_token_file
    about = {names.SLOT: _time(run.slot), names.TRY: str(run.number)}
    return Work(
        cluster=document,
        component=names.BACKUP_COMPONENT,
        name=run.name,
        labels={names.BACKUP_TYPE: BACKUP_TYPES[run.trigger]},
        annotations=_about(document, run.key) | about,
        key=run.key,
        template=backup.job_template or JobTemplate(),
        image=backup.image,
        deadline_seconds=backup.active_deadline_seconds,
        environment=environment,
        bao=settings.bao,
        login_secret=_secret_of(document.login),
        targets=(Attached("credentials", backup.target, settings.store, settings.credentials_folder),),
    )


def work_of_check(document: OpenBaoCluster, name: str, settings: RunSettings) -> Work:
    """A check of this cluster's configuration by the Job `name`, as whatever its backups run as."""
    run = StartRun(name=name, key="", slot=_NO_SLOT, trigger=Trigger.MANUAL, number=1)
    work = work_of_backup(document, run, settings)
    return work._replace(
        labels={names.BACKUP_TYPE: names.CHECK_TYPE},
        annotations=_about(document, ""),
        deadline_seconds=CHECK_SECONDS,
        command=("check", "--wait", str(CHECK_WAIT)),
    )


def work_of_restore(
    restore: OpenBaoRestore, cluster: OpenBaoCluster, name: str, settings: RestoreSettings
) -> Work:
    """This restore into this cluster by the Job `name`, which `settings` were made for.

    Two roles of AWS may be at work, so no variable names one: the settings do.
    """
    source, safety = source_target(restore, cluster), safety_target(restore, cluster)
    targets = []
    if settings.source is not None and source is not None:
        place = settings.source
        targets.append(Attached("credentials", source, place.store, place.credentials_folder))
    if settings.safety is not None and safety is not None:
        place = settings.safety
        targets.append(Attached("safety-credentials", safety, place.store, place.credentials_folder))
    about = {names.RESTORE_NAME: restore.metadata.name, names.RESTORE_UID: restore.metadata.uid}
    return Work(
        cluster=cluster,
        component=names.RESTORE_COMPONENT,
        name=name,
        labels={},
        annotations=_about(cluster, settings.wanted.key) | about,
        key=settings.wanted.key,
        template=restore_template(restore, cluster),
        image=restore.spec.image,
        deadline_seconds=restore.spec.active_deadline_seconds,
        environment=of_restore.to_environment(settings),
        bao=settings.bao,
        login_secret=_secret_of(restore_login(restore, cluster)),
        targets=tuple(targets),
    )


def _about(cluster: OpenBaoCluster, key: str) -> dict[str, str]:
    named = {names.KEY: key} if key else {}
    return named | {names.CLUSTER_NAME: cluster.metadata.name, names.CLUSTER_UID: cluster.metadata.uid}


def _secret_of(login: Auth | None) -> str:
    return login.secret if login is not None else ""


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
