"""Requests to a Kubernetes API server: what their paths say, and which of them a test means."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: What a namespace itself has below its name; anything else there is a resource in the namespace.
OF_NAMESPACES = frozenset({"status", "finalize"})


@dataclass(frozen=True)
class Place:
    """What the path of a request is about; all empty where it is about no object.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
    """

    group: str = ""
    #: plural, as in the path: "jobs"
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(eq=False)
class ApiRequest:
    """One request that came by."""

    method: str
    #: with the query, as the client sent it
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    place: Place
    watch: bool
    #: seconds of time.monotonic()
    at: float = field(default_factory=time.monotonic)
    #: what the server answered, or the proxy in its place; None while there is no answer, and for a drop
    status: int | None = None
    #: whether it was sent to the server, and that may have done it
    forwarded: bool = False

    @property
    def resource(self) -> str:
        """The plural name, as in the path."""
        return self.place.resource

    @property
    def subresource(self) -> str:
        """Say "status"; empty for the object itself."""
        return self.place.subresource

    @property
    def namespace(self) -> str:
        """Empty for what is in none, or in all of them."""
        return self.place.namespace

    @property
    def name(self) -> str:
        """Empty for a list, and for what is created."""
        return self.place.name

    @property
    def content_type(self) -> str:
        """How the body is written, as "application/merge-patch+json"."""
        return self.headers.get("content-type", "")

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Match:
    """Which requests; what is None does not matter."""

    method: str | None = None
    resource: str | None = None
    #: "" means the object itself
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None
    watch: bool | None = None
    where: Callable[[ApiRequest], bool] | None = None

    def fits(self, request: ApiRequest) -> bool:
        """Whether the request is one of them."""
        wanted = (
            (self.method, request.method),
            (self.resource, request.resource),
            (self.subresource, request.subresource),
            (self.namespace, request.namespace),
            (self.name, request.name),
            (self.watch, request.watch),
        )
        if any(want is not None and want != have for want, have in wanted):
            return False
        return self.where is None or self.where(request)


#: All of them.
ANY = Match()


def parse(method: str, path: str, headers: dict[str, str], body: bytes) -> ApiRequest:
    """The request; names of headers are in lower case."""
    return ApiRequest(method, path, headers, body, place_of(path), is_watch(path))


def is_watch(path: str) -> bool:
    """Whether the query asks for a watch; the server takes any first value but these for a yes."""
    values = parse_qs(urlsplit(path).query, keep_blank_values=True).get("watch", ["false"])
    return values[0].lower() not in {"false", "0"}


def place_of(path: str) -> Place:
    """What a path is about."""
    words = [word for word in urlsplit(path).path.split("/") if word]
    if words[:1] == ["api"]:
        group, rest = "", words[2:]
    elif words[:1] == ["apis"]:
        group, rest = (words[1:2] or [""])[0], words[3:]
    else:
        return Place()
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and not set(rest[2:3]) & OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    resource, name, *below = [*rest, "", ""][: max(2, len(rest))]
    return Place(group if resource else "", resource, "/".join(below), namespace, name)
