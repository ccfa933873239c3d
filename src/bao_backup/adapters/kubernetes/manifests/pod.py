"""The pod of a run: what the restricted Pod Security level allows, and not more than it needs."""

from __future__ import annotations

from collections.abc import Mapping

from bao_backup.adapters.kubernetes.manifests.owned import Manifest
from bao_backup.adapters.kubernetes.manifests.volumes import Mounted, mounted
from bao_backup.adapters.kubernetes.manifests.work import Work
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.backup_spec import JobTemplate
from bao_backup.core.storage import MIB

#: The executor answers a signal within a second and gives an upload 10 to abort; revoking the token
#: may take three waits of 5, and one small request to a store that hangs the rest.
GRACE_SECONDS = 60
#: The user and group of the image.
USER = 1000
RESULT_FILE = "/dev/termination-log"
#: What an executor takes besides the parts of its upload, and with parts of the default size.
MEMORY, LEAST_MEMORY = 256 * MIB, 512 * MIB


def pod_spec(work: Work, options: JobOptions) -> Manifest:
    """What runs, as whom, and where."""
    template, mounts = work.template, mounted(work)
    spec: Manifest = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "serviceAccountName": work.service_account_name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(options),
        "containers": [_container(work, options, mounts)],
        "volumes": [{"name": each.name, **each.source} for each in mounts] + list(template.volumes),
    }
    if options.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    return spec | _placement(template)


def _container(work: Work, options: JobOptions, mounts: tuple[Mounted, ...]) -> Manifest:
    template = work.template
    return {
        "name": work.component,
        "image": work.image or options.image,
        "imagePullPolicy": options.image_pull_policy,
        # The image's entry point is the program itself.
        "args": [*(work.command or (work.component,)), "--result", RESULT_FILE],
        "env": _environment(work.environment) + list(template.env),
        "resources": template.resources or _resources(work),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "terminationMessagePath": RESULT_FILE,
        "terminationMessagePolicy": "File",
        "volumeMounts": [each.mount for each in mounts] + list(template.volume_mounts),
    }


def _environment(variables: Mapping[str, str]) -> list[Manifest]:
    # Kubernetes replaces $(NAME) in a value, unless the dollar is doubled.
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()]


def _pod_security(options: JobOptions) -> Manifest:
    security: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if options.openshift:
        return security
    return security | {
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A folder full of backups is not gone through at every run.
        "fsGroupChangePolicy": "OnRootMismatch",
    }


def _resources(work: Work) -> Manifest:
    """The existing operator's, but for more memory where the parts of an upload need it, and processor.

    A snapshot of small entries takes 12 s of processor time a GiB (docs/benchmarks.md): with half a
    processor the run, not the server, would be the slower side.
    """
    parts = max(each.store.part_size * (each.store.concurrency + 1) for each in work.targets)
    memory = max(LEAST_MEMORY, MEMORY + parts)
    return {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": f"{-(-memory // MIB)}Mi"},
    }


def _placement(template: JobTemplate) -> Manifest:
    wanted = {
        "nodeSelector": template.node_selector,
        "tolerations": list(template.tolerations),
        "affinity": template.affinity,
        "priorityClassName": template.priority_class_name,
    }
    return {name: value for name, value in wanted.items() if value}
