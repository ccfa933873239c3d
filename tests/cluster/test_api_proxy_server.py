"""The proxy before a real API server, which is changed, killed and started again behind it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest
from tests.cluster.api_stand_in import Watching, call
from tests.harness.api_proxy import ApiProxy
from tests.harness.api_request import Match
from tests.harness.control_plane import ControlPlane
from tests.harness.process import wait_until

pytestmark = pytest.mark.servers

MERGE = {"Content-Type": "application/merge-patch+json"}
CREATE = Match(method="POST", resource="configmaps")


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    """A proxy with an administrator's certificate."""
    admin = control_plane.authority.issue("admin-of-the-proxy", (), group="system:masters")
    with ApiProxy(control_plane.url, control_plane.ca_file, admin) as proxy:
        yield proxy


@pytest.fixture
def maps(control_plane: ControlPlane) -> Iterator[str]:
    """The path of the ConfigMaps of a namespace of this test's own."""
    name = f"proxied-{time.time_ns():x}"
    control_plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield f"/api/v1/namespaces/{name}/configmaps"
    control_plane.heal()
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def config_map(name: str, **data: str) -> bytes:
    """A ConfigMap."""
    return json.dumps({"metadata": {"name": name}, "data": data}).encode()


def named(name: str) -> Match:
    """Requests about one ConfigMap."""
    return Match(resource="configmaps", name=name)


def names(watching: Watching, count: int) -> list[tuple[object, str]]:
    """Type and object's name of the next events, without those of the namespace's own ConfigMap."""
    found: list[tuple[object, str]] = []
    while len(found) < count:
        event = watching.event()
        what = event["object"]
        assert isinstance(what, dict)
        if what["metadata"]["name"] != "kube-root-ca.crt":
            found.append((event["type"], what["metadata"]["name"]))
    return found


def test_kubectl_goes_through(
    control_plane: ControlPlane, proxy: ApiProxy, maps: str, tmp_path: Path
) -> None:
    """A client needs nothing but the kubeconfig; what it does is recorded."""
    config = proxy.kubeconfig(tmp_path / "config", maps.split("/")[4])
    control_plane.kubectl("create", "configmap", "one", "--from-literal=a=b", kubeconfig=config)
    control_plane.kubectl("patch", "configmap", "one", "-p", '{"data": {"a": "c"}}', kubeconfig=config)
    output = control_plane.kubectl("get", "configmap", "one", "-o", "jsonpath={.data.a}", kubeconfig=config)
    control_plane.kubectl("delete", "configmap", "one", "--wait=false", kubeconfig=config)
    assert output == "c"
    assert [(each.method, each.name, each.status) for each in proxy.writes(Match(resource="configmaps"))] == [
        ("POST", "", 201),
        ("PATCH", "one", 200),
        ("DELETE", "one", 200),
    ]


def test_a_token_has_its_owners_rights(control_plane: ControlPlane, maps: str) -> None:
    """The API server sees the owner of the token, who may do nothing here."""
    control_plane.create_service_account("nobody-much")
    token = control_plane.token("nobody-much")
    with ApiProxy(control_plane.url, control_plane.ca_file, token) as proxy:
        status, body, _ = call(proxy, "GET", maps)
    assert status == 403
    assert "system:serviceaccount:default:nobody-much" in json.loads(body)["message"]


def test_a_lost_answer(control_plane: ControlPlane, proxy: ApiProxy, maps: str) -> None:
    """The object is there, the client was not told, and its next try is a conflict."""
    proxy.after(CREATE, lambda _: None)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call(proxy, "POST", maps, config_map("one"))
    assert control_plane.request("GET", f"{maps}/one").status == 200
    assert call(proxy, "POST", maps, config_map("one"))[0] == 409


def test_a_real_conflict(control_plane: ControlPlane, proxy: ApiProxy, maps: str) -> None:
    """Somebody else's change between a client's read and its write is the server's own conflict."""
    stored = json.loads(call(proxy, "POST", maps, config_map("one", a="1"))[1])
    path = f"{maps}/one"
    proxy.before(
        Match(method="PUT"),
        lambda _: control_plane.request("PUT", path, json.loads(config_map("one", a="2"))),
        forward=True,
    )
    status, body, _ = call(proxy, "PUT", path, json.dumps(stored | {"data": {"a": "3"}}).encode())
    assert (status, json.loads(body)["reason"]) == (409, "Conflict")
    assert json.loads(call(proxy, "GET", path)[1])["data"] == {"a": "2"}


def test_a_watch(control_plane: ControlPlane, proxy: ApiProxy, maps: str) -> None:
    """Real events pass at once; those that are meant are lost; then the watch expires."""
    with contextlib.closing(Watching(proxy, f"{maps}?watch=true")) as watching:
        control_plane.create(maps, json.loads(config_map("one")))
        assert names(watching, 1) == [("ADDED", "one")]
        loss = proxy.lose_events(lambda event: event["object"]["metadata"]["name"] == "lost")
        control_plane.create(maps, json.loads(config_map("lost")))
        control_plane.create(maps, json.loads(config_map("two")))
        assert names(watching, 1) == [("ADDED", "two")]
        assert len(loss.lost) == 1
        assert proxy.expire_watches(Match(resource="configmaps")) == 1
        assert watching.event()["type"] == "ERROR"
        assert watching.rest() == b""


def test_the_api_server_is_killed_and_comes_back(
    control_plane: ControlPlane, proxy: ApiProxy, maps: str
) -> None:
    """Its watches are cut, requests are answered with 502 meanwhile, and all is well again afterwards."""
    with contextlib.closing(Watching(proxy, f"{maps}?watch=true")) as watching:
        control_plane.kill_api_server()
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            watching.rest()
    assert call(proxy, "POST", maps, config_map("one"))[0] == 502
    control_plane.start_api_server()
    wait_until("it to answer", lambda: call(proxy, "GET", maps)[0] == 200, seconds=10)
    assert call(proxy, "POST", maps, config_map("one"))[0] == 201
    assert call(proxy, "PATCH", f"{maps}/one", b'{"data": {"a": "b"}}', MERGE)[0] == 200
    assert proxy.writes(named("one"))[-1].status == 200
