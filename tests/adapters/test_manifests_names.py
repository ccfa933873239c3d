"""Names, labels and annotations of what is made: valid, ours, and the same each time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.manifests import OPTIONS, document_of, made, objects_of, run_of
from tests.adapters.run_documents import object_names, run_documents

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests import run_objects
from bao_backup.core.model import Trigger
from bao_backup.core.spec import OpenBaoCluster

#: RFC 1123, as Kubernetes checks names, and values of labels.
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
COMPONENTS = (names.BACKUP_COMPONENT, names.RESTORE_COMPONENT)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def metadata_of(document: OpenBaoCluster, trigger: Trigger = Trigger.SCHEDULED) -> list[dict[str, Any]]:
    """Of every object, and of the pod."""
    objects = made(run_objects(document, run_of(document, trigger), OPTIONS))
    return [each["metadata"] for each in objects] + [objects[-1]["spec"]["template"]["metadata"]]


@given(run_documents(), st.integers(1, 200))
def test_every_name_is_one_that_kubernetes_takes(document: OpenBaoCluster, number: int) -> None:
    """Of the Job at most 63, since its name becomes a label of its pods; of others 253."""
    objects = run_objects(document, run_of(document, number=number), OPTIONS)
    name = objects.job["metadata"]["name"]
    assert len(name) <= 63
    assert DNS_LABEL.fullmatch(name)
    for each in made(objects):
        name = each["metadata"]["name"]
        assert len(name) <= 253
        assert SUBDOMAIN.fullmatch(name)


@given(run_documents(), st.sampled_from(Trigger))
def test_every_label_of_ours_is_valid_and_nobody_elses(document: OpenBaoCluster, trigger: Trigger) -> None:
    """Whatever the template says of them."""
    for metadata in metadata_of(document, trigger):
        labels = metadata["labels"]
        assert all(len(value) <= 63 and LABEL_VALUE.fullmatch(value) for value in labels.values())
        assert labels[names.MANAGED_BY] == "bao-backup"
        assert labels[names.CLUSTER] == names.label_value(document.metadata.name)
        assert labels[names.COMPONENT] == "backup"


@given(run_documents())
def test_what_the_manager_reads_again_is_on_its_job(document: OpenBaoCluster) -> None:
    """The whole name, which a label may have no room for; and no annotation of a template in its place."""
    run = run_of(document, number=3)
    annotations = run_objects(document, run, OPTIONS).job["metadata"]["annotations"]
    assert {key: value for key, value in annotations.items() if names.is_ours(key)} == {
        "openbao.org/backup-key": run.key,
        "openbao.org/cluster-name": document.metadata.name,
        "openbao.org/cluster-uid": "00000000-1111",
        "openbao.org/slot": "2026-11-22T02:00:00Z",
        "openbao.org/try": "3",
    }


@given(object_names, object_names)
def test_names_differ_where_clusters_do(one: str, other: str) -> None:
    """Also shortened ones."""
    for name in (names.service_account_name, names.network_policy_name):
        for component in COMPONENTS:
            assert (name(one, component) == name(other, component)) == (one == other)
            assert name(one, component) not in {name(other, each) for each in COMPONENTS if each != component}
    assert (names.label_value(one) == names.label_value(other)) == (one == other)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("length", [1, 54, 63, 64, 228, 229, 230, 231, 241, 242, 243, 253])
def test_a_name_is_shortened_only_where_it_must_be(length: int, component: str) -> None:
    """And keeps its ending, by which people find it."""
    cluster = "a" * length
    account = names.service_account_name(cluster, component)
    policy = names.network_policy_name(cluster, component)
    of_account, of_policy = f"-{component}-serviceaccount", f"-bao-{component}"
    assert (account == cluster + of_account) == (length <= 253 - len(of_account))
    assert (policy == cluster + of_policy) == (length <= 253 - len(of_policy))
    assert account.endswith(of_account)
    assert policy.endswith(of_policy)
    assert max(len(account), len(policy)) <= 253


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (Trigger.SCHEDULED, "scheduled"),
        (Trigger.MANUAL, "manual"),
        (Trigger.PRE_UPGRADE, "pre-upgrade"),
        (Trigger.PRE_RESTORE, "pre-restore"),
    ],
)
def test_job_and_pod_say_what_they_were_started_for(trigger: Trigger, expected: str) -> None:
    """By the existing operator's label."""
    *_, job, pod = metadata_of(document_of("managed"), trigger)
    assert job["labels"][names.BACKUP_TYPE] == pod["labels"][names.BACKUP_TYPE] == expected


def test_labels_for_the_clouds_identity_are_the_pods_alone() -> None:
    """And annotations for it the ServiceAccount's."""
    objects = objects_of("azure")
    label = "azure.workload.identity/use"
    assert objects.job["spec"]["template"]["metadata"]["labels"][label] == "true"
    assert label not in objects.job["metadata"]["labels"]
    assert objects.service_account is not None
    assert "azure.workload.identity/client-id" in objects.service_account["metadata"]["annotations"]


@given(run_documents())
def test_everything_goes_away_with_its_cluster(document: OpenBaoCluster) -> None:
    """One owner, which controls it, and whose deletion nothing holds up."""
    for each in made(run_objects(document, run_of(document), OPTIONS)):
        assert each["metadata"]["namespace"] == document.metadata.namespace
        assert each["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "openbao.org/v1alpha1",
                "kind": "OpenBaoCluster",
                "name": document.metadata.name,
                "uid": "00000000-1111",
                "controller": True,
            }
        ]
