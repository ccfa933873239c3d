"""The pod of a run: restricted, with all that it needs and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.adapters.manifests import OPTIONS, document_of, objects_of, run_of
from tests.adapters.run_documents import run_documents

from bao_backup.adapters.kubernetes.manifests import run_objects
from bao_backup.core.job_settings import job_settings
from bao_backup.core.job_template import OWN_FOLDERS, OWN_VARIABLES, OWN_VOLUME, ROLE_VARIABLES
from bao_backup.core.settings import from_environment
from bao_backup.core.spec import OpenBaoCluster

openshift = st.booleans()


def pod_of(document: OpenBaoCluster, *, openshift: bool = False) -> dict[str, Any]:
    """The specification of the pod of a run of this document."""
    job = run_objects(document, run_of(document), replace(OPTIONS, openshift=openshift)).job
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def container_of(document: OpenBaoCluster) -> dict[str, Any]:
    """The one container of that pod."""
    (container,) = pod_of(document)["containers"]
    found: dict[str, Any] = container
    return found


def expanded(value: str) -> str:
    """The value as the container gets it: `$(NAME)` is replaced, and `$$` is a dollar."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else "(replaced)", value)


@given(run_documents(), openshift)
def test_a_pod_satisfies_the_restricted_level(document: OpenBaoCluster, openshift: bool) -> None:
    """Kubernetes' Pod Security Standards, "restricted", rule by rule."""
    pod = pod_of(document, openshift=openshift)
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"}
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= allowed | {"projected", "secret"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"}
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security.get("runAsUser") != 0
    assert not security.keys() & {"sysctls", "seLinuxOptions", "windowsOptions", "supplementalGroups"}
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own["runAsNonRoot"] is True
        assert not own.keys() & {"privileged", "procMount", "runAsUser", "seLinuxOptions", "appArmorProfile"}
        assert not container.keys() & {"ports", "lifecycle"}


@given(run_documents())
def test_a_pod_has_the_hardening_of_the_existing_operator(document: OpenBaoCluster) -> None:
    """Its seven settings, a read-only root file system among them, for which there is a /tmp."""
    pod = pod_of(document)
    (container,) = pod["containers"]
    security = pod["securityContext"]
    assert [security[name] for name in ("runAsUser", "runAsGroup", "fsGroup")] == [1000, 1000, 1000]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert {"name": "bao-tmp", "mountPath": "/tmp"} in container["volumeMounts"]


@given(run_documents())
def test_on_openshift_no_user_is_asked_for(document: OpenBaoCluster) -> None:
    """The namespace has its own range of users, and refuses others."""
    security = pod_of(document, openshift=True)["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@given(run_documents())
def test_the_executor_reads_the_settings_that_were_meant(document: OpenBaoCluster) -> None:
    """Unchanged by Kubernetes, which replaces variables in values; and nothing refers to a Secret."""
    run = run_of(document)
    variables = run_objects(document, run, OPTIONS).job["spec"]["template"]["spec"]["containers"][0]["env"]
    assert all(each.keys() == {"name", "value"} for each in variables)
    environment = {each["name"]: expanded(each["value"]) for each in variables}
    assert from_environment(environment) == job_settings(document, run, audience=OPTIONS.audience)


@given(run_documents())
def test_every_file_of_the_settings_is_mounted(document: OpenBaoCluster) -> None:
    """Read-only, by a volume that there is, each at a place of its own."""
    pod = pod_of(document)
    (container,) = pod["containers"]
    settings = job_settings(document, run_of(document), audience="a")
    auth = settings.bao.auth
    files = [
        auth.jwt_file,
        auth.token_file,
        f"{auth.secret_folder}/x" if auth.secret_folder else "",
        settings.bao.ca_file,
        settings.store.role_token_file,
        f"{settings.credentials_folder}/x" if settings.credentials_folder else "",
    ]
    wanted = {file.rpartition("/")[0] for file in files if file}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert len(mounts) == len(container["volumeMounts"])
    assert mounts.keys() == wanted | {"/tmp"}
    assert all(mounts[folder]["readOnly"] is True for folder in wanted)
    names = [volume["name"] for volume in pod["volumes"]]
    assert sorted(names) == sorted(mount["name"] for mount in mounts.values())
    assert len(set(names)) == len(names)


@given(run_documents())
def test_what_is_a_runs_own_is_known_to_the_check_of_templates(document: OpenBaoCluster) -> None:
    """So that no template can take its place."""
    pod = pod_of(replace_template(document))
    (container,) = pod["containers"]
    assert all(volume["name"].startswith(OWN_VOLUME) for volume in pod["volumes"])
    for mount in container["volumeMounts"]:
        assert any(mount["mountPath"].startswith(str(folder)) for folder in OWN_FOLDERS)
    for variable in container["env"]:
        assert variable["name"].startswith(OWN_VARIABLES) or variable["name"] in ROLE_VARIABLES


def replace_template(document: OpenBaoCluster) -> OpenBaoCluster:
    """The document without a jobTemplate."""
    assert document.spec.backup is not None
    backup = replace(document.spec.backup, job_template=None)
    return replace(document, spec=replace(document.spec, backup=backup))


@given(run_documents())
def test_secrets_are_named_where_the_kubelet_mounts_them_and_nowhere_else(document: OpenBaoCluster) -> None:
    """Their contents never pass through the manager, nor through a variable of the pod."""
    job = run_objects(document, run_of(document), OPTIONS).job
    assert "secretKeyRef" not in json.dumps(job)
    assert "envFrom" not in json.dumps(job)
    for volume in job["spec"]["template"]["spec"]["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o400


@pytest.mark.parametrize("case", ["managed", "role", "ambient", "azure"])
def test_of_a_secret_with_a_known_key_only_that_is_mounted(case: str) -> None:
    """A TLS Secret may hold a private key beside the CA."""
    volumes = objects_of(case).job["spec"]["template"]["spec"]["volumes"]
    secrets = {volume["name"]: volume["secret"] for volume in volumes if "secret" in volume}
    for name in secrets.keys() & {"bao-ca", "bao-token"}:
        assert len(secrets[name]["items"]) == 1


def test_tokens_are_for_one_audience_each() -> None:
    """The one for OpenBao is of no use to AWS, nor the other way round."""
    volumes = objects_of("role").job["spec"]["template"]["spec"]["volumes"]
    sources = [volume["projected"]["sources"] for volume in volumes if "projected" in volume]
    audiences = [token["serviceAccountToken"]["audience"] for (token,) in sources]
    assert audiences == ["bao.example.com", "sts.amazonaws.com"]


def test_a_job_ends_for_good_and_leaves_its_result() -> None:
    """One try, a deadline, time to abort an upload; it is removed only when its result is in the status."""
    job = objects_of("role").job
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert job["spec"]["backoffLimit"] == 0
    assert pod["restartPolicy"] == "Never"
    assert job["spec"]["activeDeadlineSeconds"] == 600
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert container["args"][container["args"].index("--result") + 1] == container["terminationMessagePath"]


@pytest.mark.parametrize(
    ("part_size", "concurrency", "memory"),
    [(10, 3, "512Mi"), (64, 3, "512Mi"), (64, 4, "576Mi"), (1024, 10, "11520Mi")],
)
def test_memory_is_enough_for_the_parts_of_an_upload(part_size: int, concurrency: int, memory: str) -> None:
    """All that are under way at once, and the one that is being filled."""
    document = document_of("managed")
    assert document.spec.backup is not None
    target = replace(document.spec.backup.target, part_size=part_size * 2**20, concurrency=concurrency)
    backup = replace(document.spec.backup, target=target)
    found = container_of(replace(document, spec=replace(document.spec, backup=backup)))
    assert found["resources"]["limits"]["memory"] == memory


def test_an_image_of_the_document_goes_before_the_managers_own() -> None:
    """Without one it is the manager's own, never another operator's."""
    assert container_of(document_of("azure"))["image"] == "registry.example.com/bao-backup:pinned"
    assert container_of(document_of("managed"))["image"] == OPTIONS.image
