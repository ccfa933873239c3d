"""How the API server is reached: what of a user's environment counts, and what does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes_asyncio.client import Configuration
from tests.adapters.api_in_memory import served

from bao_backup.adapters.kubernetes.api import CLUSTERS, KubernetesApi
from bao_backup.adapters.kubernetes.connection import connect, open_client, proxy_for

#: Environment -> URL -> its proxy.
PROXIES: list[tuple[dict[str, str], str, str | None]] = [
    ({}, "https://api.example:6443", None),
    ({"HTTPS_PROXY": "http://proxy.example:3128"}, "https://api.example:6443", "http://proxy.example:3128"),
    ({"https_proxy": "http://proxy.example:3128"}, "https://api.example", "http://proxy.example:3128"),
    ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://api.example:8080", None),
    ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "api.example"}, "https://api.example:1", None),
    ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "*"}, "https://10.96.0.1:443", None),
    ({"HTTPS_PROXY": "http://proxy.example:3128"}, "", None),
]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(("variables", "url", "proxy"), PROXIES)
def test_the_environment_names_the_proxy(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variables that everybody reads, but not for hosts that are excepted."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("named", "used"),
    [("http://named.example:1", "http://named.example:1"), ("", "http://proxy.example:3128")],
)
def test_the_kubeconfig_names_a_proxy_first(
    named: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is named there goes before that of the environment."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    cluster = {"server": "https://api.example:6443"} | ({"proxy-url": named} if named else {})
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    assert asyncio.run(connect(str(kubeconfig))).proxy == used


def test_a_netrc_takes_the_place_of_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user has there for any host is neither sent nor in the way of the manager's own token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response({"metadata": {}})

    async def ask() -> None:
        async with served(answer) as url:
            configuration = Configuration(host=url)
            configuration.api_key["BearerToken"] = "Bearer token-of-the-manager"
            async with open_client(configuration) as client:
                await KubernetesApi(client).get(CLUSTERS, "team-a", "bao")

    asyncio.run(ask())
    assert seen == ["Bearer token-of-the-manager"]
