"""A working API of objects over HTTP, for the parts that speak to one: versions, conflicts, pages.

It has no schema, no admission and no watch; those are a real API server's in `tests/cluster`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration
from tests.harness.api_request import ApiRequest, Place, parse
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import Kind, KubernetesApi, path_of

Json = dict[str, Any]
T = TypeVar("T")
Answer = tuple[int, Json]
#: May answer in the server's place; otherwise the request goes on.
Befall = Callable[[ApiRequest], Awaitable[Answer | None]]


async def _nothing(_: ApiRequest) -> Answer | None:
    return None


class ApiInMemory:
    """Objects by place, and all that was asked for.

    Set `befall` for what is to happen to requests before the server sees them.
    """

    def __init__(self) -> None:
        self._objects: dict[Place, Json] = {}
        self._numbers = count(100)
        self.requests: list[ApiRequest] = []
        self.befall: Befall = _nothing

    # --- what the world does -------------------------------------------------------------------

    def put(self, kind: Kind, body: Mapping[str, Any]) -> Json:
        """Store an object as it is, but for a new resourceVersion; gives it."""
        place = _place(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        return self._store(place, body)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object; no error when there is none."""
        self._objects.pop(_place(kind, namespace, name), None)

    def all(self, kind: Kind) -> list[Json]:
        """All objects of a kind."""
        group, plural = _place(kind, "", "").group, kind[1]
        found = self._objects.items()
        return [body for place, body in found if (place.group, place.resource) == (group, plural)]

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """An object; None when there is none."""
        return self._objects.get(_place(kind, namespace, name))

    def asked(self, method: str = "") -> list[tuple[str, str]]:
        """Method and resource (with subresource) of each request so far, of one method if it is named."""
        return [
            (each.method, "/".join(part for part in (each.resource, each.subresource) if part))
            for each in self.requests
            if method in ("", each.method)
        ]

    # --- what an API server does ---------------------------------------------------------------

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = parse(incoming.method, incoming.raw_path, headers, await incoming.read())
        self.requests.append(request)
        status, body = await self.befall(request) or self._answer(request)
        return web.json_response(body, status=status)

    def _answer(self, request: ApiRequest) -> Answer:
        place = Place(request.place.group, request.resource, "", request.namespace, request.name)
        if request.method == "POST":
            return self._create(place, request.json())
        if not request.name:
            return self._list(request)
        known = self._objects.get(place)
        if known is None:
            return 404, failure(404, "", f'{place.resource} "{place.name}" not found')
        if request.method == "DELETE":
            return self._delete(place, known, request)
        return (200, known) if request.method == "GET" else self._change(place, known, request)

    def _delete(self, place: Place, known: Json, request: ApiRequest) -> Answer:
        for name, wanted in request.json().get("preconditions", {}).items():
            if wanted != known["metadata"][name]:
                return 409, failure(409, "Conflict", f"the precondition failed: another {name}")
        del self._objects[place]
        return 200, {"kind": "Status", "status": "Success"}

    def _create(self, place: Place, body: Json) -> Answer:
        metadata = body["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{next(self._numbers)}"
        place = replace(place, name=name)
        if place in self._objects:
            return 409, failure(409, "AlreadyExists", f'{place.resource} "{name}" already exists')
        return 201, self._store(place, body | {"metadata": metadata | {"name": name}})

    def _change(self, place: Place, known: Json, request: ApiRequest) -> Answer:
        body = request.json()
        version = body.get("metadata", {}).get("resourceVersion")
        if version not in (None, known["metadata"]["resourceVersion"]):
            return 409, failure(409, "Conflict", "the object has been modified")
        if body.get("metadata", {}).get("uid") not in (None, known["metadata"]["uid"]):
            return 422, failure(422, "Invalid", "metadata.uid: field is immutable")
        if request.method == "PUT":
            return 200, self._store(place, body)
        if request.subresource:  # nothing else of the object is changed by it
            body = {part: value for part, value in body.items() if part == request.subresource}
        changed = merged(known, body)
        return 200, known if changed == known else self._store(place, changed)

    def _list(self, request: ApiRequest) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        start, most = int(query.get("continue", "0")), int(query["limit"])
        wanted = Place(request.place.group, request.resource, "", request.namespace)
        in_order = sorted(self._objects.items(), key=lambda each: (each[0].namespace, each[0].name))
        found = [
            body
            for place, body in in_order
            if (place.group, place.resource) == (wanted.group, wanted.resource)
            and wanted.namespace in ("", place.namespace)
            and _is_chosen(body, query)
        ]
        more = {"continue": str(start + most)} if start + most < len(found) else {}
        return 200, {"kind": "List", "metadata": more, "items": found[start : start + most]}

    def _store(self, place: Place, body: Mapping[str, Any]) -> Json:
        number = next(self._numbers)
        known = self._objects.get(place, {"metadata": {"uid": f"uid-{number}"}})
        own = {"resourceVersion": str(number), "namespace": place.namespace}
        metadata = {"uid": known["metadata"]["uid"]} | dict(body["metadata"]) | own
        stored: Json = json.loads(json.dumps(dict(body) | {"metadata": metadata}))
        self._objects[place] = stored
        return stored


@asynccontextmanager
async def client_of(url: str, *, token: str = "", seconds: float = 5.0) -> AsyncIterator[KubernetesApi]:
    """The program's own client of an API server."""
    configuration = Configuration(host=url)
    if token:
        configuration.api_key["BearerToken"] = f"Bearer {token}"
    async with ApiClient(configuration) as client:
        yield KubernetesApi(client, timeout=seconds)


@asynccontextmanager
async def served(handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve it on loopback; gives its URL."""
    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def with_api(server: ApiInMemory, work: Callable[[KubernetesApi], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives with a client of the server."""

    async def whole() -> T:
        async with served(server.handle) as url, client_of(url) as api:
            return await work(api)

    return asyncio.run(whole())


def merged(target: Any, patch: Any) -> Any:
    """The target with a JSON merge patch applied to it.

    https://www.rfc-editor.org/rfc/rfc7386#section-2
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _place(kind: Kind, namespace: str, name: str) -> Place:
    return parse("GET", path_of(kind, namespace, name), {}, b"").place


def _is_chosen(body: Json, query: Mapping[str, str]) -> bool:
    """The label selectors `a=b` and `a in (b,c)`, and the field selector of events' objects."""
    labels = body["metadata"].get("labels", {})
    selector = query.get("labelSelector", "")
    if " in " in selector:
        name, _, values = selector.partition(" in ")
        if labels.get(name) not in values.strip("()").split(","):
            return False
    elif selector and labels.get(selector.partition("=")[0]) != selector.partition("=")[2]:
        return False
    path, _, value = query.get("fieldSelector", "").partition("=")
    found: Any = body
    for part in path.split(".") if path else ():
        found = found.get(part, {})
    return not path or found == value
