"""The sheet of rights for OpenBao or Vault: the policy, the role that gives it, and their commands.

Sources: Vault and OpenBao documentation, "Raft storage backend (API)", "Policies", and the page of each
auth method. Which capability is needed for what is tested on a real server, one taken away after the
other; so is that these commands work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bao_backup.core.connection import AuthMethod
from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.server_logins import login_steps
from bao_backup.core.policies.sheet import File, Sheet, Step, command

SNAPSHOT = "sys/storage/raft/snapshot"
FORCE = "sys/storage/raft/snapshot-force"
REVOKE = "auth/token/revoke-self"
LOOKUP = "auth/token/lookup-self"
CAPABILITIES = "sys/capabilities-self"

_WHY = {
    SNAPSHOT: "A snapshot of the whole cluster: read to back up, update to restore.",
    FORCE: "A restore where the seal's keys differ, with force: true.",
    REVOKE: "Gives the token back at the end.",
    LOOKUP: "Asks whether the server still knows this token: a restore to an earlier time forgets it.",
    CAPABILITIES: "Asks what this very token may do, before anything is begun.",
}


def server_sheet(asked: Asked) -> Sheet:
    """The policy, then what the document's way to log in needs."""
    if asked.purpose is Purpose.VERIFY:
        note = "Nothing is needed: verify, list, show and download never ask the server."
        return Sheet(subject="server", about=asked.where, notes=(note,))
    policy = policy_name(asked)
    file = File(name=f"{policy}.hcl", content=to_hcl(rules(asked)))
    write = command("bao", "policy", "write", policy, file.name)
    first = Step(why="The policy.", files=(file,), commands=(write,))
    login = login_steps(asked, policy) if asked.auth else ()
    return Sheet(subject="server", about=asked.where, steps=(first, *login), notes=_notes(asked))


def policy_name(asked: Asked) -> str:
    """What the policy is called in the server."""
    return f"bao-{asked.purpose}"


def rules(asked: Asked) -> dict[str, tuple[str, ...]]:
    """Each path and its capabilities: all that a run needs, so that the policy `default` is not."""
    found: dict[str, tuple[str, ...]] = {}
    if asked.purpose is Purpose.BACKUP:
        found[SNAPSHOT] = ("read",)
    else:
        # To read is for the safety backup.
        found[SNAPSHOT] = ("read", "update")
        if asked.force:
            found[FORCE] = ("update",)
        found[LOOKUP] = ("read",)
    if asked.auth is None or asked.auth.method is not AuthMethod.TOKEN:
        found[REVOKE] = ("update",)
    found[CAPABILITIES] = ("update",)
    return found


def to_hcl(rules_: Mapping[str, Sequence[str]]) -> str:
    """The rules as the server takes them."""
    blocks = []
    for path, capabilities in rules_.items():
        words = ", ".join(f'"{each}"' for each in capabilities)
        blocks.append(f'# {_WHY[path]}\npath "{path}" {{\n  capabilities = [{words}]\n}}')
    return "\n\n".join(blocks)


def _notes(asked: Asked) -> tuple[str, ...]:
    found = [
        (
            "In the root namespace, by somebody who may write policies and roles. With Vault: vault in "
            "place of bao, the rest is the same."
        ),
        (
            "The policy default is not needed: what a run uses of it is in this policy, and tokens are given "
            "out without default. Whoever can read a snapshot and has the unseal keys has all secrets."
        ),
    ]
    if asked.purpose is Purpose.RESTORE:
        found.append(
            "To read is for the safety backup; with safetyBackup: false take it away. Give this role to "
            "nobody for good: who may restore can replace every policy of the server."
        )
        if not asked.force:
            found.append(f"A restore with force: true needs {FORCE}, too (--force prints it).")
    if asked.auth is None:
        found.append("The document names no login, so no role is printed.")
    elif asked.auth.method is AuthMethod.TOKEN:
        found.append("A token that is configured is not given back, so it needs no right to.")
    return tuple(found)
