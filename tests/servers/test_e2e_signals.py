"""A run that is told to end, that is killed, or whose time is over leaves nothing that counts."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from tests.harness.process import wait_until
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, Place, assert_backup, assert_failed, assert_untouched
from tests.servers.program import PART, Running, Site

pytestmark = pytest.mark.servers

#: The first part is with the store by then.
IN_MID_STREAM = PART + (1 << 20)
#: So slow that the rest takes minutes.
SLOWLY = 8 << 10


@pytest.fixture
def proxy(full_vault: VaultCluster) -> Iterator[TcpProxy]:
    """In front of the one node; it passes the snapshot fast to the named point, and slowly from there."""
    with TcpProxy(full_vault.addresses[0]) as proxy:
        proxy.set(ByteFault(ByteFaultKind.WATCH, IN_MID_STREAM))
        yield proxy


def begin(site: Site, cluster: VaultCluster, proxy: TcpProxy, place: Place, name: str) -> Running:
    """A run that is in mid-upload."""
    site.describe(name, cluster, place.target(site), addresses=[proxy.url])
    run = site.begin_job(site.job(name))
    assert proxy.reached.wait(60)
    proxy.throttle(SLOWLY)
    wait_until("an upload is under way", lambda: len(place.leftovers()) == 1, seconds=10)
    assert place.visible() == []
    return run


def again(proxy: TcpProxy) -> None:
    """Fast to the named point, for the next run."""
    proxy.throttle(None)
    proxy.set(ByteFault(ByteFaultKind.WATCH, IN_MID_STREAM))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_in_mid_upload(
    full_vault: VaultCluster,
    proxy: TcpProxy,
    site: Site,
    places: dict[str, Place],
    number: signal.Signals,
) -> None:
    """Exit 7 within seconds, reported as Interrupted; nothing is visible and no upload is left."""
    for name, place in places.items():
        again(proxy)
        run = begin(site, full_vault, proxy, place, name)
        begun = time.monotonic()
        run.signal(number)
        ended = run.wait(20)
        assert time.monotonic() - begun < 5
        assert number.name in assert_failed(ended, 7, "Interrupted")
        assert_untouched(place)


def test_killed_in_mid_upload(
    full_vault: VaultCluster, proxy: TcpProxy, site: Site, places: dict[str, Place]
) -> None:
    """Nothing is visible; the next run removes what the killed one left, and succeeds."""
    for name, place in places.items():
        again(proxy)
        run = begin(site, full_vault, proxy, place, name)
        run.kill()
        assert run.wait().result == {}
        assert place.visible() == []
        assert len(place.leftovers()) == 1
        proxy.clear()
        # An upload to a bucket counts as dead only after a day: nobody can see who is at it.
        ended = site.begin_job(site.job(name, store={"dead_after": 0.0})).wait()
        assert "removed 1 leftovers" in ended.err
        assert_backup(place, ended)


def test_upload_under_way_is_not_swept(
    full_vault: VaultCluster, proxy: TcpProxy, site: Site, places: dict[str, Place]
) -> None:
    """A run beside another one leaves that one's upload alone; both succeed."""
    for name, place in places.items():
        again(proxy)
        slow = begin(site, full_vault, proxy, place, name)
        site.describe(f"{name}-beside", full_vault, place.target(site))
        quick = site.begin_job(site.job(f"{name}-beside")).wait()
        assert quick.code == 0, quick.err
        beside = place.visible()
        assert len(place.leftovers()) == 1
        proxy.throttle(None)
        ended = slow.wait()
        assert ended.code == 0, ended.err
        assert sorted({*place.visible()} - {*beside}) == [ended.result["key"], f"{ended.result['key']}.json"]


def test_own_deadline(full_vault: VaultCluster, proxy: TcpProxy, site: Site, in_bucket: BucketPlace) -> None:
    """A run that takes longer than it is given aborts its upload, and says DeadlineExceeded."""
    site.describe("late", full_vault, in_bucket.target(site), addresses=[proxy.url])
    proxy.throttle(1 << 20)
    ended = site.begin_job(site.job("late", deadline_seconds=3.0)).wait(20)
    assert_failed(ended, 7, "DeadlineExceeded")
    assert ended.seconds < 10
    assert_untouched(in_bucket)


def test_started_twice(full_vault: VaultCluster, site: Site, places: dict[str, Place]) -> None:
    """A run whose backup is there already, receipt and all, is done: nothing is written again."""
    for name, place in places.items():
        site.describe(name, full_vault, place.target(site))
        key = f"default/{name}/2026-11-22T02-00-00Z-0123abcd.snap"
        job = site.job(name, key=key)
        first = site.begin_job(job).wait()
        assert_backup(place, first)
        body, receipt = place.read(key), place.read(f"{key}.json")
        second = site.begin_job(job).wait()
        assert_backup(place, second, tries=0)
        assert (place.read(key), place.read(f"{key}.json")) == (body, receipt)
        assert second.result["sha256"] == first.result["sha256"]
