"""The Job of a check: whatever a backup's is, but for what it does, and what its manager sees it by."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.manifests import CASES, document_of, objects_of

from bao_backup.adapters.kubernetes.known_jobs import backs_up, checks, is_watched, restores
from bao_backup.adapters.kubernetes.manifests import check_objects
from bao_backup.core.settings import from_environment

NAME = "check-prod-0123abcd"


def container(job: dict[str, Any]) -> dict[str, Any]:
    """The only one of its pod."""
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_a_backup(case: str) -> None:
    """The same account, the same network, the same pod with the same mounts and rights."""
    check, backup = check_objects(document_of(case), NAME, CASES[case]), objects_of(case)
    assert check.service_account == backup.service_account
    assert check.network_policy == backup.network_policy
    ours, theirs = container(check.job), container(backup.job)
    assert ours.pop("args") == ["check", "--wait", "300", "--result", "/dev/termination-log"]
    assert theirs.pop("args")[0] == "backup"
    ours.pop("env")
    theirs.pop("env")
    assert ours == theirs
    pod, other = check.job["spec"]["template"]["spec"], backup.job["spec"]["template"]["spec"]
    assert pod | {"containers": []} == other | {"containers": []}
    labels = check.job["spec"]["template"]["metadata"]["labels"]
    assert labels == backup.job["spec"]["template"]["metadata"]["labels"] | {
        "openbao.org/backup-type": "check"
    }
    assert check.job["spec"]["activeDeadlineSeconds"] == 900


@pytest.mark.parametrize("case", CASES)
def test_its_settings(case: str) -> None:
    """It reads the same target and login from its environment, and no slot or key of any backup."""
    job = check_objects(document_of(case), NAME, CASES[case]).job
    variables = {each["name"]: each.get("value", "") for each in container(job)["env"]}
    settings = from_environment({name: value.replace("$$", "$") for name, value in variables.items()})
    assert (settings.key, settings.slot) == ("", None)
    theirs = {each["name"]: each.get("value", "") for each in container(objects_of(case).job)["env"]}
    backup = from_environment({name: value.replace("$$", "$") for name, value in theirs.items()})
    assert (settings.store, settings.bao, settings.retention) == (backup.store, backup.bao, backup.retention)
    assert "openbao.org/slot" not in job["metadata"]["annotations"]


def test_who_sees_it_as_what() -> None:
    """The manager sees what becomes of it, and takes it for no backup; of others' Jobs it is never one."""
    job = check_objects(document_of("managed"), NAME, CASES["managed"]).job
    assert (checks(job), backs_up(job), restores(job), is_watched(job)) == (True, False, False, True)
    backup = objects_of("managed").job
    assert (checks(backup), backs_up(backup)) == (False, True)
    job["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "another"
    assert (checks(job), backs_up(job)) == (False, True)
