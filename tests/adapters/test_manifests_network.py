"""The NetworkPolicy of runs: what they may reach, by the document."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from msgspec.structs import replace
from tests.adapters.manifests import FOLDER, OPTIONS, document_of, objects_of, run_of
from tests.adapters.run_documents import run_documents

from bao_backup.adapters.kubernetes.manifests import Manifest, run_objects
from bao_backup.core.spec import OpenBaoCluster, parse_cluster

METADATA = "169.254.169.254/32:80"


def policy_of(document: OpenBaoCluster) -> Manifest:
    """The policy of a run of this document."""
    policy = run_objects(document, run_of(document), OPTIONS).network_policy
    assert policy is not None
    spec: Manifest = policy["spec"]
    return spec


def ways_out(document: OpenBaoCluster) -> set[str]:
    """Each way out but DNS: "ADDRESS:PORT", where * is any of it."""
    _dns, *rules = policy_of(document)["egress"]
    return {f"{_to(to)}:{port['port']}" for rule in rules for to, port in _pairs(rule)}


def _pairs(rule: Manifest) -> list[tuple[Any, Any]]:
    ports = rule.get("ports", [{"port": "*"}])
    return [(to, port) for to in rule.get("to", [None]) for port in ports]


def _to(to: Any) -> str:
    if to is None:
        return "*"
    block = to.get("ipBlock")
    return (
        str(block["cidr"])
        if block
        else "namespace " + ",".join(to["namespaceSelector"]["matchLabels"].values())
    )


def changed(case: str, **changes: Any) -> OpenBaoCluster:
    """The case's document with other parts of its spec; of `target`, the fields are added."""
    content = yaml.safe_load((FOLDER / f"{case}.document.yaml").read_text())
    content["spec"]["backup"]["target"] |= changes.pop("target", {})
    content["spec"] |= changes
    return parse_cluster(content, strict=True)


@given(run_documents())
def test_nobody_may_call_a_run(document: OpenBaoCluster) -> None:
    """Both directions are closed but for what is named, for this cluster's backups alone."""
    policy = policy_of(document)
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    pod = run_objects(document, run_of(document), OPTIONS).job["spec"]["template"]["metadata"]["labels"]
    chosen = policy["podSelector"]["matchLabels"]
    assert chosen.items() <= pod.items()
    assert chosen.keys() == {"app.kubernetes.io/managed-by", "openbao.org/cluster", "openbao.org/component"}
    assert all(rule for rule in policy["egress"]), "an empty rule allows everything"


@given(run_documents())
def test_names_can_always_be_asked_for(document: OpenBaoCluster) -> None:
    """Over both protocols, wherever the cluster has its DNS."""
    assert policy_of(document)["egress"][0] == {
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    }


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ({"addresses": ["https://bao.example.com"]}, {"*:443"}),
        ({"addresses": ["https://bao-0:8200", "https://bao-1:8200"]}, {"*:8200"}),
        ({"addresses": ["https://10.1.0.1:8200"]}, {"10.1.0.1/32:8200"}),
        ({"addresses": ["http://[fd00::1]:8201"]}, {"fd00::1/128:8201"}),
        ({"service": {"name": "bao"}}, {"*:8200"}),
        ({"service": {"name": "bao", "port": 443}}, {"*:443", "*:8200"}),
        ({"addresses": ["https://bao.vault.svc:443"]}, {"*:443", "*:8200"}),
        ({"addresses": ["https://bao.svc.example.com:8443"]}, {"*:8443"}),
        (None, {"*:8200"}),
    ],
)
def test_ways_to_the_servers(connection: dict[str, Any] | None, expected: set[str]) -> None:
    """By port; by address where it is one. Behind a Service, pods may have another port."""
    store = {"endpoint": "http://s3.example.com:1"}
    found = ways_out(changed("managed", connection=connection, target=store))
    assert found == expected | {"*:1"}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", {"*:443"}),
        ("https://s3.example.com", {"*:443"}),
        ("http://s3.example.com/base", {"*:80"}),
        ("https://s3.example.com:9000", {"*:9000"}),
        ("https://10.0.0.9:9000", {"10.0.0.9/32:9000"}),
        ("https://[fd00::9]", {"fd00::9/128:443"}),
        ("http://minio.storage.svc", {"*:80", "namespace storage:*"}),
        ("https://minio.storage.svc.cluster.local:443", {"*:443", "namespace storage:*"}),
        ("https://minio.storage:443", {"*:443"}),
    ],
)
def test_ways_to_the_store(endpoint: str, expected: set[str]) -> None:
    """With keys from a Secret there is no other."""
    assert ways_out(changed("managed", target={"endpoint": endpoint})) == expected | {"*:8200"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"roleArn": "arn:aws:iam::1:role/a"}, {"*:443"}),
        (
            {"roleArn": "arn:aws:iam::1:role/a", "s3": {"stsEndpoint": "https://minio.storage.svc:9000"}},
            {"*:9000", "namespace storage:*"},
        ),
        (
            {"roleArn": "arn:aws:iam::1:role/a", "credentialsSecretRef": {"name": "only-the-ca"}},
            {"*:443"},
        ),
        (
            {},
            {"*:443", METADATA, "169.254.170.23/32:80", "fd00:ec2::254/128:80", "fd00:ec2::23/128:80"},
        ),
        ({"provider": "gcs"}, {"*:443", METADATA, "169.254.169.252/32:988"}),
        ({"provider": "azure", "azure": {"storageAccount": "a"}}, {"*:443", METADATA}),
        ({"provider": "gcs", "credentialsSecretRef": {"name": "keys"}}, set()),
        (
            {
                "provider": "azure",
                "azure": {"storageAccount": "a"},
                "credentialsSecretRef": {"name": "only-the-client-id"},
                "workloadIdentity": {},
            },
            {"*:443", METADATA},
        ),
    ],
)
def test_ways_to_the_clouds_identity(target: dict[str, Any], expected: set[str]) -> None:
    """Only where no Secret has keys: the token service, and where the cloud tells a pod who it is."""
    store = {"credentialsSecretRef": None, "endpoint": "http://store:1"}
    assert ways_out(changed("managed", target=store | target)) == expected | {"*:8200", "*:1"}


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [("http://proxy.example.com:3128", {"*:3128"}), ("http://10.0.0.8:3128", {"10.0.0.8/32:3128"})],
)
def test_a_way_to_the_proxy(proxy: str, expected: set[str]) -> None:
    """Beside the one to the store, which NO_PROXY may name."""
    target = {"endpoint": "https://store:9000", "proxy": proxy}
    assert ways_out(changed("managed", target=target)) == expected | {"*:8200", "*:9000"}


def test_a_folder_needs_no_way_out() -> None:
    """Only the servers are left."""
    assert ways_out(document_of("everything")) == {"*:8200"}


def test_rules_of_the_document_are_added_as_they_are() -> None:
    """Behind all others, whatever is in them."""
    rules = [{"to": [{"podSelector": {}}], "ports": [{"port": "named", "protocol": "SCTP"}]}]
    egress = policy_of(changed("managed", network={"egressRules": rules}))["egress"]
    assert egress[-1:] == rules
    assert egress[:-1] == policy_of(document_of("managed"))["egress"]


def test_it_can_be_switched_off() -> None:
    """Nothing else changes."""
    document = document_of("managed")
    without = run_objects(document, run_of(document), replace(OPTIONS, network_policy=False))
    assert without == objects_of("managed")._replace(network_policy=None)
