"""Run a development server until somebody ends it, and say how to log in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from bao_backup.adapters.development.server import DevelopmentServer
from bao_backup.adapters.development.state import SNAPSHOT_PATH, DevelopmentCluster


def serve_development(
    *,
    say: Callable[[str], None],
    stop: threading.Event,
    port: int = 8200,
    padding: int = 0,
    rate: int = 0,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve one node on loopback until `stop` is set.

    Args:
        say: prints a line.
        stop: ends it.
        port: 0 for a free one.
        padding: bytes that make snapshots larger.
        rate: bytes a second that snapshots go at; 0 for as fast as it can.
        certificate: PEM file; None for plain HTTP.
        key: PEM file.
    """
    cluster = DevelopmentCluster(padding=padding)
    server = DevelopmentServer(cluster, port=port, certificate=certificate, key=key)
    server.rate = rate
    with server:
        for line in how_to_log_in(server):
            say(line)
        stop.wait()


def how_to_log_in(server: DevelopmentServer) -> list[str]:
    """Lines for a person: the address, and each way to log in. All of it ends with the server."""
    cluster = server.cluster
    user, password = next(iter(cluster.logins.users.items()))
    role_id, secret_id = next(iter(cluster.logins.app_roles.items()))
    return [
        f"development server (keeps nothing on disk; not for real secrets) at {server.address}",
        f"  root token   {cluster.root_token}",
        f"  unseal key   {cluster.unseal_key}",
        f"  userpass     {user} / {password}",
        f"  to restore   restore / {cluster.logins.users['restore']} (userpass)",
        f"  approle      role_id {role_id}, secret_id {secret_id}",
        f"  a snapshot   curl -H 'X-Vault-Token: ...' {server.address}/v1/{SNAPSHOT_PATH} -o dev.snap",
    ]
