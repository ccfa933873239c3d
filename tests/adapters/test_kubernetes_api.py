"""Calls of the Kubernetes API: what is asked, and which of our errors each failure becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.adapters.api_in_memory import ApiInMemory, with_api
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import (
    CLUSTERS,
    EVENTS,
    JOBS,
    LEASES,
    LONGEST_ANSWER,
    NETWORK_POLICIES,
    PAGE,
    PODS,
    RESTORES,
    SERVICE_ACCOUNTS,
    Kind,
    KubernetesApi,
    path_of,
    translate,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
    KubernetesRefusedError,
)

Json = dict[str, Any]
TOKEN = "token-of-the-manager"
DOING = "ask the Kubernetes API to GET /x"

# --- translation -------------------------------------------------------------------------------

#: Code -> type, and whether trying again soon may help.
CODES: list[tuple[int, type[KubernetesError], bool]] = [
    (0, KubernetesError, True),
    (301, KubernetesError, True),
    (400, KubernetesRefusedError, False),
    (401, KubernetesDeniedError, False),
    (403, KubernetesDeniedError, False),
    (404, KubernetesMissingError, False),
    (405, KubernetesRefusedError, False),
    (409, KubernetesConflictError, True),
    (410, KubernetesRefusedError, False),
    (413, KubernetesRefusedError, False),
    (415, KubernetesRefusedError, False),
    (422, KubernetesRefusedError, False),
    (429, KubernetesError, True),
    (500, KubernetesError, True),
    (502, KubernetesError, True),
    (503, KubernetesError, True),
    (504, KubernetesError, True),
]
#: What an answer's body may be, and what is told of it; None: only the code.
BODIES: list[tuple[bytes | str | None, str | None]] = [
    (json.dumps(failure(500, "", 'jobs "a" is forbidden')).encode(), 'jobs "a" is forbidden'),
    (json.dumps(failure(500, "", "as a text")), "as a text"),
    (b'{"message": "two\\nlines\\tand \\u001b[31m colour"}', "two lines and [31m colour"),
    (
        b'{"message": "it is invalid", "details": {"causes": [{"field": "spec.a"}, {"field": "spec.b"}]}}',
        "it is invalid (spec.a, spec.b)",
    ),
    (
        b'{"message": "spec.a is invalid", "details": {"causes": [{"field": "spec.a"}, {"reason": "x"}]}}',
        "spec.a is invalid",
    ),
    (b'{"message": "", "details": {"causes": [{"field": "spec.a"}]}}', "(spec.a)"),
    (b"", None),
    (None, None),
    (b"{}", None),
    (b"null", None),
    (b"[]", None),
    (b'{"message": 5}', None),
    (b"<html>a proxy's page</html>", None),
    (b"\xff\xfe", None),
    (b'{"message": "cut off', None),
]


@pytest.mark.parametrize(("code", "kind", "transient"), CODES)
@pytest.mark.parametrize(("body", "said"), BODIES, ids=lambda value: str(value)[:30])
def test_every_answer_has_its_error(
    code: int, kind: type[KubernetesError], transient: bool, body: bytes | str | None, said: str | None
) -> None:
    """The code decides the type, and the API server's own words are told."""
    error = translate(DOING, code, body)
    assert type(error) is kind
    assert error.transient is transient
    assert error.exit_code == 1
    assert error.message == f"{DOING}: {said or f'it answered {code}'}; {kind.default_hint}"


def test_a_long_answer_is_cut() -> None:
    """A message is one line that somebody reads."""
    error = translate(DOING, 422, json.dumps(failure(422, "", "x" * 10_000)).encode())
    assert error.why == "x" * LONGEST_ANSWER


# --- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (CLUSTERS, "/apis/openbao.org/v1alpha1/namespaces/vault/openbaoclusters/a"),
        (RESTORES, "/apis/openbao.org/v1alpha1/namespaces/vault/openbaorestores/a"),
        (JOBS, "/apis/batch/v1/namespaces/vault/jobs/a"),
        (PODS, "/api/v1/namespaces/vault/pods/a"),
        (EVENTS, "/api/v1/namespaces/vault/events/a"),
        (SERVICE_ACCOUNTS, "/api/v1/namespaces/vault/serviceaccounts/a"),
        (NETWORK_POLICIES, "/apis/networking.k8s.io/v1/namespaces/vault/networkpolicies/a"),
        (LEASES, "/apis/coordination.k8s.io/v1/namespaces/vault/leases/a"),
    ],
)
def test_paths(kind: Kind, path: str) -> None:
    """As the API has them, for one object, for a namespace, and for all."""
    assert path_of(kind, "vault", "a") == path
    assert path_of(kind, "vault") == path.removesuffix("/a")
    assert path_of(kind) == path.removesuffix("/a").replace("/namespaces/vault", "")


def test_a_name_stays_one_part_of_a_path() -> None:
    """Whatever is in it, say of a command line's argument."""
    assert path_of(PODS, "a?b", "c d#e") == "/api/v1/namespaces/a%3Fb/pods/c%20d%23e"
    assert path_of(PODS, "../x", "a/b") == "/api/v1/namespaces/..%2Fx/pods/a%2Fb"


# --- calls -------------------------------------------------------------------------------------


def lease(name: str = "a", **spec: Any) -> Json:
    """Any object."""
    return {"metadata": {"name": name, "namespace": "vault"}, "spec": spec}


def test_objects_are_made_changed_and_replaced() -> None:
    """With the verbs and content types that the API wants."""
    server = ApiInMemory()

    async def work(api: KubernetesApi) -> None:
        made = await api.create(LEASES, "vault", lease(a=1, b=2))
        assert made == await api.get(LEASES, "vault", "a")
        changed = await api.patch(LEASES, "vault", "a", {"spec": {"b": None, "c": 3}})
        assert changed["spec"] == {"a": 1, "c": 3}
        with pytest.raises(KubernetesConflictError):
            await api.replace(LEASES, "vault", "a", made)
        replaced = await api.replace(LEASES, "vault", "a", changed | {"spec": {}})
        assert replaced["spec"] == {}
        body = {"spec": {"d": 4}, "status": {"e": 5}}
        assert (await api.patch(LEASES, "vault", "a", body, part="status"))["spec"] == {}

    with_api(server, work)
    assert server.asked() == [
        ("POST", "leases"),
        ("GET", "leases"),
        ("PATCH", "leases"),
        ("PUT", "leases"),
        ("PUT", "leases"),
        ("PATCH", "leases/status"),
    ]
    types = {each.method: each.content_type for each in server.requests}
    assert types["PATCH"] == "application/merge-patch+json"
    assert types["POST"] == types["PUT"] == "application/json"


def test_a_patch_of_an_older_version_is_a_conflict() -> None:
    """Only where it names the version."""

    async def work(api: KubernetesApi) -> None:
        old = (await api.create(LEASES, "vault", lease()))["metadata"]
        await api.patch(LEASES, "vault", "a", {"spec": {"x": 1}})
        version = {"metadata": {"resourceVersion": old["resourceVersion"]}}
        with pytest.raises(KubernetesConflictError):
            await api.patch(LEASES, "vault", "a", version | {"spec": {"x": 2}})
        await api.patch(LEASES, "vault", "a", {"spec": {"x": 2}})
        with pytest.raises(KubernetesConflictError):
            await api.create(LEASES, "vault", lease())
        with pytest.raises(KubernetesMissingError):
            await api.get(LEASES, "vault", "b")

    with_api(ApiInMemory(), work)


@pytest.mark.parametrize("count", [0, 1, PAGE, PAGE + 1])
def test_a_list_is_read_page_by_page(count: int) -> None:
    """To its end, with the selectors on each page; empty ones are left out."""
    server = ApiInMemory()
    for number in range(count):
        server.put(LEASES, {"metadata": {"name": f"a-{number}", "namespace": "vault", "labels": {"x": "y"}}})
    server.put(LEASES, lease("other"))

    async def work(api: KubernetesApi) -> list[str]:
        found = api.list(LEASES, labelSelector="x=y", fieldSelector="")
        return [each["metadata"]["name"] async for each in found]

    assert sorted(with_api(server, work)) == sorted(f"a-{number}" for number in range(count))
    assert len(server.requests) == (2 if count > PAGE else 1)
    for request in server.requests:
        assert f"limit={PAGE}" in request.path
        assert "labelSelector=x%3Dy" in request.path
        assert "fieldSelector" not in request.path
