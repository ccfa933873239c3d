"""The store's part of a check on every store: nothing fails, and nothing is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.contracts.asking import keys
from tests.contracts.stores import Place

from bao_backup.adapters.system import SystemClock
from bao_backup.core.check import LineState, probe_keys
from bao_backup.core.check_store import WantedOfStore
from bao_backup.core.retention import RetentionPolicy
from bao_backup.flows.check import CheckFlow, CheckOrder
from bao_backup.flows.check_store import BODY, OF_PROBE
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store

FOLDERS = ["default/prod", "team a/ünï/default/prod"]


class Silent:
    """Nobody listens."""

    def say(self, words: str) -> None:
        """Say nothing."""

    def moved(self, size: int) -> None:
        """Say nothing."""


def flow(store: Store, prefix: str) -> CheckFlow:
    """A check of the store alone."""
    wanted = WantedOfStore(prefix=prefix, retention=RetentionPolicy(max_age=timedelta(days=7)))
    return CheckFlow(
        CheckOrder(namespace="default", name="prod", wanted=wanted, number=0xFFFFFFFF),
        connect=None,
        open_store=lambda: store,
        clock=SystemClock(),
        stop=Stop(SystemClock()),
        reporter=Silent(),
    )


@pytest.mark.parametrize("prefix", FOLDERS)
def test_nothing_is_wrong(place: Place, prefix: str) -> None:
    """Each line about probes passes, also in a folder with spaces and foreign letters."""
    report = flow(place.store, prefix).run()
    assert report.failed == ()
    states = {line.name: line.state for line in report.lines}
    for name in ("write", *OF_PROBE, "list", "delete", "storeClock"):
        assert states[name] is LineState.PASSED
    assert keys(place.store) == []
    assert list(place.hidden()) == []


def test_other_probes_stay(place: Place) -> None:
    """One of another check may be under way."""
    other, _ = probe_keys("default/prod", 1)
    place.store.create(other, BODY)
    assert flow(place.store, "default/prod").run().failed == ()
    assert keys(place.store) == [other]
