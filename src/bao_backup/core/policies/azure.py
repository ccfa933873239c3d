"""The sheet of rights for a target on Azure Blob Storage: a role at the container, and who has it.

Sources: Azure documentation, "Permissions for calling data operations" of the storage services' REST
API, "Azure custom roles", and "Workload identity federation".
"""

from __future__ import annotations

from typing import Any

from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.sheet import File, Sheet, Step, command

ROLE = "store-role.json"
#: The audience of the token that a pod has for Azure.
AUDIENCE = "api://AzureADTokenExchange"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_SUBSCRIPTION = "/subscriptions/<SUBSCRIPTION>"


def azure_sheet(asked: Asked) -> Sheet:
    """A role of its own, assigned at the container."""
    about = f"the container {asked.store.bucket} of {asked.where}"
    steps = (_role_step(asked), _assignment(asked), *_identity(asked))
    return Sheet(subject="store", about=about, steps=steps, notes=_notes(asked))


def role(asked: Asked) -> dict[str, Any]:
    """The custom role: what is done with blobs, and nothing else."""
    # To list is to read, for Azure; and to write is to create and to replace.
    actions = [f"{_BLOBS}/read", f"{_BLOBS}/write"]
    if asked.drops or asked.purpose is Purpose.VERIFY:
        actions.append(f"{_BLOBS}/delete")
    if asked.store.tags:
        actions.append(f"{_BLOBS}/tags/write")
    if asked.store.lock_mode:
        actions.append(f"{_BLOBS}/immutableStorage/runAsSuperUser/action")
    return {
        "Name": asked.label,
        "Description": f"bao-backup: {asked.purpose} of {asked.namespace}/{asked.name}",
        "IsCustom": True,
        "Actions": [],
        "NotActions": [],
        "DataActions": actions,
        "NotDataActions": [],
        "AssignableScopes": [_SUBSCRIPTION],
    }


def _role_step(asked: Asked) -> Step:
    create = command("az", "role", "definition", "create", "--role-definition", f"@{ROLE}")
    return Step(
        why="The role. (Where no role may be made: Storage Blob Data Contributor, which may do more.)",
        files=(File(name=ROLE, content=role(asked)),),
        commands=(create,),
    )


def _assignment(asked: Asked) -> Step:
    account = asked.store.account or "<STORAGE-ACCOUNT>"
    scope = (
        f"{_SUBSCRIPTION}/resourceGroups/<RESOURCE-GROUP>/providers/Microsoft.Storage/storageAccounts/"
        f"{account}/blobServices/default/containers/{asked.store.bucket}"
    )
    assign = command(
        *("az", "role", "assignment", "create", "--role", asked.label, "--scope", scope),
        *("--assignee-object-id", "<PRINCIPAL>", "--assignee-principal-type", "ServicePrincipal"),
    )
    return Step(why="At this container, for the identity of the runs.", commands=(assign,))


def _identity(asked: Asked) -> tuple[Step, ...]:
    if asked.keys:
        return ()
    create = command(
        *("az", "identity", "federated-credential", "create", "--name", asked.label),
        *("--identity-name", "<IDENTITY>", "--resource-group", "<RESOURCE-GROUP>"),
        *("--issuer", asked.issuer or "<ISSUER>", "--subject", asked.token_subject),
        *("--audiences", AUDIENCE),
    )
    why = "With Azure Workload Identity: tokens of this ServiceAccount count as the managed identity."
    return (Step(why=why, commands=(create,)),)


def _notes(asked: Asked) -> tuple[str, ...]:
    found = [
        (
            "The container is the smallest scope of a role: clusters that must not see one another's backups "
            "need a container each."
        ),
        (
            "An account's key may do anything, and no role limits it; a signature has rights of its own: "
            "racwl, with retention racwdl."
        ),
    ]
    if asked.purpose is Purpose.RESTORE:
        found.append("Writing is for the safety backup; with safetyBackup: false take it away.")
    if asked.purpose is Purpose.VERIFY:
        found.append(
            "Writing and deleting is for receipts; to list, show and download, take both of them away."
        )
    return tuple(found)
