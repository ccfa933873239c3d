"""Of several managers one decides; another takes over when it is gone, and as soon as it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.conftest import Sites
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import LEASE_NAME, Site
from tests.cluster.run_writes import faults_in
from tests.harness import pod_fates
from tests.harness.api_proxy import ApiProxy
from tests.harness.api_request import Match

pytestmark = pytest.mark.servers

LEASES = Match(resource="leases")
LEADING = "leading: the Lease is ours"
#: The Lease's duration, and the time between two tries for it.
TAKEN_OVER_WITHIN = timedelta(seconds=15 + 2)
#: For a machine that is busy with other things.
SLACK = timedelta(seconds=15)


@dataclass
class Pair:
    """Two managers of one namespace, each with a proxy of its own; `first` leads."""

    site: Site
    first: Operator
    second: Operator
    first_proxy: ApiProxy
    second_proxy: ApiProxy


def begin(*sites: Site) -> list[Pair]:
    """Start two managers in each, first the one that is to lead."""
    pairs = []
    for site in sites:
        proxy = site.new_proxy()
        first = site.operator("first", lease=True)
        second = site.operator("second", proxy=proxy, lease=True)
        first.start(wait=False)
        pairs.append(Pair(site, first, second, site.proxy, proxy))
    for pair in pairs:
        pair.site.until("the first to lead", pair.first.leads, seconds=60)
        pair.second.start(wait=False)
    return pairs


def holder(site: Site) -> str:
    """Who has the Lease; empty for nobody."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{site.namespace}/leases/{LEASE_NAME}"
    lease: dict[str, Any] = site.plane.request("GET", path).json()
    return lease["spec"].get("holderIdentity") or ""


def when_said(operator: Operator, message: str) -> datetime:
    """When it said so first."""
    line = next(line for line in operator.lines() if line["message"].startswith(message))
    return datetime.fromisoformat(line["time"])


def test_one_decides(site: Site) -> None:
    """The other is ready, watches nothing and writes nothing; by SIGTERM the Lease is given back at once."""
    (pair,) = begin(site)
    site.until("the second to be ready", pair.second.is_ready)
    for name in ("a", "b", "c"):
        site.add(name, trigger="please")
    for name in ("a", "b", "c"):
        site.until_settled(name)
        assert faults_in(site, name) == {}
    assert holder(site) == "first"
    assert not pair.second.leads()
    assert {each.resource for each in pair.second_proxy.requests()} == {"leases"}
    assert pair.second_proxy.writes() == []
    site.node.decide(site.namespace, "d", pod_fates.Hangs())
    site.add("d", trigger="please")
    site.until("a run to be under way", lambda: site.jobs("d"))
    began = time.monotonic()
    pair.first.stop()
    site.until("the second to lead", pair.second.leads, seconds=10)
    assert time.monotonic() - began < 3 + SLACK.seconds
    given_back = when_said(pair.first, "stopped")
    assert when_said(pair.second, LEADING) - given_back < timedelta(seconds=3)
    site.node.decide(site.namespace, "d", pod_fates.Succeeds())
    site.until_settled("d")
    assert faults_in(site, "d") == {}
    pair.second.stop()
    assert holder(site) == ""


def _kill(pair: Pair) -> None:
    pair.first.kill()


def _refuse(pair: Pair) -> None:
    pair.first_proxy.answer(LEASES, 500, times=None)


def _hang(pair: Pair) -> None:
    pair.first_proxy.hold(LEASES, None, times=None)


def _steal(pair: Pair) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{pair.site.namespace}/leases/{LEASE_NAME}"
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    pair.site.patch(path, {"spec": {"holderIdentity": "somebody", "renewTime": moment}})


#: What happens to the one that leads, and whether that process goes on.
ENDS: dict[str, tuple[Callable[[Pair], None], bool]] = {
    "killed": (_kill, False),
    "refused": (_refuse, True),
    "hung": (_hang, True),
    "robbed": (_steal, True),
}


def test_the_other_takes_over(sites: Sites) -> None:
    """Whether the leader is killed or cannot renew: never do two decide, and the run under way is one.

    All cases at once, since each takes as long as a Lease lives.
    """
    pairs = dict(zip(ENDS, begin(*(sites.make() for _ in ENDS)), strict=True))
    for name, pair in pairs.items():
        pair.site.node.decide(pair.site.namespace, "bao", pod_fates.Hangs())
        pair.site.add("bao", trigger="please")
        pair.site.until(f"{name}: a run under way", lambda pair=pair: pair.site.jobs())  # type: ignore[misc] # bound now
        pair.site.until(f"{name}: the second ready", pair.second.is_ready, seconds=60)
    for name, pair in pairs.items():
        ENDS[name][0](pair)
    began = time.monotonic()
    for pair in pairs.values():
        pair.site.node.decide(pair.site.namespace, "bao", pod_fates.Succeeds())
    for name, pair in pairs.items():
        pair.site.until(f"{name}: the other one to lead", lambda pair=pair: leader_of(pair), seconds=60)  # type: ignore[misc] # bound now
    assert time.monotonic() - began < (TAKEN_OVER_WITHIN + SLACK).seconds
    for name, pair in pairs.items():
        pair.site.until_settled()
        assert {name: faults_in(pair.site, "bao")} == {name: {}}
        if ENDS[name][1]:
            assert_never_two(pair)
            assert pair.first.is_alive()


def leader_of(pair: Pair) -> Operator | None:
    """Who leads now, after the first one lost it."""
    lost = pair.first.said("LeaseLost") or not pair.first.running
    return next((each for each in (pair.second, pair.first) if lost and each.leads()), None)


def assert_never_two(pair: Pair) -> None:
    """The first one said that it lost the Lease before the other one led, and wrote nothing since."""
    (lost,) = [line for line in pair.first.lines() if line.get("reason") == "LeaseLost"]
    lost_at = datetime.fromisoformat(lost["time"])
    later = [line for line in pair.second.lines() if line["message"] == LEADING]
    if later:
        assert datetime.fromisoformat(later[0]["time"]) > lost_at
        since = time.monotonic() - (datetime.now(lost_at.tzinfo) - lost_at).total_seconds() + 0.1
        wrote = pair.first_proxy.writes(since=since, without=("leases",))
        assert wrote == []
