"""Calls of the Kubernetes API, with JSON as plain dicts; a failure becomes one of our errors here.

kubernetes_asyncio brings the connection: kubeconfig, the pod's own account, TLS, rotated tokens. Its
generated models are left out: they take most of the time and memory, and prune what they do not know.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from kubernetes_asyncio.client import ApiClient, ApiException

from bao_backup.core.errors import (
    one_line,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesMissingError,
    KubernetesRefusedError,
    KubernetesUnreachableError,
)

Json = dict[str, Any]

#: Seconds for one call; the API server itself gives up after 60.
TIMEOUT = 30.0
PAGE = 500
LONGEST_ANSWER = 400
#: The API server takes JSON that is nested 10,000 deep. Python alone gives up at 1,000, and one such
#: document would hide all others.
DEEPEST = 12_000

#: group and version of each kind's path; "" is the core group.
CLUSTERS = ("openbao.org/v1alpha1", "openbaoclusters")
RESTORES = ("openbao.org/v1alpha1", "openbaorestores")
JOBS = ("batch/v1", "jobs")
PODS = ("v1", "pods")
EVENTS = ("v1", "events")
SERVICE_ACCOUNTS = ("v1", "serviceaccounts")
NETWORK_POLICIES = ("networking.k8s.io/v1", "networkpolicies")
LEASES = ("coordination.k8s.io/v1", "leases")

Kind = tuple[str, str]

_ERRORS: Mapping[int, type[KubernetesError]] = {
    401: KubernetesDeniedError,
    403: KubernetesDeniedError,
    404: KubernetesMissingError,
    409: KubernetesConflictError,
    429: KubernetesError,
}


class KubernetesApi:
    """The API server, through a client that is open.

    Every method raises a KubernetesError type. Nothing is tried again here: whoever asks knows when.
    No call takes longer than `timeout` seconds.
    """

    def __init__(self, client: ApiClient, *, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout
        sys.setrecursionlimit(max(DEEPEST, sys.getrecursionlimit()))

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object."""
        return await self._call("GET", path_of(kind, namespace, name))

    async def list(self, kind: Kind, namespace: str = "", **selectors: str) -> AsyncIterator[Json]:
        """All objects of the namespace ("": of all), in pages; `labelSelector`, `fieldSelector` choose."""
        query = {name: value for name, value in selectors.items() if value} | {"limit": str(PAGE)}
        while True:
            page = await self._call("GET", path_of(kind, namespace), query=query)
            for each in page.get("items") or ():
                yield each
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        """Create an object; KubernetesConflictError when there is one of that name."""
        return await self._call("POST", path_of(kind, namespace), body=body)

    async def patch(self, kind: Kind, namespace: str, name: str, body: Json, *, part: str = "") -> Json:
        """Merge `body` into the object, or into its subresource `part`; gives the new one.

        With `metadata.resourceVersion` in `body`, only if it is that version still: else
        KubernetesConflictError.
        """
        path = path_of(kind, namespace, name) + (f"/{part}" if part else "")
        return await self._call("PATCH", path, body=body, form="application/merge-patch+json")

    async def replace(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        """Put the object in place of the one whose resourceVersion it names."""
        return await self._call("PUT", path_of(kind, namespace, name), body=body)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str) -> None:
        """Delete the object, and what it owns after it.

        KubernetesConflictError when it has another uid or resourceVersion.
        """
        conditions = {"uid": uid, "resourceVersion": version}
        body = {"propagationPolicy": "Background", "preconditions": conditions}
        await self._call("DELETE", path_of(kind, namespace, name), body=body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        form: str = "application/json",
    ) -> Json:
        doing = f"ask the Kubernetes API to {method} {path}"
        headers = {"Accept": "application/json", "Content-Type": form, "User-Agent": "bao-backup"}
        parameters = dict(query or {})
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"])
            answer = await self._client.rest_client.request(
                method,
                f"{self._client.configuration.host}{path}",
                headers=headers,
                query_params=parameters,
                body=body,
                _request_timeout=self._timeout,
            )
            return _decoded(answer.data)
        except ApiException as error:
            raise translate(doing, error.status or 0, error.body) from None
        except aiohttp.ClientResponseError as error:
            # The library's error has the request's headers in it, with the token.
            raise KubernetesUnreachableError(doing, self._why(error)) from None
        except RecursionError:
            raise KubernetesUnreachableError(doing, "what it answered is nested too deep") from None
        except (TimeoutError, aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            raise KubernetesUnreachableError(doing, self._why(error)) from error

    def _why(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        return type(error).__name__


def path_of(kind: Kind, namespace: str = "", name: str = "") -> str:
    """The path of a kind's objects, or of one of them."""
    version, plural = kind
    parts = ["", "apis" if "/" in version else "api", version]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    parts += [plural, *([quote(name, safe="")] if name else [])]
    return "/".join(parts)


def translate(doing: str, status: int, body: bytes | str | None) -> KubernetesError:
    """An answer that is no success, as one of our errors, with what the API server says of it."""
    answer = _Status()
    with suppress(msgspec.DecodeError):  # a proxy's page: the code says enough
        answer = msgspec.json.decode(body or b"{}", type=_Status)
    kind = _ERRORS.get(status, KubernetesRefusedError if 400 <= status < 500 else KubernetesError)
    causes = answer.details.causes
    fields = ", ".join(cause.field for cause in causes if cause.field not in answer.message)
    words = " ".join(part for part in (one_line(answer.message), f"({fields})" if fields else "") if part)
    return kind(doing, (words or f"it answered {status}")[:LONGEST_ANSWER])


class _Cause(msgspec.Struct):
    field: str = ""


class _Details(msgspec.Struct):
    causes: tuple[_Cause, ...] = ()


class _Status(msgspec.Struct):
    """The API's own form of a failure (`meta/v1.Status`), as far as it is told to people."""

    message: str = ""
    details: _Details = msgspec.field(default_factory=_Details)


def _decoded(data: bytes) -> Json:
    return msgspec.json.decode(data, type=dict[str, Any])
