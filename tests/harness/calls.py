"""Which calls an HTTP proxy tells apart, and what may befall one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit


class Call(StrEnum):
    """The calls of an S3 store and of a Vault server that a fault can be meant for."""

    INITIATE = "initiate"  # begin a multipart upload
    PART = "part"
    COMPLETE = "complete"
    ABORT = "abort"
    PUT = "put"
    GET = "get"
    HEAD = "head"
    LIST = "list"
    LIST_UPLOADS = "list uploads"
    DELETE = "delete"
    DELETE_MANY = "delete many"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    LOGIN = "login"
    HEALTH = "health"
    REVOKE = "revoke"
    OTHER = "other"


class CallFaultKind(StrEnum):
    """What befalls a call."""

    # Before it gets to the server:
    ANSWER = "answer"  # the proxy answers `status` itself
    DROP = "drop"  # reset after the fraction `at` of the request's body
    HOLD = "hold"  # kept until `release`, then passed on
    DELAY = "delay"  # passed on after `seconds`
    # After the server did it:
    LOSE = "lose"  # reset instead of the answer
    WATCH = "watch"  # nothing, but `reached` is set before the answer is passed on
    # In the answer's body, after its fraction `at`:
    RESET = "reset"  # "connection reset by peer"
    CLOSE = "close"  # orderly end of the connection, but not of the body: no last chunk
    END_EARLY = "end early"  # orderly end of the body, as a Go server's that fails in mid-stream
    FLIP = "flip"  # one bit of the byte there
    STALL = "stall"  # silence until `release`


IN_BODY = frozenset(
    {
        CallFaultKind.RESET,
        CallFaultKind.CLOSE,
        CallFaultKind.END_EARLY,
        CallFaultKind.FLIP,
        CallFaultKind.STALL,
    }
)


@dataclass(frozen=True)
class CallFault:
    """Something that befalls calls of one kind."""

    kind: CallFaultKind
    #: None: any call.
    call: Call | None = None
    #: The first such call that it befalls, counted from 1 when the fault is set.
    nth: int = 1
    #: How many such calls from then on; None: all.
    times: int | None = 1
    #: A fraction of the body, from 0 to 1.
    at: float = 0.5
    status: int = 500
    #: The error code in an S3 answer's body.
    code: str = "InternalError"
    seconds: float = 1

    def befalls(self, index: int) -> bool:
        """Whether it befalls the index-th such call."""
        return index >= self.nth and (self.times is None or index < self.nth + self.times)


#: method, a name in the query ("" for none), whether the path is a bucket's alone (None: either)
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html, with path-style addresses
OF_S3 = (
    ("POST", "uploads", False, Call.INITIATE),
    ("PUT", "uploadId", False, Call.PART),
    ("POST", "uploadId", False, Call.COMPLETE),
    ("DELETE", "uploadId", False, Call.ABORT),
    ("POST", "delete", True, Call.DELETE_MANY),
    ("GET", "uploads", True, Call.LIST_UPLOADS),
    ("GET", "", True, Call.LIST),
    ("PUT", "", False, Call.PUT),
    ("GET", "", False, Call.GET),
    ("DELETE", "", False, Call.DELETE),
    ("HEAD", "", None, Call.HEAD),
)


def classify(method: str, target: str) -> Call:
    """Which call a request is; the first row that fits tells."""
    parts = urlsplit(target)
    if parts.path.startswith("/v1/"):
        return _of_vault(method, parts.path.removeprefix("/v1/"))
    query = parse_qs(parts.query, keep_blank_values=True)
    of_bucket = "/" not in parts.path.strip("/")
    for verb, name, bucket, call in OF_S3:
        if method == verb and (not name or name in query) and bucket in (None, of_bucket):
            return call
    return Call.OTHER


def _of_vault(method: str, path: str) -> Call:
    if path == "sys/storage/raft/snapshot":
        return Call.SNAPSHOT if method == "GET" else Call.RESTORE
    if path == "sys/storage/raft/snapshot-force":
        return Call.RESTORE
    if path == "sys/health":
        return Call.HEALTH
    if path == "auth/token/revoke-self":
        return Call.REVOKE
    if path.startswith("auth/") and "/login" in path:
        return Call.LOGIN
    return Call.OTHER
