"""The leader is found, and when it goes in mid-stream, the next one is: nothing half-done remains."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.harness.process import free_ports, wait_until
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy
from tests.harness.vault import VaultCluster
from tests.harness.vault_node import SEALED, VaultNode
from tests.servers.places import BucketPlace, Place, assert_backup, assert_failed, assert_untouched
from tests.servers.program import PART, Running, Site

pytestmark = pytest.mark.servers

#: Slow enough that a stream lasts longer than whatever is done to its leader.
SLOWLY = 4 << 20
#: The first part is on its way to the store by then.
IN_MID_STREAM = PART + (1 << 20)


@pytest.fixture
def proxies(full_cluster: VaultCluster) -> Iterator[dict[str, TcpProxy]]:
    """A proxy in front of each node, by the node's name."""
    with ExitStack() as stack:
        yield {node.name: stack.enter_context(TcpProxy(node.url)) for node in full_cluster.nodes}


def addresses(proxies: dict[str, TcpProxy]) -> list[str]:
    """What the program is told."""
    return [proxy.url for proxy in proxies.values()]


def kill(cluster: VaultCluster, leader: VaultNode) -> None:
    """SIGKILL, as a crash."""
    cluster.kill(leader)


def seal(cluster: VaultCluster, leader: VaultNode) -> None:
    """Seal it: it gives up leading, and serves nothing."""
    cluster.seal(leader)


def step_down(cluster: VaultCluster, leader: VaultNode) -> None:
    """Make it a standby, at the call's own pace: an open snapshot may delay the answer."""
    assert leader is cluster.leader()
    threading.Thread(target=cluster.step_down, daemon=True).start()
    wait_until("another leader", lambda: cluster.find_leader() not in (None, leader), seconds=60)


@pytest.fixture
def in_mid_stream(
    full_cluster: VaultCluster, proxies: dict[str, TcpProxy], site: Site, in_bucket: BucketPlace
) -> Running:
    """A run whose first part is on its way to the store, and the rest still on its way to the run."""
    slow = proxies[full_cluster.leader().name]
    slow.throttle(SLOWLY)
    slow.set(ByteFault(ByteFaultKind.WATCH, IN_MID_STREAM))
    site.describe("failover", full_cluster, in_bucket.target(site), addresses=addresses(proxies))
    run = site.begin_job(site.job("failover"))
    assert slow.reached.wait(60)
    assert_untouched_so_far(in_bucket)
    return run


def assert_untouched_so_far(place: BucketPlace) -> None:
    """An upload is under way, and nobody sees it."""
    assert place.visible() == []
    assert len(place.leftovers()) == 1


@pytest.mark.parametrize("befall", [kill, seal, step_down])
def test_leader_lost_in_mid_stream(
    full_cluster: VaultCluster,
    proxies: dict[str, TcpProxy],
    in_mid_stream: Running,
    in_bucket: BucketPlace,
    befall: Callable[[VaultCluster, VaultNode], None],
) -> None:
    """The upload is aborted, the new leader is found, and the second try succeeds through it."""
    old = full_cluster.leader()
    befall(full_cluster, old)
    # A node that only ceases to lead may go on with the stream; here it is cut off, as by a Service.
    proxies[old.name].reset_all()
    ended = in_mid_stream.wait(90)
    assert "try 1 failed" in ended.err
    new = full_cluster.wait_for_leader()
    assert new is not old
    assert f"the leader is {proxies[new.name].url}" in ended.err
    assert_backup(in_bucket, ended, tries=2)


@pytest.mark.parametrize("befall", [seal, step_down])
def test_leader_that_ceases_to_lead_may_end_its_stream(
    full_cluster: VaultCluster,
    in_mid_stream: Running,
    in_bucket: BucketPlace,
    befall: Callable[[VaultCluster, VaultNode], None],
) -> None:
    """The servers send a snapshot to its end that they have begun; whole, it counts, else the second try."""
    befall(full_cluster, full_cluster.leader())
    ended = in_mid_stream.wait(90)
    assert ended.result["tries"] in (1, 2), ended.err
    assert_backup(in_bucket, ended, tries=ended.result["tries"])


def test_waits_for_an_election(full_cluster: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """Begun while nobody leads, it says so, waits, and backs up through who is elected."""
    old = full_cluster.leader()
    site.describe("election", full_cluster, in_bucket.target(site))
    full_cluster.kill(old)
    ended = site.begin_job(site.job("election")).wait()
    assert "waiting for a leader: " in ended.err
    assert_backup(in_bucket, ended)


def test_sealed_and_unreachable_nodes_are_passed_over(
    full_cluster: VaultCluster, site: Site, places: dict[str, Place]
) -> None:
    """One node of three leads with another; the third is sealed, a fourth address is nobody's."""
    sealed = full_cluster.standbys()[0]
    full_cluster.seal(sealed)
    wait_until("it is sealed", lambda: sealed.health() == SEALED, seconds=10)
    nobody = f"https://127.0.0.1:{free_ports(1)[0]}"
    unknown = "https://no-such-host.invalid:8200"
    others = [node.url for node in full_cluster.nodes if node is not sealed]
    for name, place in places.items():
        known = [nobody, unknown, sealed.url, *others]
        site.describe(name, full_cluster, place.target(site), addresses=known)
        assert_backup(place, site.begin_job(site.job(name)).wait())


def test_only_a_standby_is_reachable(full_cluster: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """Exit 3, and the message says of each address what it is; the token goes nowhere."""
    standby = full_cluster.standbys()[0]
    nobody = f"https://127.0.0.1:{free_ports(1)[0]}"
    site.describe("standby", full_cluster, in_bucket.target(site), addresses=[standby.url, nobody])
    ended = site.begin_job(site.job("standby", deadline_seconds=3.0)).wait(20)
    message = assert_failed(ended, 3, "NoLeader")
    assert f"{standby.url} standby" in message
    assert f"{nobody} connection refused" in message
    assert ended.result["tries"] == 0
    assert_untouched(in_bucket)


def test_all_nodes_are_sealed(full_vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """Exit 3 says that it is sealed; unsealed while a run waits, that run succeeds."""
    node = full_vault.leader()
    site.describe("sealed", full_vault, in_bucket.target(site))
    full_vault.seal(node)
    ended = site.begin_job(site.job("sealed", deadline_seconds=2.0)).wait(20)
    assert f"{node.url} sealed" in assert_failed(ended, 3, "NoLeader")
    run = site.begin_job(site.job("sealed"))
    wait_until("it waits", lambda: "sealed" in run.said, seconds=20)
    full_vault.unseal(node)
    assert_backup(in_bucket, run.wait())


@pytest.mark.parametrize("connection", [{"caFile": ""}, {"serverName": "another.test"}], ids=["ca", "name"])
def test_certificate_that_does_not_verify(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace, connection: dict[str, str]
) -> None:
    """An unknown CA or a wrong name is exit 3 at once, with its own reason."""
    site.describe("distrust", full_vault, in_bucket.target(site), connection=connection)
    ended = site.begin_job(site.job("distrust")).wait(20)
    assert_failed(ended, 3, "ServerUntrusted")
    assert_untouched(in_bucket)


def test_server_name_is_what_certificates_are_held_to(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace
) -> None:
    """With `serverName` the address may be an IP address that no certificate needs to hold."""
    site.describe("named", full_vault, in_bucket.target(site), connection={"serverName": "openbao.test"})
    assert_backup(in_bucket, site.begin_job(site.job("named")).wait())
