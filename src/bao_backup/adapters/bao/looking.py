"""Small questions to one node: what the login may do, whether it is known, which seal there is."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bao_backup.adapters.bao.connection import Connection, Reply, call, explain
from bao_backup.adapters.bao.login import not_serving
from bao_backup.core.errors import LeaderLostError
from bao_backup.core.model import Seal


def ask_capabilities(
    connection: Connection, token: str, paths: Sequence[str]
) -> Mapping[str, frozenset[str]] | None:
    """What the token may do at each path; None where it may not ask, or the server knows no such call.

    https://openbao.org/api-docs/system/capabilities-self/ ; raises LeaderLostError.
    """
    doing = f"ask {connection.place} what the login may do"
    reply = _ask(doing, connection, "POST", "/v1/sys/capabilities-self", token, {"paths": list(paths)})
    if reply.status != 200:
        return None
    answer = reply.decode()
    data = answer.get("data")
    found = data if isinstance(data, dict) else answer
    return {path: _words(found.get(path)) for path in paths}


def ask_seal(connection: Connection) -> Seal:
    """The seal, from a node that may be sealed. Raises LeaderLostError.

    https://openbao.org/api-docs/system/seal-status/
    """
    doing = f"ask {connection.place} for its seal"
    reply = _ask(doing, connection, "GET", "/v1/sys/seal-status", "", None)
    status = reply.decode()
    shares, threshold = status.get("n"), status.get("t")
    if reply.status != 200 or not isinstance(shares, int) or not isinstance(threshold, int):
        raise LeaderLostError(doing, f"it answers {reply.describe()}, not as OpenBao does")
    return Seal(type=str(status.get("type", "")), shares=shares, threshold=threshold)


def ask_time(connection: Connection) -> datetime | None:
    """What the node's clock shows: as it says, else as its answer is dated; None where neither is there.

    https://openbao.org/api-docs/system/health/ (`server_time_utc`); raises LeaderLostError.
    """
    doing = f"ask {connection.place} for its time"
    reply = _ask(doing, connection, "GET", "/v1/sys/health", "", None)
    seconds = reply.decode().get("server_time_utc")
    try:
        if isinstance(seconds, int) and seconds > 0:
            return datetime.fromtimestamp(seconds, UTC)
        dated = parsedate_to_datetime(reply.headers.get("date", ""))
    except (ValueError, OverflowError, OSError):
        return None
    return dated.replace(tzinfo=dated.tzinfo or UTC).astimezone(UTC)


def ask_for_login(connection: Connection, token: str) -> bool:
    """Whether the token is known and may look at itself, which the default policy allows.

    https://openbao.org/api-docs/auth/token/ ; raises LeaderLostError.
    """
    doing = f"ask {connection.place} for the login"
    reply = _ask(doing, connection, "GET", "/v1/auth/token/lookup-self", token, None)
    if reply.status not in (200, 403):
        raise LeaderLostError(doing, f"it answers {reply.describe((token,))}")
    return reply.status == 200


def _ask(
    doing: str,
    connection: Connection,
    method: str,
    path: str,
    token: str,
    body: Mapping[str, object] | None,
) -> Reply:
    """One call. Raises LeaderLostError where there is no answer, or one that says: not now."""
    try:
        reply = call(connection, method, path, token=token, body=body)
    except (OSError, http.client.HTTPException) as error:
        raise LeaderLostError(doing, explain(error, connection.settings.connect_seconds)) from error
    if not_serving(reply.status):
        raise LeaderLostError(doing, f"it answers {reply.describe((token,) if token else ())}")
    return reply


def _words(given: object) -> frozenset[str]:
    """The capabilities of one path; a path that the answer leaves out is denied."""
    return frozenset(str(word) for word in given) if isinstance(given, list) else frozenset({"deny"})
