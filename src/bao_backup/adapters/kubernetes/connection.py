"""Where the API server is and who we are there: the pod's own account, or a kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from aiohttp import ClientSession
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from bao_backup.core.errors import ConfigurationError, one_line

#: Set in every pod.
IN_POD = "KUBERNETES_SERVICE_HOST"
#: How many calls may be under way at once.
CONNECTIONS = 64
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def connect(kubeconfig: str = "", context: str = "") -> Configuration:
    """How to reach the API server: by the kubeconfig where one is named, or where this is no pod.

    Raises ConfigurationError when there is no configuration, or it cannot be read.
    """
    found = Configuration()
    _see_that_it_is_there(kubeconfig)
    try:
        if IN_POD in os.environ and not kubeconfig and not context:
            load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(kubeconfig or None, context or None, client_configuration=found)
    except (ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        # The library's own errors tell of the file; others may repeat what is in it.
        why = one_line(str(error)) if isinstance(error, ConfigException) else type(error).__name__
        raise ConfigurationError(
            f"read the kubeconfig {kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}",
            why[:300],
            hint="name a kubeconfig with --kubeconfig, and one of its contexts with --context",
        ) from error
    found.connection_pool_maxsize = CONNECTIONS
    found.proxy = found.proxy or proxy_for(str(found.host))
    return found


def open_client(configuration: Configuration) -> ApiClient:
    """A client, to be closed by `async with`; only where an event loop runs.

    The library's own connections would read ~/.netrc before each request, in a thread, and have what
    stands there in the token's place.
    """
    client = ApiClient(configuration)
    theirs = client.rest_client.pool_manager
    client.rest_client.pool_manager = ClientSession(connector=theirs.connector)
    theirs.detach()
    return client


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for the URL (HTTPS_PROXY, NO_PROXY and their like), if any."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _see_that_it_is_there(kubeconfig: str) -> None:
    if kubeconfig and not Path(kubeconfig).is_file():
        hint = "name another with --kubeconfig"
        raise ConfigurationError(f"read the kubeconfig {kubeconfig}", "there is no such file", hint=hint)


def own_namespace() -> str:
    """The namespace of the pod that this runs in; "default" where it is none."""
    if named := os.environ.get("POD_NAMESPACE"):
        return named
    try:
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "default"
