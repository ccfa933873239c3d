"""The objects of a run, made from a document: pure functions, compared with YAML in the tests."""

from __future__ import annotations

from typing import NamedTuple

from bao_backup.adapters.kubernetes.manifests.identity import service_account
from bao_backup.adapters.kubernetes.manifests.job import job
from bao_backup.adapters.kubernetes.manifests.network import network_policy
from bao_backup.adapters.kubernetes.manifests.owned import Manifest
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.job_settings import job_settings
from bao_backup.core.observed import StartRun
from bao_backup.core.spec import OpenBaoCluster

__all__ = ["Manifest", "RunObjects", "run_objects"]


class RunObjects(NamedTuple):
    """What must be there for a run, in the order in which to make it."""

    #: None: `jobTemplate` names one that is somebody else's.
    service_account: Manifest | None
    #: None: they are switched off.
    network_policy: Manifest | None
    job: Manifest


def run_objects(document: OpenBaoCluster, run: StartRun, options: JobOptions) -> RunObjects:
    """The objects of this run of the cluster; the same for the same three.

    Raises DocumentError that names each field with which no run can work on Kubernetes.
    """
    settings = job_settings(document, run, audience=options.audience)
    return RunObjects(
        service_account=service_account(document),
        network_policy=network_policy(document, settings, options) if options.network_policy else None,
        job=job(document, run, settings, options),
    )
