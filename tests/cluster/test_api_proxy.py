"""The proxy before the API server: it passes requests on, counts them, and each rule does what it says."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest
from tests.cluster.api_stand_in import BROKEN, JOB, JOBS, PACKED, PACKED_CONTENT, StandIn, call
from tests.harness.api_proxy import ApiProxy
from tests.harness.api_request import ApiRequest, Match, Place, place_of
from tests.harness.api_rules import failure
from tests.harness.certificates import Authority
from tests.harness.process import wait_until

POST_JOB = Match(method="POST", resource="jobs")
LOST = (RemoteDisconnected, ConnectionResetError)


@pytest.fixture
def stand_in(authority: Authority) -> Iterator[StandIn]:
    """The server behind the proxy."""
    server = StandIn(authority)
    yield server
    server.stop()


@pytest.fixture
def proxy(stand_in: StandIn, authority: Authority) -> Iterator[ApiProxy]:
    """The proxy, with a client certificate."""
    with ApiProxy(stand_in.url, authority.ca_file, authority.issue("operator")) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/pods", Place(resource="pods")),
        ("/api/v1/namespaces", Place(resource="namespaces")),
        ("/api/v1/namespaces/a", Place(resource="namespaces", name="a")),
        ("/api/v1/namespaces/a/status", Place(resource="namespaces", subresource="status", name="a")),
        ("/api/v1/namespaces/a/pods?limit=5", Place(resource="pods", namespace="a")),
        ("/api/v1/namespaces/a/pods/b/log", Place("", "pods", "log", "a", "b")),
        (JOB, Place("batch", "jobs", "", "security", "backup-prod")),
        (
            "/apis/openbao.org/v1alpha1/namespaces/a/openbaoclusters/b/status",
            Place("openbao.org", "openbaoclusters", "status", "a", "b"),
        ),
        ("/apis/batch/v1", Place()),
        ("/apis", Place()),
        ("/version", Place()),
        ("/", Place()),
    ],
)
def test_a_path_says_what_it_is_about(path: str, place: Place) -> None:
    """Group, resource, subresource, namespace and name are read from the path."""
    assert place_of(path) == place


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_passes_whole(proxy: ApiProxy, stand_in: StandIn, method: str) -> None:
    """Method, path as it was written, headers and body get to the server; its answer comes back."""
    path = f"{JOB}?fieldManager=a%2Fb&labelSelector=x%3Dy"
    body = b"" if method == "GET" else json.dumps({"text": "ü" * 100_000}).encode()
    headers = {"Content-Type": "application/merge-patch+json", "Accept": "application/json", "X-Own": "1"}
    status, answer, _ = call(proxy, method, path, body or None, headers)
    assert status == (201 if method == "POST" else 200)
    assert json.loads(answer) == {"method": method, "path": path, "body": body.decode()}
    (arrived,) = stand_in.seen
    sent = {name.lower(): value for name, value in headers.items()}
    assert arrived.headers.items() >= sent.items()
    assert arrived.headers["host"] == f"127.0.0.1:{stand_in.port}"
    assert arrived.owner == "operator"


def test_a_packed_answer_stays_packed(proxy: ApiProxy) -> None:
    """The proxy neither unpacks nor packs, and passes the server's headers on."""
    status, body, headers = call(proxy, "GET", PACKED, headers={"Accept-Encoding": "gzip"})
    assert (status, gzip.decompress(body)) == (200, PACKED_CONTENT)
    assert (headers["content-encoding"], headers["x-of-server"]) == ("gzip", "yes")


def test_a_token_is_shown_unless_the_client_has_its_own(stand_in: StandIn, authority: Authority) -> None:
    """The owner may be a token; a client's own one is not replaced."""
    with ApiProxy(stand_in.url, authority.ca_file, "of-the-proxy") as proxy:
        call(proxy, "GET", JOB)
        call(proxy, "GET", JOB, headers={"Authorization": "Bearer of-the-client"})
    shown = [arrived.headers["authorization"] for arrived in stand_in.seen]
    assert shown == ["Bearer of-the-proxy", "Bearer of-the-client"]
    assert {arrived.owner for arrived in stand_in.seen} == {""}


def test_one_connection_serves_many_requests(proxy: ApiProxy) -> None:
    """A client's connection is kept after each answer."""
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", JOB)
        connection.getresponse().read()
        assert connection.sock is first
    connection.close()


def test_hundreds_of_requests_at_once(proxy: ApiProxy, stand_in: StandIn) -> None:
    """All are under way at the same time, and all are answered."""
    rule = proxy.hold(Match(), None, times=None)
    with ThreadPoolExecutor(300) as pool:
        asked = [pool.submit(call, proxy, "GET", f"{JOB}-{n}") for n in range(300)]
        wait_until("all to be under way", lambda: len(rule.befallen) == 300, seconds=30)
        assert stand_in.seen == []
        rule.remove()
        assert {each.result()[0] for each in asked} == {200}
    assert len(stand_in.seen) == 300


def test_every_request_is_recorded(proxy: ApiProxy) -> None:
    """Reads and writes are told apart, since a moment, and without what does not matter."""
    call(proxy, "GET", JOBS)
    moment = time.monotonic()
    call(proxy, "PATCH", f"{JOB}/status", b'{"a": 1}', {"Content-Type": "application/json-patch+json"})
    call(proxy, "PUT", "/apis/coordination.k8s.io/v1/namespaces/security/leases/operator", b"{}")
    call(proxy, "GET", "/version")
    first, patch, lease, version = proxy.requests()
    assert (first.resource, first.namespace, first.name, first.status) == ("jobs", "security", "", 200)
    assert (patch.subresource, patch.name, patch.status) == ("status", "backup-prod", 200)
    assert (patch.content_type, patch.json()) == ("application/json-patch+json", {"a": 1})
    assert (version.path, version.resource, version.watch) == ("/version", "", False)
    assert proxy.requests(since=moment) == [patch, lease, version]
    assert proxy.requests(Match(resource="jobs")) == [first, patch]
    assert proxy.writes() == [patch, lease]
    assert proxy.writes(without={"leases"}, since=moment) == [patch]
    assert proxy.writes(Match(subresource="")) == [lease]
    proxy.clear()
    assert proxy.requests() == []


@pytest.mark.parametrize("forward", [True, False])
def test_before(proxy: ApiProxy, stand_in: StandIn, forward: bool) -> None:
    """The action is over before the server sees the request, which is then passed on, or dropped."""
    seen_by_then: list[int] = []

    def action(request: ApiRequest) -> None:
        assert request.json() == {"kind": "Job"}
        seen_by_then.append(len(stand_in.seen))

    rule = proxy.before(POST_JOB, action, forward=forward)
    if forward:
        assert call(proxy, "POST", JOBS, b'{"kind": "Job"}')[0] == 201
    else:
        with pytest.raises(LOST):
            call(proxy, "POST", JOBS, b'{"kind": "Job"}')
    assert rule.reached.is_set()
    assert seen_by_then == [0]
    assert len(stand_in.seen) == int(forward)
    assert [request.forwarded for request in proxy.requests()] == [forward]


def test_before_passes_on_for_a_client_that_is_gone(proxy: ApiProxy, stand_in: StandIn) -> None:
    """What a killed client has sent gets to the server still, as it would on a real wire."""
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    rule = proxy.before(POST_JOB, lambda _: connection.close(), forward=True)
    connection.request("POST", JOBS, b"{}")
    assert rule.reached.wait(10)
    wait_until("it to arrive", lambda: len(stand_in.seen) == 1, seconds=10)


def test_after(proxy: ApiProxy, stand_in: StandIn) -> None:
    """The server has done it when the action is run, and the client is never told."""
    seen_by_then: list[int] = []
    rule = proxy.after(POST_JOB, lambda _: seen_by_then.append(len(stand_in.seen)))
    with pytest.raises(LOST):
        call(proxy, "POST", JOBS, b"{}")
    assert (seen_by_then, rule.reached.is_set()) == ([1], True)
    assert proxy.requests()[0].status == 201
    assert call(proxy, "POST", JOBS, b"{}")[0] == 201


def test_answer(proxy: ApiProxy, stand_in: StandIn) -> None:
    """The proxy answers itself: with the Status of that code, or with body and headers as given."""
    proxy.answer(Match(method="PATCH"), 409)
    proxy.answer(Match(method="GET"), 429, failure(429, message="slowly"), headers={"Retry-After": "7"})
    proxy.answer(Match(method="PUT"), 500, b"no JSON", headers={"Content-Type": "text/plain"})
    status, body, _ = call(proxy, "PATCH", JOB, b"{}")
    conflict = json.loads(body)
    assert (status, conflict["kind"], conflict["code"], conflict["reason"]) == (
        409,
        "Status",
        409,
        "Conflict",
    )
    status, body, headers = call(proxy, "GET", JOB)
    assert (status, json.loads(body)["message"], headers["retry-after"]) == (429, "slowly", "7")
    status, body, headers = call(proxy, "PUT", JOB, b"{}")
    assert (status, body, headers["content-type"]) == (500, b"no JSON", "text/plain")
    assert stand_in.seen == []
    assert [(each.status, each.forwarded) for each in proxy.requests()] == [
        (409, False),
        (429, False),
        (500, False),
    ]


def test_drop(proxy: ApiProxy, stand_in: StandIn) -> None:
    """The connection is closed without an answer, and the server sees nothing."""
    proxy.drop(Match())
    with pytest.raises(LOST):
        call(proxy, "GET", JOB)
    assert stand_in.seen == []
    assert proxy.requests()[0].status is None


def test_hold(proxy: ApiProxy) -> None:
    """A request is passed on so much later."""
    proxy.hold(Match(), 0.3)
    started = time.monotonic()
    assert call(proxy, "GET", JOB)[0] == 200
    assert time.monotonic() - started >= 0.3


def test_a_removed_rule_lets_go(proxy: ApiProxy) -> None:
    """What is held goes on when its rule is removed, and nothing else is held."""
    rule = proxy.hold(Match(), None, times=None)
    threading.Timer(0.2, rule.remove).start()
    assert call(proxy, "GET", JOB)[0] == 200
    assert call(proxy, "GET", JOB)[0] == 200
    assert len(rule.befallen) == 1


@pytest.mark.parametrize(
    ("match", "befallen"),
    [
        (Match(), True),
        (Match(method="POST"), False),
        (Match(resource="jobs", namespace="security", name="backup-prod", subresource="status"), True),
        (Match(subresource=""), False),
        (Match(namespace="other"), False),
        (Match(name="other"), False),
        (Match(watch=True), False),
        (Match(watch=False), True),
        (Match(where=lambda request: b"phase" in request.body), True),
        (Match(resource="jobs", where=lambda _: False), False),
    ],
)
def test_a_rule_befalls_what_it_matches(proxy: ApiProxy, match: Match, befallen: bool) -> None:
    """All that a match names has to fit."""
    proxy.answer(match, 500)
    status = call(proxy, "PATCH", f"{JOB}/status", b'{"phase": 1}')[0]
    assert status == (500 if befallen else 200)


def test_a_rule_befalls_the_nth_for_so_many_times(proxy: ApiProxy) -> None:
    """Rules count what matches, each for itself; the first whose turn it is takes effect."""
    proxy.answer(Match(), 409, nth=2, times=2)
    proxy.answer(Match(), 500, nth=3, times=2)
    statuses = [call(proxy, "GET", JOB)[0] for _ in range(5)]
    assert statuses == [200, 409, 409, 500, 200]


def test_the_server_is_down_and_comes_back(proxy: ApiProxy, stand_in: StandIn) -> None:
    """Without a server requests are answered with 502, or dropped; later all is well again."""
    assert call(proxy, "GET", JOB)[0] == 200
    stand_in.go_away()
    status, body, _ = call(proxy, "POST", JOBS, b"{}")
    assert (status, json.loads(body)["code"]) == (502, 502)
    assert not proxy.requests()[-1].forwarded
    proxy.drops_when_down = True
    with pytest.raises(LOST):
        call(proxy, "GET", JOB)
    stand_in.start()
    assert call(proxy, "GET", JOB)[0] == 200


def test_an_answer_that_breaks_off_is_not_made_whole(proxy: ApiProxy) -> None:
    """Where the server's connection ends in mid-answer, so does the client's."""
    with pytest.raises((IncompleteRead, *LOST)):
        call(proxy, "GET", BROKEN)


def test_what_goes_wrong_in_an_action_is_raised_at_the_end(stand_in: StandIn, authority: Authority) -> None:
    """A test does not end well when an action of its own failed."""
    proxy = ApiProxy(stand_in.url, authority.ca_file, "token")
    proxy.before(Match(), lambda _: 1 / 0)
    with pytest.raises(LOST):
        call(proxy, "GET", JOB)
    with pytest.raises(ZeroDivisionError):
        proxy.stop()


def test_a_client_gets_a_kubeconfig(proxy: ApiProxy, tmp_path: Path) -> None:
    """It names the proxy, and holds no credentials."""
    document = json.loads(proxy.kubeconfig(tmp_path / "config", "security").read_text())
    assert document["clusters"][0]["cluster"] == {"server": proxy.url}
    assert document["users"][0]["user"] == {}
    assert document["contexts"][0]["context"]["namespace"] == "security"
