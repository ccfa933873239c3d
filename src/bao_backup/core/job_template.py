"""What a `jobTemplate` must not do to the Job that it is merged into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bao_backup.core.backup_spec import JobTemplate
from bao_backup.core.target import Provider, Target

#: Volumes of a run's own begin so.
OWN_VOLUME = "bao-"
#: Below these a run's own volumes are mounted.
OWN_FOLDERS = ("/tmp", "/etc/bao", "/var/run/secrets", "/run/secrets")  # noqa: S108
#: Variables of a run's own begin so: they are its settings.
OWN_VARIABLES = ("CLUSTER_", "BACKUP_", "RESTORE_", "BAO_BACKUP_")
#: The one of them that only makes a run tell more.
VERBOSE = "BAO_BACKUP_VERBOSE"
#: Set where there is a `target.roleArn`.
ROLE_VARIABLES = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


class Used(NamedTuple):
    """A target that the Job's pod reads from, or also writes to."""

    #: What its path is called, e.g. "target.path".
    path: str
    target: Target
    writes: bool = True


def template_problems(template: JobTemplate, targets: Sequence[Used]) -> Iterator[tuple[str, str]]:
    """What is wrong with a template for a Job that uses these targets: path, and what is expected there.

    Paths are below the field that holds `jobTemplate`.
    """
    with_role = any(used.target.role_arn for used in targets)
    for path, expected in _problems(template, with_role=with_role):
        yield f"jobTemplate.{path}", expected
    for used in targets:
        if used.target.provider is Provider.FILE and not _is_mounted(used, template):
            writable = ", and that is not read-only," if used.writes else ""
            yield (
                "jobTemplate.volumeMounts",
                f"expected a mount that {used.path} is in{writable} for provider file",
            )


def account_problems(template: JobTemplate, target: Target) -> Iterator[tuple[str, str]]:
    """Path below the target, and what is expected there, where the template names a ServiceAccount."""
    identity = target.workload_identity
    if template.service_account_name and identity and identity.service_account_annotations:
        yield (
            "workloadIdentity.serviceAccountAnnotations",
            "expected none, since jobTemplate.serviceAccountName is somebody else's to annotate",
        )


def _problems(template: JobTemplate, *, with_role: bool) -> Iterator[tuple[str, str]]:
    for number, variable in enumerate(template.env):
        name = str(variable.get("name"))
        is_own = name.startswith(OWN_VARIABLES) and name != VERBOSE
        if is_own or (with_role and name in ROLE_VARIABLES):
            yield f"env[{number}].name", "expected none of the variables that the run gets its settings by"
    for number, volume in enumerate(template.volumes):
        if not _is_name(volume.get("name")):
            yield f"volumes[{number}].name", f'expected a name that does not begin with "{OWN_VOLUME}"'
        if "hostPath" in volume:
            # Who may edit a cluster's document must not get hold of the nodes by it.
            yield f"volumes[{number}].hostPath", "expected another kind of volume, not a folder of the node"
    names = {volume.get("name") for volume in template.volumes if _is_name(volume.get("name"))}
    for number, mount in enumerate(template.volume_mounts):
        if not _is_name(mount.get("name")) or mount["name"] not in names:
            yield f"volumeMounts[{number}].name", "expected the name of one of jobTemplate.volumes"
        if not _is_free(mount.get("mountPath")):
            yield (
                f"volumeMounts[{number}].mountPath",
                f"expected an absolute path beside {', '.join(OWN_FOLDERS)}, which the run uses",
            )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name != "" and not name.startswith(OWN_VOLUME)


def _is_free(path: object) -> bool:
    if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/"):
        return False
    return not any(_is_within(path, own) or _is_within(own, path) for own in OWN_FOLDERS)


def _is_within(path: str, folder: str) -> bool:
    """Whether the absolute path is the folder, or something in it; slashes count once."""
    parts, above = _parts(path), _parts(folder)
    return parts[: len(above)] == above


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _is_mounted(used: Used, template: JobTemplate) -> bool:
    return any(
        str(mount.get("mountPath", "")).startswith("/")
        and _is_within(used.target.path, str(mount["mountPath"]))
        and not (used.writes and mount.get("readOnly"))
        for mount in template.volume_mounts
    )
