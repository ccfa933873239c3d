"""A request to a pretended node, and the answer to it, in the server's forms."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import msgspec

Body = dict[str, object]
_JSON_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; the path is without "/v1/"."""

    method: str
    path: str
    token: str
    content: IO[bytes]

    def json(self) -> Body:
        """The body as a JSON object; empty when it is none."""
        try:
            return msgspec.json.decode(self.content.read(_JSON_LIMIT), type=Body)
        except msgspec.DecodeError:
            return {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON body, or nothing, or a stream of bytes."""

    status: int
    body: Body | None = None
    stream: Iterator[bytes] | None = None
    location: str = ""


def refuse(status: int, *words: str) -> Answer:
    """An error in the server's form."""
    return Answer(status, {"errors": list(words)})


def envelope(data: object = None, auth: object = None) -> Body:
    """The form of most good answers."""
    return {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": auth,
    }
