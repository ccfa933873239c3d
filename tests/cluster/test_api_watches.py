"""Watches through the proxy before the API server: passed on at once, expired, ended, robbed of events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from http.client import IncompleteRead

import pytest
from tests.cluster.api_stand_in import WATCH_JOBS, WATCH_PODS, StandIn, Watching, call, event
from tests.harness.api_proxy import ApiProxy
from tests.harness.api_request import Match, is_watch
from tests.harness.certificates import Authority
from tests.harness.process import wait_until

OF_JOBS = Match(resource="jobs")


@pytest.fixture
def stand_in(authority: Authority) -> Iterator[StandIn]:
    """The server behind the proxy."""
    server = StandIn(authority)
    yield server
    server.stop()


@pytest.fixture
def proxy(stand_in: StandIn, authority: Authority) -> Iterator[ApiProxy]:
    """The proxy."""
    with ApiProxy(stand_in.url, authority.ca_file, "token") as proxy:
        yield proxy


@pytest.fixture
def jobs(proxy: ApiProxy) -> Iterator[Watching]:
    """A watch of jobs."""
    with contextlib.closing(Watching(proxy, WATCH_JOBS)) as watching:
        yield watching


@pytest.mark.parametrize(
    ("query", "watch"),
    [
        ("watch=true", True),
        ("limit=1&watch=True", True),
        ("watch=1", True),
        ("watch", True),
        ("watch=false", False),
        ("watch=0", False),
        ("allowWatchBookmarks=true", False),
        ("", False),
    ],
)
def test_a_watch_is_told_from_a_list(query: str, watch: bool) -> None:
    """The query is read as the API server reads it, since clients differ in how they write it."""
    assert is_watch(f"/api/v1/pods?{query}") == watch


def test_events_pass_at_once(proxy: ApiProxy, stand_in: StandIn, jobs: Watching) -> None:
    """The answer begins before there is an event; each comes as soon as its line is whole."""
    (request,) = proxy.requests()
    assert (request.resource, request.watch, request.status) == ("jobs", True, 200)
    stand_in.feed(event("ADDED", "a"))
    assert jobs.event()["type"] == "ADDED"
    line = event("MODIFIED", "b" * 300_000)
    stand_in.feed(line[:10], line[10:], event("DELETED", "c"))
    assert jobs.event() == json.loads(line)
    assert jobs.event()["type"] == "DELETED"
    stand_in.feed(None)
    assert jobs.rest() == b""
    wait_until("it to be closed", lambda: proxy.open_watches() == [], seconds=5)


def test_open_watches_are_known(proxy: ApiProxy, stand_in: StandIn, jobs: Watching) -> None:
    """A watch is open until its client goes away; the server's side ends with it."""
    with contextlib.closing(Watching(proxy, WATCH_PODS)):
        assert [each.resource for each in proxy.open_watches()] == ["jobs", "pods"]
        assert [each.resource for each in proxy.open_watches(OF_JOBS)] == ["jobs"]
    wait_until("it to be closed", lambda: len(proxy.open_watches()) == 1, seconds=5)
    wait_until("it to be closed behind the proxy, too", lambda: stand_in.watches == 1, seconds=5)
    assert jobs.response.status == 200


def test_hundreds_of_watches(proxy: ApiProxy, stand_in: StandIn) -> None:
    """Each of many watches gets each event."""
    with contextlib.ExitStack() as stack:
        watches = [stack.enter_context(contextlib.closing(Watching(proxy, WATCH_PODS))) for _ in range(200)]
        stand_in.feed(event("ADDED", "a"))
        assert {str(each.event()["type"]) for each in watches} == {"ADDED"}


def test_watches_expire(proxy: ApiProxy, stand_in: StandIn, jobs: Watching) -> None:
    """A watch that expires ends with a 410 Gone event; watches of other resources go on."""
    with contextlib.closing(Watching(proxy, WATCH_PODS)) as pods:
        stand_in.feed(event("ADDED", "a"))
        assert jobs.event()["type"] == "ADDED"
        assert proxy.expire_watches(OF_JOBS) == 1
        error = jobs.event()
        assert error["type"] == "ERROR"
        status = error["object"]
        assert isinstance(status, dict)
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
        assert jobs.rest() == b""
        assert [each.resource for each in proxy.open_watches()] == ["pods"]
        assert pods.event()["type"] == "ADDED"
    assert proxy.expire_watches(OF_JOBS) == 0


def test_watches_end(proxy: ApiProxy, jobs: Watching) -> None:
    """A watch may be ended in order, as at its time-out."""
    assert proxy.end_watches() == 1
    assert jobs.rest() == b""


def test_watches_are_cut(proxy: ApiProxy, jobs: Watching) -> None:
    """A watch may be cut off, without an end of its body."""
    assert proxy.end_watches(cut=True) == 1
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        jobs.rest()


def test_a_watch_ends_with_the_server(proxy: ApiProxy, stand_in: StandIn, jobs: Watching) -> None:
    """When the server dies, its watches are cut; a new one is served once it is back."""
    stand_in.go_away()
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        jobs.rest()
    assert call(proxy, "GET", WATCH_JOBS)[0] == 502
    stand_in.start()
    with contextlib.closing(Watching(proxy, WATCH_JOBS)) as again:
        stand_in.feed(event("ADDED", "a"))
        assert again.event()["type"] == "ADDED"


def test_events_are_lost(proxy: ApiProxy, stand_in: StandIn, jobs: Watching) -> None:
    """Events that the predicate takes never come, on that resource; the others do, in their order."""
    with contextlib.closing(Watching(proxy, WATCH_PODS)) as pods:
        loss = proxy.lose_events(lambda each: each["type"] == "MODIFIED", OF_JOBS)
        events = [event("ADDED", "a"), event("MODIFIED", "a"), event("MODIFIED", "b"), event("DELETED", "a")]
        stand_in.feed(b"".join(events))
        assert [jobs.event()["type"] for _ in range(2)] == ["ADDED", "DELETED"]
        assert [pods.event()["type"] for _ in range(4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
        assert loss.reached.is_set()
        assert [each["object"]["metadata"]["name"] for each in loss.lost] == ["a", "b"]
        loss.remove()
        stand_in.feed(event("MODIFIED", "c"))
        assert jobs.event()["type"] == "MODIFIED"


def test_a_new_watch_may_be_refused(proxy: ApiProxy) -> None:
    """A rule may befall watches alone, as when the version to start from is too old."""
    proxy.answer(Match(resource="jobs", watch=True), 410)
    status, body, _ = call(proxy, "GET", WATCH_JOBS)
    assert (status, json.loads(body)["reason"]) == (410, "Expired")


def test_events_stay_readable(proxy: ApiProxy, stand_in: StandIn) -> None:
    """The server is not asked to pack a watch, whatever its client can unpack."""
    with contextlib.closing(Watching(proxy, WATCH_JOBS + "&x=%20")):
        assert stand_in.seen[0].path == WATCH_JOBS + "&x=%20"
        assert "accept-encoding" not in stand_in.seen[0].headers


def test_a_proxy_that_stops_ends_its_watches(stand_in: StandIn, authority: Authority) -> None:
    """Nothing is left open behind it."""
    with ApiProxy(stand_in.url, authority.ca_file, "token") as proxy:
        watching = Watching(proxy, WATCH_JOBS)
    assert watching.rest() == b""
    watching.close()
    wait_until("it to be closed behind the proxy, too", lambda: stand_in.watches == 0, seconds=5)
