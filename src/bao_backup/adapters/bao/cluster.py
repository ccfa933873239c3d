"""The Bao port over HTTP: one cluster, and one login to it."""

from __future__ import annotations

import http.client

from bao_backup.adapters.bao.connection import Connection, Place, Reply, call, explain, trust
from bao_backup.adapters.bao.leader import Resolve, find_leader, resolve
from bao_backup.adapters.bao.login import Token, judge_login, read_login, read_token
from bao_backup.adapters.bao.snapshot import HttpSnapshot, begin
from bao_backup.core.connection import AuthMethod, BaoSettings, parse_address
from bao_backup.core.errors import ConfigurationError, InternalError, LeaderLostError, LoginError
from bao_backup.core.model import Leader


class HttpBao:
    """Speaks with an OpenBao or Vault cluster over HTTP or HTTPS.

    The CA and the credentials are read anew for each call that needs them. Every call has a
    connection of its own. Nothing here tries again: that is the flow's decision.

    `resolve` gives the IP addresses of a host; by itself it is the system's resolver.

    Raises ConfigurationError for an address that is not one, and when none is given.
    """

    def __init__(self, settings: BaoSettings, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._resolve = resolve
        self._endpoints = [parse_address(address) for address in dict.fromkeys(settings.addresses)]
        if not self._endpoints:
            raise ConfigurationError("read the server addresses", "there is none")
        self._token: Token | None = None
        self._asked: Connection | None = None

    def find_leader(self) -> Leader:
        """Ask every address once for `sys/health`, and give the active one.

        Raises LeaderError, ServerUntrustedError, or ConfigurationError for a CA file that is none.
        """
        return find_leader(self._endpoints, self._settings, trust(self._settings.ca_file), self._resolve)

    def login(self, leader: Leader) -> None:
        """Obtain a token as configured; an earlier one is forgotten, so revoke it before.

        Raises LoginError, LeaderLostError, or ServerUntrustedError.
        """
        auth = self._settings.auth
        self._token = None
        if auth.method is AuthMethod.TOKEN:
            self._token = read_token(auth)
            return
        sent = read_login(auth)
        doing = f"log in to {self._place(leader)} by {auth.method} at auth/{auth.mount_path}"
        try:
            reply = call(self._connection(leader), "POST", sent.path, body=sent.body)
        except (OSError, http.client.HTTPException) as error:
            raise LeaderLostError(doing, explain(error, self._settings.connect_seconds)) from error
        self._token = judge_login(doing, reply, sent)

    def snapshot(self, leader: Leader) -> HttpSnapshot:
        """Begin the snapshot: the answer's head was 200 when this returns.

        Raises SnapshotDeniedError, LeaderLostError, SnapshotStalledError, SnapshotError, or
        ServerUntrustedError.
        """
        if self._token is None:
            raise InternalError(f"read the snapshot of {leader.address}", "there was no login before")
        self._asked = self._connection(leader)
        try:
            return begin(self._asked, self._token.value, self._settings.stall_seconds)
        finally:
            self._asked = None

    def interrupt(self) -> None:
        """End a `snapshot` call that waits for the answer's head."""
        asked = self._asked
        if asked is not None:
            asked.shut_down()

    def revoke(self, leader: Leader) -> None:
        """Revoke the token if `login` obtained it, and forget it in any case.

        Raises LoginError when it could not be revoked (it then lives on until its time is over), or
        ServerUntrustedError.
        """
        token, self._token = self._token, None
        if token is None or not token.revocable:
            return
        doing = f"revoke the login token at {self._place(leader)}"
        hint = "the token ends by itself when its time to live is over"
        try:
            reply = self._revoke(leader, token)
        except (OSError, http.client.HTTPException) as error:
            raise LoginError(doing, explain(error, self._settings.connect_seconds), hint=hint) from error
        if reply.status not in (200, 204):
            raise LoginError(doing, f"it answers {reply.describe((token.value,))}", hint=hint)

    def _revoke(self, leader: Leader, token: Token) -> Reply:
        path = "/v1/auth/token/revoke-self"
        return call(self._connection(leader), "POST", path, token=token.value, body={})

    def _connection(self, leader: Leader) -> Connection:
        return Connection(self._place(leader), self._settings, trust(self._settings.ca_file))

    def _place(self, leader: Leader) -> Place:
        """Where the leader is; an address that is not configured gets no connection, and no token."""
        for endpoint in self._endpoints:
            if endpoint.address == leader.address:
                return Place(endpoint, leader.ip)
        raise InternalError(f"connect to {leader.address}", "it is none of the configured addresses")
