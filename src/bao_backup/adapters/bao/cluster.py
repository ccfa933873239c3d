"""The Bao port over HTTP: one cluster, and one login to it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bao_backup.adapters.bao.connection import Connection, Place, Reply, call, explain, trust
from bao_backup.adapters.bao.leader import Resolve, find_leader, find_nodes, resolve
from bao_backup.adapters.bao.login import Token, judge_login, read_login, read_token
from bao_backup.adapters.bao.looking import ask_capabilities, ask_for_login, ask_seal, ask_time
from bao_backup.adapters.bao.restore import LONG_FOR_A_SERVER_SECONDS, send
from bao_backup.adapters.bao.snapshot import HttpSnapshot, begin
from bao_backup.core.connection import AuthMethod, BaoSettings, parse_address
from bao_backup.core.errors import ConfigurationError, InternalError, LeaderLostError, LoginError
from bao_backup.core.model import Leader, Node, Seal


class HttpBao:
    """Speaks with an OpenBao or Vault cluster over HTTP or HTTPS.

    The CA and the credentials are read anew for each call that needs them. Every call has a
    connection of its own. Nothing here tries again: that is the flow's decision.

    `resolve` gives the IP addresses of a host; by itself it is the system's resolver. `answer_seconds`
    is how long a server may take for its answer once it has a whole snapshot to restore: it checks it;
    `long_seconds`, after how long of sending one is suspected to read no longer.

    Raises ConfigurationError for an address that is not one, and when none is given.
    """

    def __init__(
        self,
        settings: BaoSettings,
        resolve: Resolve = resolve,
        *,
        answer_seconds: float = 900.0,
        long_seconds: float = LONG_FOR_A_SERVER_SECONDS,
    ) -> None:
        self._settings = settings
        self._answer_seconds = answer_seconds
        self._long_seconds = long_seconds
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
        token = self._require_token(f"read the snapshot of {leader.address}")
        self._asked = self._connection(leader)
        try:
            return begin(self._asked, token, self._settings.stall_seconds)
        finally:
            self._asked = None

    def interrupt(self) -> None:
        """End a `snapshot` call that waits for the answer's head, or a `restore` call."""
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

    def capabilities(self, leader: Leader, paths: Sequence[str]) -> Mapping[str, frozenset[str]] | None:
        """What the login may do at each path; None where it may not ask.

        Raises LeaderLostError, or ServerUntrustedError.
        """
        token = self._require_token(f"ask {leader.address} what the login may do")
        return ask_capabilities(self._connection(leader), token, paths)

    def seal(self, leader: Leader) -> Seal:
        """The seal's type and shares. Raises LeaderLostError, or ServerUntrustedError."""
        return ask_seal(self._connection(leader))

    def server_time(self, leader: Leader) -> datetime | None:
        """What the leader's clock shows. Raises LeaderLostError, or ServerUntrustedError."""
        return ask_time(self._connection(leader))

    def nodes(self) -> tuple[Node, ...]:
        """Ask every address, each of its IP addresses, what it is now.

        A node that applies a snapshot answers nothing meanwhile: it is told as unreachable, after
        `connect_seconds`. Raises ConfigurationError for a CA file that is none.
        """
        return find_nodes(self._endpoints, self._settings, trust(self._settings.ca_file), self._resolve)

    def knows_login(self, leader: Leader) -> bool:
        """Whether the token is known to the server. Raises LeaderLostError, or ServerUntrustedError."""
        token = self._require_token(f"ask {leader.address} for the login")
        return ask_for_login(self._connection(leader), token)

    def login_is_stored(self) -> bool:
        """Whether the server keeps the token, which `login` obtained: what can be revoked is kept."""
        return self._token is not None and self._token.revocable

    def restore(self, leader: Leader, chunks: Iterator[bytes], size: int, *, force: bool) -> None:
        """Send a snapshot, and return when the server has accepted it; `chunks` is closed in any case.

        Raises RestoreDeniedError, RestoreRefusedError, RestoreCutOffError, LeaderLostError,
        ServerUntrustedError, RestoreUnknownError, or what `chunks` raises.
        """
        try:
            token = self._require_token(f"restore a snapshot to {leader.address}")
            self._asked = self._connection(leader)
            send(
                self._asked,
                token,
                chunks,
                size,
                force=force,
                answer_seconds=self._answer_seconds,
                long_seconds=self._long_seconds,
            )
        finally:
            self._asked = None
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _require_token(self, doing: str) -> str:
        if self._token is None:
            raise InternalError(doing, "there was no login before")
        return self._token.value

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
