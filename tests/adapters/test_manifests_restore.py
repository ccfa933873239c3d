"""What is made of a restore: compared with files that a person has read, and with a backup's objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.adapters.manifests import (
    RESTORE_CASES,
    RESTORES,
    document_of,
    expected,
    made,
    objects_of_restore,
    restore_of,
    run_of,
)

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests import run_objects
from bao_backup.core.restore_from_document import restore_settings_from_documents
from bao_backup.core.restore_settings import from_environment
from bao_backup.core.restore_spec import parse_restore
from bao_backup.core.spec import parse_cluster


def container_of(case: str) -> dict[str, Any]:
    """The one container of the restore's pod."""
    (container,) = objects_of_restore(case).job["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_the_objects_of_a_restore_are_those_in_its_file(case: str) -> None:
    """`python -m tests.adapters.manifests` writes the files anew, after a change that is meant."""
    assert made(objects_of_restore(case)) == expected(case, RESTORES)


def test_every_file_is_compared() -> None:
    """None of them is left over from a case that there is no more."""
    files = {file.name for file in RESTORES.iterdir()}
    assert files == {f"{case}.{kind}.yaml" for case in RESTORE_CASES for kind in ("documents", "objects")}


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_documents_of_the_cases_have_no_unknown_field(case: str) -> None:
    """A misspelt field in an example would show nothing."""
    cluster, restore = yaml.safe_load_all((RESTORES / f"{case}.documents.yaml").read_text())
    parse_cluster(cluster, strict=True)
    parse_restore(restore, strict=True)


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_a_restore_is_submitted_at_most_once(case: str) -> None:
    """One pod, which is never started anew, and no end of the Job before its result is in the status."""
    spec = objects_of_restore(case).job["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in spec


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_the_executor_reads_the_settings_that_were_meant(case: str) -> None:
    """Unchanged by Kubernetes, which halves each pair of dollars."""
    environment = {each["name"]: each["value"].replace("$$", "$") for each in container_of(case)["env"]}
    wanted = restore_settings_from_documents(*restore_of(case), audience=RESTORE_CASES[case].audience)
    assert from_environment(environment) == wanted


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_all_of_it_is_of_restores(case: str) -> None:
    """By label, so that what is for backups is for no restore, nor the other way round."""
    objects = objects_of_restore(case)
    pod = objects.job["spec"]["template"]["metadata"]
    for metadata in [each["metadata"] for each in made(objects)] + [pod]:
        assert metadata["labels"][names.COMPONENT] == "restore"
    assert objects.network_policy is not None
    assert objects.network_policy["spec"]["podSelector"]["matchLabels"].items() <= pod["labels"].items()


def test_backups_and_restores_of_a_cluster_share_no_object() -> None:
    """Each has its own ServiceAccount, and so its own role; and its own NetworkPolicy."""
    document = document_of("managed")
    cluster = restore_of("own")[1].metadata.name
    assert document.metadata.name == cluster
    backups = made(run_objects(document, run_of(document), RESTORE_CASES["own"]))
    restores = made(objects_of_restore("own"))
    assert not {each["metadata"]["name"] for each in backups} & {
        each["metadata"]["name"] for each in restores
    }


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_the_job_outlives_the_document_of_the_restore(case: str) -> None:
    """It goes away with its cluster, not with the OpenBaoRestore."""
    _, cluster = restore_of(case)
    for each in made(objects_of_restore(case)):
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("OpenBaoCluster", cluster.metadata.uid)


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_the_manager_finds_the_restore_again_by_its_job(case: str) -> None:
    """By name and uid, which a label has no room for; no template takes their place."""
    restore, cluster = restore_of(case)
    annotations = objects_of_restore(case).job["metadata"]["annotations"]
    assert annotations["openbao.org/restore-name"] == restore.metadata.name
    assert annotations["openbao.org/restore-uid"] == restore.metadata.uid
    assert annotations["openbao.org/cluster-uid"] == cluster.metadata.uid
    assert annotations.get("openbao.org/backup-key", "") == restore.spec.source.key


@pytest.mark.parametrize("case", RESTORE_CASES)
def test_every_secret_is_mounted_read_only_at_a_place_of_its_own(case: str) -> None:
    """Those of both stores, and that of the login."""
    pod = objects_of_restore(case).job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    folders = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert len(set(folders)) == len(folders)
    for volume in pod["volumes"]:
        if "secret" in volume or "projected" in volume:
            assert mounts[volume["name"]]["readOnly"] is True
