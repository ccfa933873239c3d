"""Ask all addresses at once for `sys/health`: which one is active, and what the others are."""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bao_backup.adapters.bao.connection import Connection, Place, Reply, call, explain
from bao_backup.core.connection import BaoSettings, Endpoint
from bao_backup.core.errors import LeaderError, ServerUntrustedError
from bao_backup.core.model import Leader, Node, NodeState

#: https://openbao.org/api-docs/system/health/ ; 474 and 530 are Vault's: a standby that does not hear
#: of its leader, and a node that Raft has removed.
_STATES = {
    429: (NodeState.STANDBY, "standby"),
    472: (NodeState.OTHER, "DR secondary"),
    473: (NodeState.STANDBY, "performance standby"),
    474: (NodeState.STANDBY, "standby, without the leader"),
    501: (NodeState.NOT_INITIALISED, "not initialised"),
    503: (NodeState.SEALED, "sealed"),
    530: (NodeState.OTHER, "removed from the cluster"),
}
_DOING = "find the active node of the cluster"


@dataclass(frozen=True, slots=True)
class _Found:
    """The IP addresses that the host of an address has."""

    place: Place
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of asking one place."""

    place: Place
    said: str
    state: NodeState = NodeState.UNREACHABLE
    leader: Leader | None = None
    #: From `sys/leader`, where that was asked as well.
    applied_index: int = 0
    leadership: str = ""
    #: It spoke HTTP with us, whatever it said.
    answered: bool = False
    #: Its certificate does not verify.
    untrusted: bool = False


_Reports = queue.SimpleQueue[_Found | _Answer]
#: Host and port -> the IP addresses, as text; raises OSError or UnicodeError.
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def find_leader(
    endpoints: Sequence[Endpoint], settings: BaoSettings, context: ssl.SSLContext, resolve: Resolve
) -> Leader:
    """Ask every address, each of its IP addresses, at the same time; the first active one counts.

    Raises LeaderError with what each one said, or ServerUntrustedError when none of them spoke with
    us and a certificate was the cause at one of them at least.
    """
    answers: list[_Answer] = []
    for answer in _ask_all(endpoints, settings, context, resolve):
        if answer.leader is not None:
            return answer.leader
        answers.append(answer)
    answers.sort(key=lambda answer: endpoints.index(answer.place.endpoint))
    said = ", ".join(f"{answer.place} {answer.said}" for answer in answers)
    if any(answer.untrusted for answer in answers) and not any(answer.answered for answer in answers):
        raise ServerUntrustedError(_DOING, said)
    raise LeaderError(_DOING, said)


def find_nodes(
    endpoints: Sequence[Endpoint], settings: BaoSettings, context: ssl.SSLContext, resolve: Resolve
) -> tuple[Node, ...]:
    """Ask every address, each of its IP addresses, what it is; in the order of the addresses."""
    answers = list(_ask_all(endpoints, settings, context, resolve, index=True))
    answers.sort(key=lambda answer: (endpoints.index(answer.place.endpoint), answer.place.ip))
    return tuple(
        Node(
            address=answer.place.endpoint.address,
            ip=answer.place.ip,
            state=answer.state,
            said=answer.said,
            leader=answer.leader,
            applied_index=answer.applied_index,
            leadership=answer.leadership,
        )
        for answer in answers
    )


def _ask_all(
    endpoints: Sequence[Endpoint],
    settings: BaoSettings,
    context: ssl.SSLContext,
    resolve: Resolve,
    *,
    index: bool = False,
) -> Iterator[_Answer]:
    """Give the answers as they come; who has not answered after all waiting did not answer.

    With `index` those that serve are asked for the Raft index that they have applied, too.

    The threads are daemons: one that hangs in the resolver never keeps the program from ending.
    """
    reports: _Reports = queue.SimpleQueue()
    waiting = {Place(endpoint) for endpoint in endpoints}
    for place in waiting:
        threading.Thread(target=_look_up, args=(place, resolve, reports), daemon=True).start()
    # For the look-up, for connecting, for the answer; and twice more for a second call.
    patience = (5 if index else 3) * settings.connect_seconds
    ask = _ask_with_index if index else _ask
    end = time.monotonic() + patience
    while waiting:
        try:
            report = reports.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        waiting.discard(report.place)
        if isinstance(report, _Answer):
            yield report
            continue
        waiting.update(report.places)
        for place in report.places:
            threading.Thread(target=ask, args=(place, settings, context, reports), daemon=True).start()
    for place in waiting:
        yield _Answer(place, f"no answer within {patience:g} s")


def _look_up(place: Place, resolve: Resolve, reports: _Reports) -> None:
    endpoint = place.endpoint
    try:
        found = resolve(endpoint.host, endpoint.port)
    except (OSError, UnicodeError):  # UnicodeError: a name that DNS cannot carry
        reports.put(_Answer(place, "its name does not resolve"))
        return
    reports.put(_Found(place, tuple(Place(endpoint, address) for address in found)))


def _ask(place: Place, settings: BaoSettings, context: ssl.SSLContext, reports: _Reports) -> None:
    reports.put(_ask_health(place, settings, context))


def _ask_with_index(place: Place, settings: BaoSettings, context: ssl.SSLContext, reports: _Reports) -> None:
    answer = _ask_health(place, settings, context)
    if answer.state in (NodeState.ACTIVE, NodeState.STANDBY):
        index, leadership = _ask_index(place, settings, context)
        answer = replace(answer, applied_index=index, leadership=leadership)
    reports.put(answer)


def _ask_index(place: Place, settings: BaoSettings, context: ssl.SSLContext) -> tuple[int, str]:
    """The Raft index that a node has applied, and who leads since when; 0 and "" where it does not say.

    https://openbao.org/api-docs/system/leader/
    """
    try:
        reply = call(Connection(place, settings, context), "GET", "/v1/sys/leader")
    except (OSError, http.client.HTTPException, ServerUntrustedError):
        return 0, ""
    said = reply.decode() if reply.status == 200 else {}
    index, address, since = (
        said.get(name) for name in ("raft_applied_index", "leader_address", "active_time")
    )
    leadership = f"{address} since {since}" if address and since else ""
    return index if isinstance(index, int) else 0, leadership


def _ask_health(place: Place, settings: BaoSettings, context: ssl.SSLContext) -> _Answer:
    try:
        return _judge(place, call(Connection(place, settings, context), "GET", "/v1/sys/health"))
    except ServerUntrustedError as error:
        return _Answer(place, error.why, untrusted=True)
    except (OSError, http.client.HTTPException) as error:
        return _Answer(place, explain(error, settings.connect_seconds))


def _judge(place: Place, reply: Reply) -> _Answer:
    """Read an answer of `sys/health`: its status says the state, its body who it is."""
    health = reply.decode()
    if reply.status == 200 and health.get("sealed") is False and health.get("standby") is False:
        leader = Leader(
            address=place.endpoint.address,
            ip=place.ip,
            version=str(health.get("version", "")),
            cluster_id=str(health.get("cluster_id", "")),
            cluster_name=str(health.get("cluster_name", "")),
        )
        return _Answer(place, "active", NodeState.ACTIVE, leader, answered=True)
    state, said = _STATES.get(reply.status, (NodeState.OTHER, f"answers {reply.status}"))
    if reply.status == 200:
        said = "answers 200, but not as OpenBao does"
    elif reply.status == 400 and not place.endpoint.tls:
        said = "answers 400 (it may want https)"
    elif state is not NodeState.OTHER and "sealed" not in health:
        state = NodeState.OTHER  # a proxy in between says 503, too
    return _Answer(place, said, state, answered=True)
