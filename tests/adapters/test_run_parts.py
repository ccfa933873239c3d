"""A run's ServiceAccount and NetworkPolicy: made once, corrected when they differ, others' left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.adapters.api_in_memory import Answer, ApiInMemory, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.adapters.manifests import objects_of
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import NETWORK_POLICIES, SERVICE_ACCOUNTS
from bao_backup.adapters.kubernetes.manifests import RunObjects
from bao_backup.adapters.kubernetes.names import MANAGED_BY
from bao_backup.adapters.kubernetes.run_parts import BELIEVED_FOR, RunParts
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)

Json = dict[str, Any]
OBJECTS = objects_of("managed")
ACCOUNT, POLICY = OBJECTS.service_account, OBJECTS.network_policy
assert ACCOUNT is not None
assert POLICY is not None
NAMESPACE: str = ACCOUNT["metadata"]["namespace"]
MADE = [("POST", "serviceaccounts"), ("POST", "networkpolicies")]
LOOKED_AT = [
    ("POST", "serviceaccounts"),
    ("GET", "serviceaccounts"),
    ("POST", "networkpolicies"),
    ("GET", "networkpolicies"),
]


class Site:
    """An API, and a manager's parts of runs."""

    def __init__(self) -> None:
        self.server = ApiInMemory()
        self.clock = HandClock()

    def ensure(self, *calls: Callable[[RunParts], Awaitable[None]]) -> list[tuple[str, str]]:
        """What one manager asked in these calls."""
        before = len(self.server.requests)

        async def whole() -> None:
            async with served(self.server.handle) as url, client_of(url) as api:
                parts = RunParts(api, self.clock)
                for call in calls:
                    await call(parts)

        asyncio.run(whole())
        return self.server.asked()[before:]

    def account(self) -> Json:
        """The ServiceAccount as it is."""
        assert ACCOUNT is not None
        found = self.server.find(SERVICE_ACCOUNTS, NAMESPACE, ACCOUNT["metadata"]["name"])
        assert found is not None
        return found

    def change_account(self, **metadata: Any) -> None:
        """Somebody changes it."""
        body = self.account()
        self.server.put(SERVICE_ACCOUNTS, body | {"metadata": body["metadata"] | metadata})


def of(objects: RunObjects = OBJECTS, uid: str = "u-1") -> Callable[[RunParts], Awaitable[None]]:
    """Make sure of these."""
    return lambda parts: parts.ensure(uid, NAMESPACE, objects)


def changed() -> RunObjects:
    """Other parts, of the same names."""
    account = deepcopy(OBJECTS.service_account)
    assert account is not None
    account["metadata"]["annotations"] = {"example.com/role": "backup"}
    return OBJECTS._replace(service_account=account)


def test_they_are_made_once() -> None:
    """As they are wanted; later runs ask nothing."""
    site = Site()
    assert site.ensure(of(), of(), of()) == MADE
    assert ACCOUNT is not None
    assert site.account()["metadata"].items() >= ACCOUNT["metadata"].items()


def test_they_are_made_sure_of_by_each_cluster() -> None:
    """Each has its own."""
    assert Site().ensure(of(uid="u-1"), of(uid="u-2"), of(uid="u-1")) == [*MADE, *LOOKED_AT]


def test_a_manager_that_starts_anew_looks_once() -> None:
    """What is as it must be is not written, whatever others added to it."""
    site = Site()
    site.ensure(of())
    labels = site.account()["metadata"]["labels"] | {"team": "a"}
    site.change_account(labels=labels, annotations={"note": "b"})
    assert site.ensure(of(), of()) == LOOKED_AT


def test_what_is_empty_need_not_be_there() -> None:
    """The API server stores nothing for it: that nobody may come in is no rule, not one that is empty."""
    site = Site()
    site.ensure(of())
    assert POLICY is not None
    assert POLICY["spec"]["ingress"] == []
    stored = site.server.find(NETWORK_POLICIES, NAMESPACE, POLICY["metadata"]["name"])
    assert stored is not None
    kept = {name: value for name, value in stored["spec"].items() if name != "ingress"}
    site.server.put(NETWORK_POLICIES, stored | {"spec": kept})
    assert site.ensure(of()) == LOOKED_AT
    site.server.put(NETWORK_POLICIES, stored | {"spec": kept | {"ingress": [{}]}})
    assert site.ensure(of()) == [*LOOKED_AT, ("PATCH", "networkpolicies")]


def test_what_differs_is_corrected() -> None:
    """When the document changed, and when somebody else changed what is ours; additions stay."""
    site = Site()
    site.ensure(of())
    site.change_account(annotations={"note": "b"})
    assert site.ensure(of(), of(changed())) == [
        *LOOKED_AT,
        ("POST", "serviceaccounts"),
        ("GET", "serviceaccounts"),
        ("PATCH", "serviceaccounts"),
        ("POST", "networkpolicies"),
        ("GET", "networkpolicies"),
    ]
    assert site.account()["metadata"]["annotations"] == {"note": "b", "example.com/role": "backup"}


def test_an_identity_that_is_not_wanted_any_more_is_taken_away() -> None:
    """Else its role would still be taken on, before what the document says now."""
    site = Site()
    site.ensure(of())
    site.change_account(annotations={"note": "b", "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/old"})
    assert ("PATCH", "serviceaccounts") in site.ensure(of())
    assert site.account()["metadata"]["annotations"] == {"note": "b"}


@pytest.mark.parametrize("labels", [{}, {MANAGED_BY: "other"}, None])
def test_another_ones_is_left_alone(labels: Json | None) -> None:
    """The runs use it as it is."""
    site = Site()
    site.ensure(of())
    site.change_account(labels=labels)
    assert "PATCH" not in dict(site.ensure(of(changed())))
    assert site.account()["metadata"].get("annotations") is None


def test_what_there_is_not_is_not_made() -> None:
    """`jobTemplate` names an account of somebody else's; policies are switched off."""
    assert Site().ensure(of(OBJECTS._replace(service_account=None))) == MADE[1:]
    assert Site().ensure(of(OBJECTS._replace(network_policy=None))) == MADE[:1]
    assert Site().ensure(of(RunObjects(None, None, OBJECTS.job))) == []


def test_they_are_looked_at_again_after_a_while() -> None:
    """Somebody may have removed them."""
    site = Site()

    async def later(_: RunParts) -> None:
        assert ACCOUNT is not None
        site.server.remove(SERVICE_ACCOUNTS, NAMESPACE, ACCOUNT["metadata"]["name"])
        site.clock.advance(BELIEVED_FOR)

    assert site.ensure(of(), later, of()) == [*MADE, MADE[0], *LOOKED_AT[2:]]
    assert site.account()


def test_after_a_failure_they_are_looked_at_again() -> None:
    """One of them may be why."""

    async def failed(parts: RunParts) -> None:
        parts.let_go("u-1")

    assert Site().ensure(of(), failed, of()) == [*MADE, *LOOKED_AT]


def test_what_could_not_be_made_is_tried_again() -> None:
    """An error is the caller's, and nothing is believed."""
    site = Site()

    async def refused(parts: RunParts) -> None:
        site.server.befall = refuse_policies
        with pytest.raises(KubernetesError):
            await parts.ensure("u-1", NAMESPACE, OBJECTS)
        site.server.befall = allow

    assert site.ensure(refused, of()) == [*MADE, *LOOKED_AT[:2], MADE[1]]


async def refuse_policies(request: ApiRequest) -> Answer | None:
    """No right to it."""
    return (403, failure(403)) if request.resource == NETWORK_POLICIES[1] else None


async def allow(_: ApiRequest) -> Answer | None:
    """As usual."""
    return None
