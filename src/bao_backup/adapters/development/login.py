"""The five ways to log in, as far as a development server needs them."""

from __future__ import annotations

import secrets
import uuid

from bao_backup.adapters.development.state import TOKEN_SECONDS, DevelopmentCluster

Body = dict[str, object]
#: Status, the answer's `auth` when it is good, and the server's words when it is not.
Judgement = tuple[int, Body | None, str]
#: Who is named like this may restore; all others may read snapshots.
_RESTORES = "restore"


def log_in(cluster: DevelopmentCluster, mount: str, rest: list[str], given: Body) -> Judgement:
    """Answer a login at a mount; `rest` is what the path has after "login"."""
    match mount:
        case "userpass":
            return _user(cluster, "/".join(rest), str(given.get("password", "")))
        case "approle":
            return _app_role(cluster, str(given.get("role_id", "")), str(given.get("secret_id", "")))
        case "jwt-operator" | "kubernetes":
            return _jwt(cluster, mount, str(given.get("role", "")), str(given.get("jwt", "")))
        case _:
            return 403, None, "permission denied"


def _user(cluster: DevelopmentCluster, name: str, password: str) -> Judgement:
    expected = cluster.logins.users.get(name)
    if expected is None or not secrets.compare_digest(expected.encode(), password.encode()):
        return 400, None, "invalid username or password"
    return 200, _auth(cluster, name, {"username": name}), ""


def _app_role(cluster: DevelopmentCluster, role_id: str, secret_id: str) -> Judgement:
    expected = cluster.logins.app_roles.get(role_id)
    if expected is None or not secrets.compare_digest(expected.encode(), secret_id.encode()):
        return 400, None, "invalid role or secret ID"
    return 200, _auth(cluster, "backup", {"role_name": "backup"}), ""


def _jwt(cluster: DevelopmentCluster, mount: str, role: str, jwt: str) -> Judgement:
    roles = cluster.logins.jwts.get(mount)
    if not roles:
        return 400, None, "could not load configuration"
    if role not in roles:
        return 400, None, f'role "{role}" could not be found'
    if jwt not in roles[role]:
        if mount == "kubernetes":
            return 403, None, "permission denied"
        return 400, None, "error validating token: error verifying token signature: no known key"
    return 200, _auth(cluster, role, {"role": role}), ""


def _auth(cluster: DevelopmentCluster, name: str, metadata: dict[str, str]) -> Body:
    policies = ("default", "restore" if name == _RESTORES else "snapshot")
    return {
        "client_token": cluster.grant(policies),
        "accessor": secrets.token_urlsafe(18),
        "policies": list(policies),
        "token_policies": list(policies),
        "metadata": metadata,
        "lease_duration": TOKEN_SECONDS,
        "renewable": True,
        "entity_id": str(uuid.uuid4()),
        "token_type": "service",
        "orphan": True,
        "mfa_requirement": None,
        "num_uses": 0,
    }
