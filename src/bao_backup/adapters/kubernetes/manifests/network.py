"""The NetworkPolicy of a cluster's runs: nobody may call them, and they call only whom they need.

Hosts are mostly names, which a NetworkPolicy does not know: their rules are of ports alone. Also the
servers' rule, though the pods of a managed cluster have labels: those are another operator's, and
a rule that misses them would end every backup. What keeps the token at the right server is TLS.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from bao_backup.adapters.kubernetes import names
from bao_backup.adapters.kubernetes.manifests.owned import Manifest, metadata, own_labels
from bao_backup.adapters.kubernetes.manifests.work import Work
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.core.connection import BaoSettings, parse_address
from bao_backup.core.job_settings import OPENBAO_PORT
from bao_backup.core.target import Provider, Target

HTTPS_PORT = 443
_DEFAULT_PORTS = {"http": 80, "https": HTTPS_PORT}

#: Where a pod asks for the cloud's own identity (each cloud's documentation): address, port.
METADATA: dict[Provider, tuple[tuple[str, int], ...]] = {
    # The instance's own service, and the agent of EKS Pod Identity; both with their IPv6 addresses.
    Provider.S3: (
        ("169.254.169.254", 80),
        ("169.254.170.23", 80),
        ("fd00:ec2::254", 80),
        ("fd00:ec2::23", 80),
    ),
    # The metadata server of Compute Engine, and that of GKE's nodes.
    Provider.GCS: (("169.254.169.254", 80), ("169.254.169.252", 988)),
    Provider.AZURE: (("169.254.169.254", 80),),
    Provider.FILE: (),
}


def network_policy(work: Work, options: JobOptions) -> Manifest:
    """The policy: no way in, and out only to what the work needs and `network.egressRules` adds."""
    targets = [each.target for each in work.targets]
    rules = [
        _dns(options),
        *_to_servers(work.bao),
        *(rule for target in targets for rule in _to_store(target)),
        *(rule for target in targets for rule in _to_identity(target)),
        *work.cluster.spec.network.egress_rules,
    ]
    chosen = (names.MANAGED_BY, names.CLUSTER, names.COMPONENT)
    labels = own_labels(work)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(work, names.network_policy_name(work.cluster.metadata.name, work.component)),
        "spec": {
            "podSelector": {"matchLabels": {label: labels[label] for label in chosen}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": _each_once(rules),
        },
    }


def _dns(options: JobOptions) -> Manifest:
    """To any address: clusters differ in where their DNS is. OpenShift's pods answer on 5353."""
    ports = (53, 5353) if options.openshift else (53,)
    return {"ports": [{"protocol": protocol, "port": port} for port in ports for protocol in ("UDP", "TCP")]}


def _to_servers(bao: BaoSettings) -> list[Manifest]:
    rules = []
    for address in bao.addresses:
        server = parse_address(address)
        rules.append(_rule(server.host, server.port))
        if _namespace_of_service(server.host):
            # A policy is applied to the pods' port, which may be another than the Service's.
            rules.append(_rule("", OPENBAO_PORT))
    return rules


def _to_store(target: Target) -> list[Manifest]:
    if target.provider is Provider.FILE:
        return []
    # NO_PROXY may name the store, too: both ways are open.
    by_proxy = _to_url(target.proxy) if target.proxy else []
    return by_proxy + (_to_url(target.endpoint) if target.endpoint else [_rule("", HTTPS_PORT)])


def _to_identity(target: Target) -> list[Manifest]:
    """A token service for a role; nothing for keys from a Secret; else what the cloud has for its own.

    Nobody here may look into a Secret: beside `workloadIdentity` it holds a CA, or which identity is meant.
    """
    by_keys = target.credentials_secret and not target.role_arn and target.workload_identity is None
    if target.provider is Provider.FILE or by_keys:
        return []
    service = target.s3.sts_endpoint if target.s3 else ""
    token_service = _to_url(service) if service else [_rule("", HTTPS_PORT)]
    if target.role_arn:
        return token_service
    return token_service + [_rule(host, port) for host, port in METADATA[target.provider]]


def _to_url(url: str) -> list[Manifest]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    rules = [_rule(host, parts.port or _DEFAULT_PORTS[parts.scheme])]
    # Behind a Service the pods may have another port, too, and here none is the usual one.
    if namespace := _namespace_of_service(host):
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        rules.append({"to": [{"namespaceSelector": selector}]})
    return rules


def _rule(host: str, port: int) -> Manifest:
    """To this TCP port; of any host, unless the host is given as an IP address."""
    rule: Manifest = {"ports": [{"protocol": "TCP", "port": port}]}
    try:
        address = ip_address(host)
    except ValueError:
        return rule
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}], **rule}


def _namespace_of_service(host: str) -> str:
    """The namespace in `name.namespace.svc[.domain]`; empty for any other name."""
    parts = host.split(".")
    return parts[1] if len(parts) >= 3 and parts[2] == "svc" else ""


def _each_once(rules: list[Manifest]) -> list[Manifest]:
    found: list[Manifest] = []
    for rule in rules:
        if rule not in found:
            found.append(rule)
    return found
