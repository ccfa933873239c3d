"""`checkOnCreate` with `bao-backup serve`: a process checks a new or changed configuration."""

from __future__ import annotations

import pytest
from tests.manager.serving import ask, serving
from tests.manager.site import Site

from bao_backup.core.checking import CONDITION
from bao_backup.core.status import Condition

pytestmark = pytest.mark.servers  # processes of their own, several a test


def condition(site: Site) -> Condition | None:
    """What the status says of the configuration."""
    return site.status().condition(CONDITION)


def verdict(site: Site) -> str:
    """True, False or Unknown; empty as long as nothing is said."""
    found = condition(site)
    return found.status if found is not None else ""


def test_a_new_document(site: Site) -> None:
    """It is proven, once and without a backup; people are told, and nothing is left in the store."""
    site.configure(site.document(checkOnCreate=True))
    with serving(site) as manager:
        site.until("the verdict", lambda: verdict(site) == "True")
        assert [event.message for event in site.events() if event.reason == "ConfigurationProven"]
        assert site.files() == []
        metrics = manager.metrics()
        assert metrics["openbao_backup_success_total"] == metrics["openbao_backup_failure_total"] == 0
        assert ask(site, "trigger", "bao", "--wait").returncode == 0
        assert len(site.run_logs()) == 2
        assert manager.end() == 0


def test_a_change_for_the_worse_and_back(site: Site) -> None:
    """What fails is told with its remedy; a configuration that is right again is proven again."""
    site.configure(site.document(checkOnCreate=True))
    with serving(site):
        site.until("the verdict", lambda: verdict(site) == "True")
        wrong = {"provider": "file", "path": str(site.store / "gone")}
        site.configure(site.document(checkOnCreate=True, target=wrong))
        site.until("the failure", lambda: verdict(site) == "False")
        found = condition(site)
        assert found is not None
        assert found.reason == "BucketNotFound"
        assert found.message.startswith("write: ")
        assert "create it" in found.message
        assert [
            event for event in site.events() if event.reason == "ConfigurationNotProven" and event.warning
        ]
        site.configure(site.document(checkOnCreate=True))
        site.until("the verdict", lambda: verdict(site) == "True")


@pytest.mark.parametrize("where", ["before:start_check:1", "after:start_check:1", "after:save:2"])
def test_a_manager_that_is_killed(site: Site, where: str) -> None:
    """Whenever it dies, the next one finds the check, or starts it, and tells its end."""
    site.configure(site.document(checkOnCreate=True))
    with site.start(die=where) as manager:
        site.until_it_ends_or(manager, lambda: verdict(site) == "True")
    with serving(site):
        site.until("the verdict", lambda: verdict(site) == "True")
        assert len(site.run_logs()) == 1
