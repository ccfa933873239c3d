"""The sheet of rights for a target that is a folder."""

from __future__ import annotations

from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.sheet import Sheet, Step, command

#: The system user of docs/embedded.md.
USER = "bao-backup"
#: The user and group of runs in pods.
POD_USER = 1000


def folder_sheet(asked: Asked) -> Sheet:
    """Owner and mode."""
    mode = "0750"
    create = command("install", "-d", "-o", USER, "-g", USER, "-m", mode, asked.store.path)
    notes = [
        (
            "Folders below it get the mode 0750 and files 0640, less the umask; backups belong to whoever "
            "made them. A member of the group can read them; verify, list and download need no more."
        ),
        (
            f"On Kubernetes runs are the user and group {POD_USER}, and a volume is made theirs (fsGroup) "
            "where its kind can be."
        ),
    ]
    if asked.purpose is Purpose.VERIFY:
        notes.append("To write and withdraw receipts, verify has to be that user.")
    why = "The folder belongs to who backs up, and nobody else may write there."
    return Sheet(
        subject="store",
        about=f"the folder {asked.store.path} of {asked.where}",
        steps=(Step(why=why, commands=(create,)),),
        notes=tuple(notes),
    )
