"""What the manager asks of the API server: read from the server's own audit log, as it is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from bench.usage import ContenderError

#: What costs nothing to speak of: open watches, and the Lease that is renewed.
QUIET = {"watch", "leases"}
EVERY = 0.25


class _Reference(msgspec.Struct, rename="camel"):
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class _User(msgspec.Struct):
    username: str = ""


class _Answer(msgspec.Struct):
    code: int = 0


class Request(msgspec.Struct, rename="camel"):
    """One request, as an audit event (audit.k8s.io/v1) tells of it."""

    verb: str
    stage: str
    #: When it came, and when it was answered.
    request_received_timestamp: datetime
    stage_timestamp: datetime
    user: _User = msgspec.field(default_factory=_User)
    object_ref: _Reference = msgspec.field(default_factory=_Reference)
    response_status: _Answer = msgspec.field(default_factory=_Answer)

    @property
    def what(self) -> str:
        """Such as "patch openbaoclusters/status"."""
        reference = self.object_ref
        part = f"/{reference.subresource}" if reference.subresource else ""
        return f"{self.verb} {reference.resource or '(no resource)'}{part}"

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of its object; a name that the body has is not known."""
        return self.object_ref.namespace, self.object_ref.name

    @property
    def is_quiet(self) -> bool:
        """Whether it belongs to rest."""
        return self.verb in QUIET or self.object_ref.resource in QUIET


class Requests:
    """One user's requests, in the order of their answers; a watch counts from its start."""

    def __init__(self, audit_log: Path, user: str) -> None:
        self._log = audit_log
        self._user = user
        self._at = 0
        self._rest = b""
        self._all: list[Request] = []
        self._decoder = msgspec.json.Decoder(Request)

    def __len__(self) -> int:
        return len(self.read())

    def read(self, since: int = 0) -> list[Request]:
        """All so far, but for the first `since`."""
        with self._log.open("rb") as log:
            log.seek(self._at)
            new = log.read()
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            request = self._decoder.decode(line)
            counts = (request.stage == "ResponseStarted") == (request.verb == "watch")
            if counts and request.user.username == self._user:
                self._all.append(request)
        return self._all[since:]

    def wait_for(self, what: str, count: int, since: int, seconds: float) -> list[Request]:
        """Those that succeeded of that kind, as soon as they are for so many objects.

        Raises ContenderError when they are not after so many seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = list(succeeded(self.read(since), what))
            # The name of an object that is created stands in the body alone.
            if len({each.place for each in found} if not what.startswith("create") else found) >= count:
                return found
            if time.monotonic() > deadline:
                raise ContenderError(
                    f"{what}: {len(found)} of {count} after {seconds:g} s; {in_words(self.read(since))}"
                )
            time.sleep(EVERY)


def succeeded(requests: Iterable[Request], what: str) -> Iterator[Request]:
    """Those of that kind that were answered with success."""
    return (each for each in requests if each.what == what and 200 <= each.response_status.code < 300)


def in_words(requests: Iterable[Request]) -> str:
    """How many of each kind, the most frequent first."""
    counted = Counter(each.what for each in requests)
    return ", ".join(f"{count} {what}" for what, count in counted.most_common()) or "none"
