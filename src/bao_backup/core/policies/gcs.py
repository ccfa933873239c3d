"""The sheet of rights for a target on Google Cloud Storage: roles, bindings, and who takes them on.

Sources: Cloud Storage documentation, "IAM permissions for JSON methods" and "IAM Conditions" (a
condition on an object's name never holds for listing, which is asked of the bucket); GKE
documentation, "Authenticate to Google Cloud APIs from GKE workloads".
"""

from __future__ import annotations

import re

import msgspec

from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.sheet import File, Sheet, Step, command

#: The annotation that names the service account a Kubernetes ServiceAccount stands for.
GKE_ACCOUNT = "iam.gke.io/gcp-service-account"
LIST_ROLE = "baoBackupList"
CONDITION = "store-condition.json"


def gcs_sheet(asked: Asked) -> Sheet:
    """Two roles: for objects below the prefix, and to list."""
    about = f"gs://{asked.store.bucket}/{asked.prefix}/ of {asked.where}"
    steps = (_roles(asked), _bindings(asked), *_identity(asked))
    return Sheet(subject="store", about=about, steps=steps, notes=_notes(asked))


def permissions(asked: Asked) -> list[str]:
    """What is done with single objects."""
    create, get, delete = (f"storage.objects.{verb}" for verb in ("create", "get", "delete"))
    lock = ["storage.objects.setRetention"] if asked.store.lock_mode else []
    if asked.purpose is Purpose.RESTORE:
        return [create, get, *lock]
    # To replace an object is to delete it: a second start of a run replaces the body of the first.
    return [create, get, delete, *lock]


def _roles(asked: Asked) -> Step:
    def create(role: str, title: str, allowed: list[str]) -> str:
        return command(
            *("gcloud", "iam", "roles", "create", role, "--project", _project(asked)),
            *("--title", title, "--permissions", ",".join(allowed)),
        )

    what = f"bao-backup, {asked.purpose}"
    return Step(
        why="Two roles with these permissions alone.",
        commands=(
            create(_role(asked), what, permissions(asked)),
            create(LIST_ROLE, "bao-backup, list", ["storage.objects.list"]),
        ),
    )


def _bindings(asked: Asked) -> Step:
    objects = f"projects/_/buckets/{asked.store.bucket}/objects/{asked.prefix}/"
    # CEL takes the escapes of JSON.
    expression = f"resource.name.startsWith({msgspec.json.encode(objects).decode()})"

    condition = File(name=CONDITION, content={"title": asked.label, "expression": expression})

    def bind(role: str, bound: str) -> str:
        return command(
            *("gcloud", "storage", "buckets", "add-iam-policy-binding", f"gs://{asked.store.bucket}"),
            *("--member", f"serviceAccount:{_member(asked)}"),
            *("--role", f"projects/{_project(asked)}/roles/{role}", bound),
        )

    why = "The first for objects below the prefix; the second for the bucket's names."
    conditional = bind(_role(asked), f"--condition-from-file={CONDITION}")
    return Step(why=why, files=(condition,), commands=(conditional, bind(LIST_ROLE, "--condition=None")))


def _identity(asked: Asked) -> tuple[Step, ...]:
    if asked.keys:
        return ()
    project = _project(asked)
    binding = command(
        *("gcloud", "iam", "service-accounts", "add-iam-policy-binding", _member(asked)),
        *("--role", "roles/iam.workloadIdentityUser"),
        *("--member", f"serviceAccount:{project}.svc.id.goog[{asked.namespace}/{asked.account}]"),
    )
    why = (
        "On GKE: pods of this ServiceAccount are the service account, which target.workloadIdentity."
        f"serviceAccountAnnotations names as {GKE_ACCOUNT}."
    )
    return (Step(why=why, commands=(binding,)),)


def _notes(asked: Asked) -> tuple[str, ...]:
    found = [
        (
            "Conditions need uniform bucket-level access. Who may list sees the names of the whole bucket, "
            "since Google asks for that right at the bucket; a bucket for each cluster keeps them apart."
        ),
    ]
    if asked.store.kms_key_id:
        found.append(
            "The key is used by Cloud Storage's own account, not by runs: gcloud storage service-agent "
            f"--authorize-cmek {asked.store.kms_key_id}"
        )
    if asked.purpose is Purpose.BACKUP:
        found.append(
            "storage.objects.delete is for the retention, and to replace what an earlier start of the same "
            "run has left."
        )
    if asked.purpose is Purpose.RESTORE:
        found.append(
            "storage.objects.create is for the safety backup; with safetyBackup: false take it away."
        )
    if asked.purpose is Purpose.VERIFY:
        found.append(
            "Creating and deleting is for receipts; to list, show and download, take both of them away."
        )
    return tuple(found)


def _role(asked: Asked) -> str:
    """The id of a custom role: letters, digits, points and underscores, 3 to 64 of them."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", f"bao_{asked.purpose}_{asked.namespace}_{asked.name}")[:64]


def _project(asked: Asked) -> str:
    # user@PROJECT.iam.gserviceaccount.com
    host = asked.annotations.get(GKE_ACCOUNT, "").partition("@")[2]
    return asked.project or host.removesuffix(".iam.gserviceaccount.com") or "<PROJECT>"


def _member(asked: Asked) -> str:
    return asked.annotations.get(GKE_ACCOUNT) or "<SERVICE-ACCOUNT>"
