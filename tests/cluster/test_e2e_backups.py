"""Backups on a real node: by slot and on request, with each login and identity, up to what people see.

A manager with exactly the chart's rights, pods where `restricted` is enforced, Vault and MinIO with TLS of
a private authority. At the end a search finds no secret in anything that was said or stored.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.e2e_manager import Release
from tests.cluster.e2e_site import RIGHTS, NodeSite
from tests.cluster.operator_program import Operator
from tests.harness import account_logins
from tests.harness.kubernetes_fixtures import KEYS_POLICY
from tests.harness.logins import create_token, enable_approle, enable_userpass
from tests.harness.minio import Minio

from bao_backup.adapters.kubernetes.names import BACKUP_COMPONENT, service_account_name

pytestmark = pytest.mark.servers

#: How long until the slot of `scheduled`, at least: the other clusters' runs come first.
LEAD = timedelta(seconds=25)
#: Where the CA of the cluster's Secret is in a pod.
CA_IN_POD = "/etc/bao/tls/ca.crt"
LOGINS = ("kubernetes", "approle", "userpass", "token")


def role_of(minio: Minio) -> str:
    """What `roleArn` has to be."""
    assert minio.openid is not None
    return minio.openid.role


def login(site: NodeSite, method: str) -> dict[str, Any]:
    """`spec.backup.auth` of a method, set up in Vault, with its Secret."""
    if method == "kubernetes":
        account = service_account_name(method, BACKUP_COMPONENT)
        account_logins.review_tokens(
            site.vault, site.policies, site.plane, account=account, namespace=site.namespace
        )
        return {"method": method, "role": "backup"}
    if method == "approle":
        role = enable_approle(site.vault, site.policies)
        data = {"role_id": role.role_id, "secret_id": role.secret_id}
    elif method == "userpass":
        data = {"username": "runs", "password": "pass-of-the-runs"}
        enable_userpass(site.vault, site.policies, name=data["username"], password=data["password"])
    else:
        data = {"token": create_token(site.vault, site.policies)}
    return {"method": method, "secretRef": site.secret(f"by-{method}", data)}


@pytest.fixture(scope="module")
def slot() -> datetime:
    """The one slot of this year that `scheduled` has."""
    return (datetime.now(UTC) + LEAD + timedelta(seconds=59)).replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def site(node_site: NodeSite, manager: Operator, slot: datetime) -> NodeSite:
    """The clusters of all tests here; the runs of most are under way already."""
    assert manager.running
    node_site.minio.add_policy(KEYS_POLICY, RIGHTS, [node_site.bucket])
    node_site.add("scheduled", schedule=f"{slot.minute} {slot.hour} {slot.day} {slot.month} *")
    node_site.add("on-request")
    role = role_of(node_site.minio)
    node_site.add(
        "role-alone",
        trigger="please",
        target=node_site.target(roleArn=role),
        jobTemplate={"env": [{"name": "AWS_CA_BUNDLE", "value": CA_IN_POD}]},
    )
    authority = node_site.secret("store-ca", {"caCert": node_site.ca})
    node_site.add(
        "role-and-ca",
        trigger="please",
        target=node_site.target(roleArn=role, credentialsSecretRef=authority),
    )
    for method in LOGINS:
        node_site.add(method, trigger="please", auth=login(node_site, method))
    return node_site


@pytest.fixture(scope="module")
def on_request(site: NodeSite) -> dict[str, Any]:
    """`status.backup` of the cluster `on-request` after the command line has asked for a run."""
    name = f"{site.namespace}/on-request"
    where = ("--kubernetes", "--kubeconfig", str(site.plane.kubeconfig))
    ended = site.program.begin("trigger", name, *where, "--wait").wait(120)
    assert ended.code == 0, ended.err
    return site.until_over("on-request")


def test_a_request_by_the_command_line(site: NodeSite, on_request: dict[str, Any]) -> None:
    """`trigger --wait` ends with 0 once there is a backup, which `verify` proves with the same document."""
    receipt = site.proven("on-request")
    assert (receipt["trigger"], on_request["lastSuccessfulBackup"]["trigger"]) == ("Manual", "Manual")
    assert receipt["cluster"]["namespace"] == site.namespace
    assert site.keys_of("on-request") == [receipt["key"], f"{receipt['key']}.json"]


def test_a_role_without_any_secret_of_the_storage(site: NodeSite) -> None:
    """The API server's own token is exchanged at MinIO's token service; no key is anywhere in the pod."""
    site.until_over("role-alone")
    site.proven("role-alone")
    (job,) = site.jobs("role-alone")
    pod = job["spec"]["template"]["spec"]
    mounted = [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each]
    assert mounted == ["bao-ca"]
    tokens = [
        source["serviceAccountToken"]["audience"]
        for each in pod["volumes"]
        for source in each.get("projected", {}).get("sources", ())
    ]
    assert sorted(tokens) == ["openbao-internal", "sts.amazonaws.com"]
    (account,) = site.plane.objects("serviceaccounts", site.namespace, "openbao.org/cluster=role-alone")
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == role_of(site.minio)


def test_a_role_with_the_stores_ca_in_a_secret(site: NodeSite) -> None:
    """A Secret that holds nothing but the CA goes with a role."""
    site.until_over("role-and-ca")
    site.proven("role-and-ca")


@pytest.mark.parametrize("method", LOGINS)
def test_each_login(site: NodeSite, method: str) -> None:
    """JWT is in every other test; the Kubernetes method asks the API server about the token (TokenReview)."""
    site.until_over(method)
    site.proven(method)


def test_what_kubectl_shows(site: NodeSite, on_request: dict[str, Any]) -> None:
    """The table has the last backup, the failures and the next slot; `-o wide` adds reason and key."""
    shown = site.plane.kubectl("get", "baoc", "-n", site.namespace, "-o", "wide")
    head, *lines = shown.splitlines()
    columns = re.split(r"\s{2,}", head.strip())
    assert columns == [
        *("NAME", "PHASE", "SCHEDULE", "LAST BACKUP", "FAILURES", "NEXT", "AGE"),
        *("BACKUP READY", "LAST KEY"),
    ]
    line = next(line for line in lines if line.startswith("on-request "))
    values = {name: line[head.index(name) :].split()[0] for name in columns if name != "PHASE"}
    assert re.fullmatch(r"\d+[sm]\S*", values["LAST BACKUP"])
    assert values["NEXT"] == on_request["nextScheduledBackup"]
    assert (values["FAILURES"], values["BACKUP READY"]) == ("0", "BackupSucceeded")
    assert values["LAST KEY"] == on_request["lastBackupName"]


def test_what_the_program_shows(site: NodeSite, on_request: dict[str, Any]) -> None:
    """`status --kubernetes` tells the same."""
    where = ("--kubernetes", "--kubeconfig", str(site.plane.kubeconfig))
    ended = site.program.begin("status", *where, "--events", "20", "--output", "json").wait()
    assert ended.code == 0, ended.err
    assert on_request["lastBackupName"] in ended.out
    assert "BackupCompleted" in ended.out


def test_events_and_metrics(site: NodeSite, manager: Operator, on_request: dict[str, Any]) -> None:
    """From the request to the end, and what Prometheus reads afterwards."""
    expected = ["BackupManualTriggerAccepted", "BackupStarted", "BackupCompleted"]
    site.until("the events", lambda: [reason for reason, _ in site.told("on-request")] == expected)
    assert on_request["lastBackupName"] in dict(site.told("on-request"))["BackupCompleted"]
    told = {}
    for line in manager.metrics().splitlines():
        if f'namespace="{site.namespace}"' in line and 'name="on-request"' in line:
            name, value = line.rsplit(" ", 1)
            told[name.partition("{")[0].removeprefix("openbao_backup_")] = float(value)
    assert told["last_size_bytes"] == on_request["lastBackupSize"]
    assert told["last_success_timestamp"] == pytest.approx(
        datetime.fromisoformat(on_request["lastBackupTime"]).timestamp(), abs=1
    )
    assert (told["success_total"], told["failure_total"], told["consecutive_failures"]) == (1, 0, 0)
    assert (told["in_progress"], told["state"]) == (0, 1)


def test_runs_have_no_rights_and_use_none(site: NodeSite) -> None:
    """Their account may do what every account may, and asked for nothing; the token was reviewed by Vault."""
    clusters = (*LOGINS, "role-alone")
    for cluster in clusters:
        site.until_over(cluster)

    def rights(account: str) -> list[str]:
        user = f"system:serviceaccount:{site.namespace}:{account}"
        listed = site.plane.kubectl("auth", "can-i", "--list", "-n", site.namespace, "--as", user)
        return sorted(listed.splitlines())

    accounts = [each["metadata"]["name"] for each in site.plane.objects("serviceaccounts", site.namespace)]
    assert {service_account_name(cluster, BACKUP_COMPONENT) for cluster in clusters} <= set(accounts)
    assert all(rights(account) == rights("default") for account in accounts)
    users = [f"system:serviceaccount:{site.namespace}:{account}" for account in accounts]
    assert [each["requestURI"] for user in users for each in site.plane.requests(user)] == []
    reviewer = f"system:serviceaccount:default:{account_logins.REVIEWER}"
    assert {each["objectRef"]["resource"] for each in site.plane.requests(reviewer)} == {"tokenreviews"}


@pytest.mark.usefixtures("on_request")
def test_the_manager_keeps_to_its_rights(site: NodeSite, release: Release) -> None:
    """It asked for nothing that its role does not give, so for no Secret."""
    asked = [each for each in site.plane.requests(release.user) if "objectRef" in each]
    assert "jobs" in {each["objectRef"]["resource"] for each in asked}
    assert [each["requestURI"] for each in asked if each["responseStatus"]["code"] == 403] == []
    assert [each["requestURI"] for each in asked if each["objectRef"]["resource"] == "secrets"] == []


@pytest.mark.usefixtures("on_request")
def test_the_network_policy(site: NodeSite) -> None:
    """It chooses the pods of the cluster's runs, and lets out to Vault and MinIO by address and port."""
    (policy,) = site.plane.objects("networkpolicies", site.namespace, "openbao.org/cluster=on-request")
    (job,) = site.jobs("on-request")
    chosen = policy["spec"]["podSelector"]["matchLabels"]
    assert chosen.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"] or policy["spec"]["ingress"] == []
    ways = {
        (to["ipBlock"]["cidr"], port["port"])
        for rule in policy["spec"]["egress"]
        for to in rule.get("to", [{"ipBlock": {"cidr": "anywhere"}}])
        for port in rule["ports"]
    }
    address = site.plane.network.address if site.plane.network else ""
    vault = int(site.vault.addresses[0].rpartition(":")[2])
    assert ways == {("anywhere", 53), (f"{address}/32", vault), (f"{address}/32", site.minio.port)}


def test_retention_while_suspended_and_what_goes_with_the_document(site: NodeSite) -> None:
    """A suspended cluster takes requests; the older backup is dropped; at the end only backups stay."""
    site.add("kept", trigger="1", suspend=True, retention={"maxCount": 1})
    first = site.until_over("kept")["lastBackupName"]
    assert site.condition("kept", "Suspended")["status"] == "True"
    assert "nextScheduledBackup" not in site.backup("kept")
    site.ask("kept", "2")
    second = site.until_over("kept", runs=2)["lastBackupName"]
    assert first != second
    site.proven("kept")
    assert site.keys_of("kept") == [second, f"{second}.json"]
    assert site.condition("kept", "RetentionEnforced")["status"] == "True"
    assert "RetentionApplied" in dict(site.told("kept"))
    site.show()
    site.plane.delete("openbaocluster", "kept", site.namespace)
    owned = "jobs,pods,serviceaccounts,networkpolicies"

    def left() -> list[str]:
        chosen = ("-l", "openbao.org/cluster=kept", "-o", "json")
        items = json.loads(site.plane.kubectl("get", owned, "-n", site.namespace, *chosen))["items"]
        return [each["metadata"]["name"] for each in items]

    site.until("all that the cluster owned to go", lambda: not left(), seconds=60)
    assert site.keys_of("kept") == [second, f"{second}.json"]


def test_the_slot(site: NodeSite, slot: datetime) -> None:
    """The slot becomes a proven backup, and every field of the status is what its receipt says."""
    site.until("the slot to come", lambda: site.jobs("scheduled"), seconds=120)
    backup = site.until_over("scheduled")
    receipt = site.proven("scheduled")
    at = f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    (job,) = site.jobs("scheduled")
    assert job["metadata"]["name"] == f"backup-scheduled-{slot:%Y%m%d-%H%M%S}"
    assert (receipt["trigger"], receipt["slot"]) == ("Scheduled", at)
    good = backup["lastSuccessfulBackup"]
    assert good["raftIndex"] == receipt["snapshot"]["index"]
    assert good["time"] == backup["lastBackupTime"] == f"{receipt['finished'][:19]}Z"
    assert good["duration"] == backup["lastBackupDuration"]
    assert backup["lastAttemptScheduledTime"] == at
    times = (at, backup["lastAttemptTime"], receipt["started"], receipt["finished"])
    assert sorted(times, key=datetime.fromisoformat) == list(times)
    assert backup["nextScheduledBackup"] > at
    assert backup["nextScheduledBackup"].endswith(f"{slot:-%m-%dT%H:%M:%SZ}")
    assert (backup["consecutiveFailures"], backup["successfulBackups"]) == (0, 1)
    assert backup["observedGeneration"] == site.cluster("scheduled")["metadata"]["generation"]
    ready = site.condition("scheduled", "BackupReady")
    assert (ready["status"], ready["reason"]) == ("True", "BackupSucceeded")
    assert not [name for name in backup if name.startswith("lastFailure")]
