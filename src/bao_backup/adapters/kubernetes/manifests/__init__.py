"""The objects of a run, made from documents: pure functions, compared with YAML in the tests."""

from __future__ import annotations

from typing import NamedTuple

from bao_backup.adapters.kubernetes.manifests.identity import service_account
from bao_backup.adapters.kubernetes.manifests.job import job
from bao_backup.adapters.kubernetes.manifests.network import network_policy
from bao_backup.adapters.kubernetes.manifests.owned import Manifest
from bao_backup.adapters.kubernetes.manifests.work import Work, work_of_backup, work_of_check, work_of_restore
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.job_settings import check_settings, job_settings
from bao_backup.core.observed import StartRun
from bao_backup.core.restore_from_document import restore_settings_from_documents
from bao_backup.core.restore_spec import OpenBaoRestore
from bao_backup.core.spec import OpenBaoCluster

__all__ = ["Manifest", "RunObjects", "check_objects", "restore_objects", "run_objects"]


class RunObjects(NamedTuple):
    """What must be there for a run, in the order in which to make it."""

    #: None: `jobTemplate` names one that is somebody else's.
    service_account: Manifest | None
    #: None: they are switched off.
    network_policy: Manifest | None
    job: Manifest


def run_objects(document: OpenBaoCluster, run: StartRun, options: JobOptions) -> RunObjects:
    """The objects of this backup of the cluster; the same for the same three.

    Raises DocumentError that names each field with which no run can work on Kubernetes.
    """
    settings = job_settings(document, run, audience=options.audience)
    return _objects(work_of_backup(document, run, settings), options)


def check_objects(document: OpenBaoCluster, name: str, options: JobOptions) -> RunObjects:
    """The objects of a check of the cluster's configuration, by a Job of this name: all but that a backup's.

    Raises DocumentError that names each field with which no run can work on Kubernetes.
    """
    settings = check_settings(document, audience=options.audience)
    return _objects(work_of_check(document, name, settings), options)


def restore_objects(
    restore: OpenBaoRestore, cluster: OpenBaoCluster, name: str, options: JobOptions
) -> RunObjects:
    """The objects of this restore into the cluster, by a Job of this name; the same for the same four.

    Raises DocumentError that names each field with which no restore can work on Kubernetes.
    """
    settings = restore_settings_from_documents(restore, cluster, audience=options.audience)
    return _objects(work_of_restore(restore, cluster, name, settings), options)


def _objects(work: Work, options: JobOptions) -> RunObjects:
    return RunObjects(
        service_account=service_account(work),
        network_policy=network_policy(work, options) if options.network_policy else None,
        job=job(work, options),
    )
