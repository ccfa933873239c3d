"""`bao-backup operator`: the manager on Kubernetes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bao_backup.entry.logs import Log
from bao_backup.entry.reach import load
from bao_backup.entry.web import serving_web

if TYPE_CHECKING:  # its help is there without the libraries of Kubernetes
    from bao_backup.adapters.kubernetes.options import JobOptions
    from bao_backup.entry.operating import LeaseNames

EPILOG = """\b
Examples:
  bao-backup operator --image registry.example/bao-backup:1.0
  bao-backup operator --image ... --namespace team-a --namespace team-b
  bao-backup operator --image ... --kubeconfig ~/.kube/config --no-lease
Each option may be given as a variable, too: BAO_BACKUP_IMAGE,
BAO_BACKUP_NAMESPACE (with spaces between several), and so on. SIGTERM ends it
within seconds; runs are Jobs, and go on.
"""


@click.command("operator", epilog=EPILOG, context_settings={"auto_envvar_prefix": "BAO_BACKUP"})
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    envvar="BAO_BACKUP_NAMESPACE",
    metavar="NAME",
    help="Manage only the clusters of this namespace; repeatable. Default: of all.",
)
@click.option("--image", required=True, metavar="IMAGE", help="Image of the runs: this program's own.")
@click.option(
    "--image-pull-policy",
    type=click.Choice(["Always", "IfNotPresent", "Never"]),
    default="IfNotPresent",
    show_default=True,
    help="When nodes pull it.",
)
@click.option(
    "--image-pull-secret",
    "image_pull_secrets",
    multiple=True,
    envvar="BAO_BACKUP_IMAGE_PULL_SECRET",
    metavar="NAME",
    help="Secret to pull it with, in each cluster's namespace; repeatable.",
)
@click.option(
    "--network-policy/--no-network-policy",
    default=True,
    show_default=True,
    help="Whether runs get a NetworkPolicy.",
)
@click.option("--openshift", is_flag=True, help="Leave user and group numbers to OpenShift.")
@click.option(
    "--lease-name",
    default="bao-backup",
    show_default=True,
    metavar="NAME",
    help="The Lease that replicas compete for.",
)
@click.option("--lease-namespace", metavar="NAME", help="Where it is. Default: the pod's own namespace.")
@click.option(
    "--lease/--no-lease", default=True, show_default=True, help="Without it, this must be the only replica."
)
@click.option(
    "--max-runs",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Runs at once, at most. Default: no limit.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="0.0.0.0:9180",
    show_default=True,
    help="Where /healthz, /readyz and /metrics answer.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="json",
    show_default=True,
    help="Form of the log.",
)
@click.option("--kubeconfig", metavar="FILE", default="", help="Outside a cluster. Default: KUBECONFIG.")
@click.option("--context", "kube_context", metavar="NAME", default="", help="Context of the kubeconfig.")
@click.option("--verbose", is_flag=True, help="Log the details of errors.")
def operator_command(
    *,
    namespaces: tuple[str, ...],
    max_runs: int,
    listen: str,
    log_format: str,
    kubeconfig: str,
    kube_context: str,
    verbose: bool,
    **given: Any,
) -> None:
    """Schedule backups as Jobs on Kubernetes, by the documents there, until SIGTERM."""
    operating = load("bao_backup.entry.operating")
    from bao_backup.adapters.kubernetes.connection import connect

    log = Log(log_format, verbose=verbose)

    async def manage() -> None:
        manager = operating.KubernetesManager(
            await connect(kubeconfig, kube_context),
            namespaces=namespaces,
            options=_job_options(given),
            lease=_lease_names(given) if given["lease"] else None,
            log=log,
            most_runs=max_runs,
        )
        with serving_web(
            listen, alive=manager.alive, ready=manager.ready, figures=manager.figures
        ) as address:
            log.say(f"probes and metrics on http://{address}")
            await manager.run()

    asyncio.run(manage())


def _job_options(given: Mapping[str, Any]) -> JobOptions:
    from bao_backup.adapters.kubernetes.options import DEFAULT_AUDIENCE, JobOptions

    return JobOptions(
        image=given["image"],
        image_pull_policy=given["image_pull_policy"],
        image_pull_secrets=given["image_pull_secrets"],
        audience=os.environ.get("OPENBAO_JWT_AUDIENCE") or DEFAULT_AUDIENCE,
        openshift=given["openshift"],
        network_policy=given["network_policy"],
    )


def _lease_names(given: Mapping[str, Any]) -> LeaseNames:
    from bao_backup.adapters.kubernetes.connection import own_namespace
    from bao_backup.entry.operating import LeaseNames

    return LeaseNames(
        namespace=given["lease_namespace"] or own_namespace(),
        name=given["lease_name"],
        identity=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
    )
