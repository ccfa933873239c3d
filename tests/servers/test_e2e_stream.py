"""A snapshot that is cut off, ends early, is changed on its way or stalls is never kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.certificates import Authority
from tests.harness.http_proxy import FaultyProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import Place, assert_backup, assert_failed, assert_untouched
from tests.servers.program import Ended, Site

pytestmark = pytest.mark.servers

SPOILED = [
    pytest.param(CallFaultKind.CLOSE, 0.01, 4, "SnapshotCutOff", id="closed-at-1%"),
    pytest.param(CallFaultKind.RESET, 0.5, 4, "SnapshotCutOff", id="reset-at-50%"),
    pytest.param(CallFaultKind.CLOSE, 0.99, 4, "SnapshotCutOff", id="closed-at-99%"),
    pytest.param(CallFaultKind.CLOSE, 0.9999, 4, "SnapshotCutOff", id="closed-at-99.99%"),
    pytest.param(CallFaultKind.CLOSE, 1.0, 4, "SnapshotCutOff", id="closed-without-last-chunk"),
    # With the last chunk, as a server that fails in mid-stream: only the archive itself tells.
    pytest.param(CallFaultKind.END_EARLY, 0.01, 6, "ArchiveTruncated", id="ended-at-1%"),
    pytest.param(CallFaultKind.END_EARLY, 0.9999, 6, "ArchiveTruncated", id="ended-at-99.99%"),
    pytest.param(CallFaultKind.FLIP, 0.5, 6, "ArchiveCorrupt", id="flipped-at-50%"),
    pytest.param(CallFaultKind.FLIP, 1.0, 6, "ArchiveCorrupt", id="flipped-at-its-end"),
]
#: Seconds, in place of the minute that a stream may be silent. The server itself needs one or two
#: before it sends the first byte, on a busy machine.
STALL = 4.0


@pytest.fixture
def proxy(full_vault: VaultCluster, authority: Authority) -> Iterator[FaultyProxy]:
    """What spoils the streams of the cluster of one node."""
    with FaultyProxy(full_vault.addresses[0], authority) as proxy:
        yield proxy


def back_up(
    site: Site, cluster: VaultCluster, proxy: FaultyProxy, places: dict[str, Place], **bao: Any
) -> dict[str, Ended]:
    """Back up the cluster into each of the places at the same time, through the proxy."""
    auth = site.token(cluster)
    for name, place in places.items():
        site.describe(name, cluster, place.target(site), addresses=[proxy.url], auth=auth)
    runs = {name: site.begin_job(site.job(name, bao=bao)) for name in places}
    return {name: run.wait() for name, run in runs.items()}


@pytest.mark.parametrize(("kind", "at", "code", "reason"), SPOILED)
def test_spoiled_stream_is_never_kept(
    full_vault: VaultCluster,
    proxy: FaultyProxy,
    site: Site,
    places: dict[str, Place],
    kind: CallFaultKind,
    at: float,
    code: int,
    reason: str,
) -> None:
    """It is tried three times; then nothing is in any target, and exit code and reason say why."""
    proxy.set(CallFault(kind, Call.SNAPSHOT, at=at, times=None))
    for name, ended in back_up(site, full_vault, proxy, places).items():
        assert_failed(ended, code, reason)
        assert ended.result["tries"] == 3
        assert_untouched(places[name])
    assert proxy.count(Call.SNAPSHOT) == 6


def test_stalled_stream_is_given_up(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, places: dict[str, Place]
) -> None:
    """A stream that falls silent after 90 % is noticed after the stall limit, three times."""
    proxy.set(CallFault(CallFaultKind.STALL, Call.SNAPSHOT, at=0.9, times=None))
    for name, ended in back_up(site, full_vault, proxy, places, stall_seconds=STALL).items():
        message = assert_failed(ended, 4, "SnapshotStalled")
        assert f"no byte for {STALL:g} s" in message
        assert ended.result["tries"] == 3
        assert 3 * STALL < ended.seconds < 10 * STALL
        assert_untouched(places[name])


@pytest.mark.parametrize("kind", [CallFaultKind.CLOSE, CallFaultKind.END_EARLY, CallFaultKind.STALL])
def test_one_spoiled_try_costs_no_backup(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, places: dict[str, Place], kind: CallFaultKind
) -> None:
    """The first stream to each target is spoiled: the second try stores the backup, and it alone is there."""
    proxy.set(CallFault(kind, Call.SNAPSHOT, at=0.9, times=2))
    for name, ended in back_up(site, full_vault, proxy, places, stall_seconds=STALL).items():
        assert_backup(places[name], ended, tries=2)


def test_proxy_that_answers_for_the_server_is_no_snapshot(
    full_vault: VaultCluster, proxy: FaultyProxy, site: Site, places: dict[str, Place]
) -> None:
    """A 502 in the server's place is tried again, and then a failed snapshot call."""
    proxy.set(CallFault(CallFaultKind.ANSWER, Call.SNAPSHOT, status=502, code="bad gateway", times=None))
    for name, ended in back_up(site, full_vault, proxy, places).items():
        assert "502" in assert_failed(ended, 4, "LeaderLost")
        assert ended.result["tries"] == 3
        assert_untouched(places[name])
