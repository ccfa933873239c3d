"""What a node answers to one request: who may ask, who answers, and with which words.

Status, shape and words are those that OpenBao 2.4.4 was seen to answer with; a test compares them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from bao_backup.adapters.development import archive
from bao_backup.adapters.development.exchange import Answer, Body, Request, envelope, refuse
from bao_backup.adapters.development.login import log_in
from bao_backup.adapters.development.restoring import restore
from bao_backup.adapters.development.state import (
    FORCE_PATH,
    SNAPSHOT_PATH,
    TOKEN_SECONDS,
    VERSION,
    DevelopmentCluster,
    Node,
    now,
)

NOT_ALLOWED = "1 error occurred:\n\t* permission denied\n\n"
_NEEDED = {"GET": {"read"}, "PUT": {"update", "create"}, "POST": {"update", "create"}}
_NEVER = "0001-01-01T00:00:00Z"


def answer(cluster: DevelopmentCluster, node: Node, request: Request) -> Answer:
    """Answer a request that came to this node."""
    if cluster.active is node:
        cluster.settled.wait()  # the leader answers nothing at all while it applies a snapshot
    everywhere = _EVERYWHERE.get((_verb(request), request.path))
    if everywhere is not None:
        return everywhere(cluster, node, request)
    if not cluster.initialised or node.sealed:
        return refuse(503, "Vault is sealed")
    if cluster.active is None:
        return refuse(500, "local node not active but active cluster node not found")
    if cluster.active is not node:
        return Answer(307, location=f"{cluster.active.address}/v1/{request.path}")
    return _as_leader(cluster, node, request)


def _verb(request: Request) -> str:
    return "PUT" if request.method == "POST" else request.method


def _as_leader(cluster: DevelopmentCluster, node: Node, request: Request) -> Answer:
    parts = request.path.split("/")
    if parts[0] == "auth" and "login" in parts[2:4]:
        status, auth, words = log_in(cluster, parts[1], parts[3:], request.json())
        return Answer(status, envelope(auth=auth)) if auth else refuse(status, words)
    given = cluster.capabilities(request.token, request.path)
    if given is None:
        return refuse(403, "permission denied")
    if "root" not in given and not given & _NEEDED.get(request.method, set()):
        return refuse(403, NOT_ALLOWED)
    if request.path.startswith("secret/data/"):
        return _secret(cluster, request)
    route = _FOR_LEADERS.get((_verb(request), request.path))
    return route(cluster, node, request) if route else refuse(404, f"no handler for route {request.path!r}")


# --- what every node answers, to everybody -----------------------------------------------------


def _health(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    active = cluster.active is node
    serving = cluster.initialised and not node.sealed
    status = 501 if not cluster.initialised else 503 if node.sealed else 200 if active else 429
    mode = "disabled" if serving else "unknown"
    body: Body = {
        "initialized": cluster.initialised,
        "sealed": not serving,
        "standby": not active,
        "performance_standby": False,
        "replication_performance_mode": mode,
        "replication_dr_mode": mode,
        "server_time_utc": int(time.time()),
        "version": VERSION,
    }
    return Answer(status, body | _identity(cluster, node))


def _seal_status(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    body: Body = {
        "type": "shamir",
        "initialized": cluster.initialised,
        "sealed": node.sealed,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": VERSION,
        "build_date": "",
        "migration": False,
        "recovery_seal": False,
        "storage_type": "raft",
    }
    return Answer(200, body | _identity(cluster, node))


def _identity(cluster: DevelopmentCluster, node: Node) -> Body:
    """What a sealed node does not know."""
    if node.sealed or not cluster.initialised:
        return {}
    return {"cluster_name": cluster.name, "cluster_id": cluster.id}


def _unseal(cluster: DevelopmentCluster, node: Node, request: Request) -> Answer:
    if not cluster.initialised:
        return refuse(400, "Vault is not initialized")
    if not cluster.unseal(node, str(request.json().get("key", ""))):
        return refuse(400, "failed to decrypt keys from storage: cipher: message authentication failed")
    return _seal_status(cluster, node, request)


def _leader(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    if node.sealed or not cluster.initialised:
        return refuse(503, "Vault is sealed")
    active = cluster.active
    body: Body = {
        "ha_enabled": True,
        "is_self": active is node,
        "active_time": cluster.active_since if active is node else _NEVER,
        "leader_address": active.address if active else "",
        "leader_cluster_address": f"https://{archive.raft_address(active.address)}" if active else "",
        "raft_committed_index": cluster.index,
        "raft_applied_index": cluster.index,
    }
    return Answer(200, body)


# --- what the leader answers to those who may --------------------------------------------------


def _seal(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    cluster.seal(node)
    return Answer(204)


def _step_down(cluster: DevelopmentCluster, _node: Node, _: Request) -> Answer:
    cluster.step_down()
    return Answer(204)


def _revoke_self(cluster: DevelopmentCluster, _node: Node, request: Request) -> Answer:
    cluster.revoke(request.token)
    return Answer(204)


def _capabilities_self(cluster: DevelopmentCluster, _node: Node, request: Request) -> Answer:
    paths = request.json().get("paths")
    asked = [str(path) for path in paths] if isinstance(paths, list) else []
    found: Body = {path: sorted(cluster.capabilities(request.token, path) or {"deny"}) for path in asked}
    return Answer(200, found | envelope(found))


def _configuration(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    servers = [
        {
            "node_id": each.name,
            "address": archive.raft_address(each.address),
            "leader": each is node,
            "protocol_version": "3",
            "voter": True,
        }
        for each in cluster.nodes
    ]
    return Answer(200, envelope({"config": {"servers": servers, "index": 0}}))


def _autopilot(cluster: DevelopmentCluster, node: Node, _: Request) -> Answer:
    healthy = [each for each in cluster.nodes if each.running and not each.sealed]
    servers = {
        each.name: {
            "id": each.name,
            "name": each.name,
            "address": archive.raft_address(each.address),
            "node_status": "alive" if each.running else "left",
            "last_contact": "0s",
            "last_term": cluster.term,
            "last_index": cluster.index,
            "healthy": each in healthy,
            "stable_since": cluster.active_since,
            "status": "leader" if each is node else "voter",
            "version": VERSION,
            "node_type": "voter",
        }
        for each in cluster.nodes
    }
    state = {
        "failure_tolerance": max(0, len(healthy) - (len(servers) // 2 + 1)),
        "healthy": len(healthy) == len(servers),
        "leader": node.name,
        "servers": servers,
        "voters": list(servers),
    }
    return Answer(200, envelope(state))


def _snapshot(cluster: DevelopmentCluster, _node: Node, _: Request) -> Answer:
    return Answer(200, stream=archive.take(cluster))


def _lookup_self(cluster: DevelopmentCluster, _node: Node, request: Request) -> Answer:
    data: Body = {
        "accessor": secrets.token_urlsafe(18),
        "creation_time": int(time.time()),
        "creation_ttl": TOKEN_SECONDS,
        "display_name": "token",
        "entity_id": "",
        "expire_time": None,
        "explicit_max_ttl": 0,
        "id": request.token,
        "issue_time": now(),
        "meta": None,
        "num_uses": 0,
        "orphan": True,
        "path": "auth/token/create",
        "policies": list(cluster.tokens.get(request.token, ())),
        "renewable": True,
        "ttl": TOKEN_SECONDS,
        "type": "service",
    }
    return Answer(200, envelope(data))


def _secret(cluster: DevelopmentCluster, request: Request) -> Answer:
    path = request.path.removeprefix("secret/data/")
    if request.method == "GET":
        secret = cluster.secrets.get(path)
        if secret is None:
            return refuse(404)
    else:
        data = request.json().get("data")
        if not isinstance(data, dict):
            return refuse(400, "no data provided")
        secret = cluster.write(path, data)
    metadata = {
        "created_time": secret.created or now(),
        "custom_metadata": None,
        "deletion_time": "",
        "destroyed": False,
        "version": secret.version,
    }
    found = {"data": secret.data, "metadata": metadata} if request.method == "GET" else metadata
    return Answer(200, envelope(found))


_Route = Callable[[DevelopmentCluster, Node, Request], Answer]
_EVERYWHERE: dict[tuple[str, str], _Route] = {
    ("GET", "sys/health"): _health,
    ("GET", "sys/leader"): _leader,
    ("GET", "sys/seal-status"): _seal_status,
    ("PUT", "sys/unseal"): _unseal,
}
_FOR_LEADERS: dict[tuple[str, str], _Route] = {
    ("PUT", "sys/seal"): _seal,
    ("PUT", "sys/step-down"): _step_down,
    ("PUT", "auth/token/revoke-self"): _revoke_self,
    ("GET", "auth/token/lookup-self"): _lookup_self,
    ("PUT", "sys/capabilities-self"): _capabilities_self,
    ("GET", "sys/storage/raft/configuration"): _configuration,
    ("GET", "sys/storage/raft/autopilot/state"): _autopilot,
    ("GET", SNAPSHOT_PATH): _snapshot,
    ("PUT", SNAPSHOT_PATH): restore,
    ("PUT", FORCE_PATH): restore,
}
