"""What may befall a request between a Kubernetes client and the API server, and when it does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.harness.api_request import ApiRequest, Match

#: The reasons that the API server gives with these codes.
#: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusReason
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

Action = Callable[[ApiRequest], object]


def failure(code: int, reason: str = "", message: str = "as the test wants it") -> dict[str, Any]:
    """The Status object that an API server answers a failure with; `reason` defaults by the code."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or REASONS.get(code, ""),
        "code": code,
    }


@dataclass(frozen=True)
class Before:
    """The action is run before the server sees the request; then that is passed on, or dropped."""

    action: Action
    forward: bool = False


@dataclass(frozen=True)
class After:
    """The action is run after the server has answered; the client never gets the answer."""

    action: Action


@dataclass(frozen=True)
class Answer:
    """The proxy answers itself."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Drop:
    """The connection is closed; the server sees nothing."""


@dataclass(frozen=True)
class Hold:
    """The request is passed on after so many seconds, or once the rule is removed; None: only then."""

    seconds: float | None


Deed = Before | After | Answer | Drop | Hold


@dataclass(eq=False)
class Rule:
    """A deed, and which of the requests that match it befalls."""

    match: Match
    deed: Deed
    #: The first of them that it befalls, counted from 1.
    nth: int = 1
    #: How many from then on; None: all.
    times: int | None = 1
    #: Set when it first takes hold, and its action is done: the named point at which a test goes on.
    reached: threading.Event = field(default_factory=threading.Event, repr=False)
    removed: threading.Event = field(default_factory=threading.Event, repr=False)
    #: How many requests matched.
    matched: int = 0
    #: Those that it befell.
    befallen: list[ApiRequest] = field(default_factory=list)

    def remove(self) -> None:
        """From now on it befalls nothing; what it holds goes on."""
        self.removed.set()

    def due(self, request: ApiRequest) -> bool:
        """Count the request if it matches; whether it is the rule's turn."""
        if self.removed.is_set() or not self.match.fits(request):
            return False
        self.matched += 1
        index = self.matched - self.nth
        return index >= 0 and (self.times is None or index < self.times)


class Rules:
    """All rules that were installed, and are not removed."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> Rule:
        """Install it behind the others."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove them all."""
        with self._lock:
            rules, self._rules = self._rules, []
        for rule in rules:
            rule.remove()

    def of(self, request: ApiRequest) -> Rule | None:
        """The rule that befalls the request: the first one whose turn it is. All that match count it."""
        with self._lock:
            self._rules = [rule for rule in self._rules if not rule.removed.is_set()]
            due = [rule for rule in self._rules if rule.due(request)]
            if not due:
                return None
            due[0].befallen.append(request)
        return due[0]


def answer(status: int, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str] | None) -> Answer:
    """An answer of the proxy's own; without a body it is the Status object that goes with the code."""
    if isinstance(body, bytes):
        content = body
    else:
        content = json.dumps(failure(status) if body is None else body).encode()
    return Answer(status, content, {"Content-Type": "application/json", **(headers or {})})
