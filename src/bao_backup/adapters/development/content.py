"""What a snapshot holds of a pretended cluster, as records under the names that a real state has."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

import msgspec

from bao_backup.adapters.development.barrier import Barrier

_SPACE = uuid.UUID("5b1e9a4c-6f1d-4c53-9a49-0f3b6e5f2d10")
MOUNT = f"logical/{uuid.uuid5(_SPACE, 'secret/')}"
_SECRETS = f"{MOUNT}/data/"
#: Where all but the secrets is once more, in the form that is read back.
_REST = "core/development"

#: path -> capabilities; a path that ends in "*" stands for all that begin like it.
Policy = dict[str, tuple[str, ...]]


@dataclass(slots=True)
class Secret:
    """A secret of the kv engine: its newest version only."""

    data: dict[str, object]
    version: int = 1
    created: str = ""


@dataclass(slots=True)
class Logins:
    """Who may log in. All of them get the policy "snapshot", but for those that are named "restore"."""

    #: user name -> password
    users: dict[str, str] = field(default_factory=dict)
    #: role id -> secret id
    app_roles: dict[str, str] = field(default_factory=dict)
    #: mount -> role -> the tokens that are accepted; no signature is checked, each is like a password
    jwts: dict[str, dict[str, set[str]]] = field(default_factory=dict)


@dataclass(slots=True)
class Content:
    """What a snapshot holds of a cluster, and what a restore replaces."""

    #: Its id and name.
    id: str
    name: str
    root_token: str
    #: token -> the names of its policies
    tokens: dict[str, tuple[str, ...]]
    policies: dict[str, Policy]
    logins: Logins
    secrets: dict[str, Secret]

    def records(self, barrier: Barrier, version: str) -> dict[bytes, bytes]:
        """The records, by key and in order: sealed but for what a real server leaves readable."""
        seal = {"type": "shamir", "secret_shares": 1, "secret_threshold": 1, "pgp_keys": None, "nonce": ""}
        hidden: dict[str, object] = {
            "core/keyring": {"term": barrier.term},
            "core/mounts": ["secret/", "sys/", "cubbyhole/"],
            "core/cluster/local/info": {"name": self.name, "id": self.id},
            f"core/versions/{version}": {"version": version},
            _REST: replace(self, secrets={}),
            **{f"sys/policy/{name}": rules for name, rules in self.policies.items()},
            **{f"{_SECRETS}{path}": secret for path, secret in self.secrets.items()},
        }
        for token, policies in self.tokens.items():
            name = uuid.uuid5(_SPACE, token).hex
            hidden[f"sys/token/id/h{name}"] = {"policies": policies}
            hidden[f"sys/expire/id/auth/token/create/h{name}"] = {"ttl": 0}
        sealed = {key: barrier.seal(msgspec.json.encode(value)) for key, value in hidden.items()}
        sealed["core/seal-config"] = msgspec.json.encode(seal)
        return {key.encode(): sealed[key] for key in sorted(sealed)}


def open_records(barrier: Barrier, records: dict[bytes, bytes]) -> Content:
    """What records hold. Raises BarrierError where the key is not theirs."""
    content = msgspec.json.decode(barrier.open(records.get(_REST.encode(), b"")), type=Content)
    secrets = {
        key.decode().removeprefix(_SECRETS): msgspec.json.decode(barrier.open(value), type=Secret)
        for key, value in records.items()
        if key.startswith(_SECRETS.encode())
    }
    return replace(content, secrets=secrets)
