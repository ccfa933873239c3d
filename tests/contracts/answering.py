"""A store that answers every request in the same way, and all that can be asked of one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.contracts.asking import KEY, blocks, keys
from tests.harness.gcs_identities import AccountKey

from bao_backup.adapters.stores import open_store
from bao_backup.core.storage import StoreSettings
from bao_backup.ports import Store

ACCOUNT = "account"
#: What must be seen nowhere, though answers repeat it.
SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
SESSION = "session-token-of-the-tests"
SIGNATURE = "signature-of-the-tests"
#: A signature (SAS) that is not checked by anybody here.
SHARED_ACCESS = f"sv=2021-12-02&ss=b&srt=co&sp=racwdl&se=2099-01-01T00:00:00Z&sig={SIGNATURE}"
GOOGLE = AccountKey()
SECRETS: Mapping[str, str] = {"s3": f"{SECRET} {SESSION}", "gs": "", "azure": SHARED_ACCESS}

#: By their names, as the parameters of tests: what the port offers, and by which verb errors call it.
ACTS: Mapping[str, tuple[str, Callable[[Store], object]]] = {
    "put": ("upload", lambda store: store.put(KEY, iter([b"body"]))),
    "put in parts": ("upload", lambda store: store.put(KEY, blocks(12))),
    "create": ("create", lambda store: store.create(KEY, b"body")),
    "get": ("read", lambda store: next(store.get(KEY))),
    "head": ("look at", lambda store: store.head(KEY)),
    "list": ("list", lambda store: keys(store, "backups")),
    "delete": ("delete", lambda store: store.delete(KEY)),
    "sweep": ("sweep", lambda store: store.sweep("backups/production/bao")),
}


#: In an answer's body: what the request came with, as careless servers repeat it.
ECHO = "{what came}"


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


#: What it says as long as nobody has chosen.
NOTHING = Reply(500)


@dataclass
class Answering:
    """The server: `reply` is what it says to everything, but for what `first` says to a method and path."""

    url: str
    reply: Reply = NOTHING
    first: Callable[[str, str], Reply | None] = lambda _method, _path: None
    asked: list[str] = field(default_factory=list)


@contextmanager
def answering(context: ssl.SSLContext | None = None) -> Iterator[Answering]:
    """Start it on loopback, over TLS with a context, and end it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("content-length") or 0))
            server.asked.append(f"{self.command} {self.path}")
            reply = server.first(self.command, self.path) or server.reply
            came = f"{self.headers.get('authorization', '')} {self.path}"
            body = reply.body.replace(ECHO, came).encode()
            lines = [f"HTTP/1.1 {reply.status} Said", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            head = "\r\n".join([*lines, "", ""]).encode()
            self.wfile.write(head if self.command == "HEAD" else head + body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_words: object) -> None:
            """A client that goes away is none."""

    listener = Quiet(("127.0.0.1", 0), Handler)
    if context is not None:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    server = Answering(f"{'https' if context else 'http'}://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(5)


def open_vendor(vendor: str, url: str, **changes: Any) -> Store:
    """The store of a vendor ("s3", "gs", "azure") at this URL, opened by its adapter; no second tries."""
    provider = {"gs": "gcs"}.get(vendor, vendor)
    credentials: dict[str, dict[str, str]] = {
        "s3": {"accessKeyId": "id-of-tests", "secretAccessKey": SECRET, "sessionToken": SESSION},
        "gs": {"credentials.json": GOOGLE.file},
        "azure": {"sasToken": SHARED_ACCESS},
    }
    settings = StoreSettings(
        provider=provider,
        bucket="bucket",
        account=ACCOUNT if vendor == "azure" else "",
        endpoint=f"{url}/{ACCOUNT}" if vendor == "azure" else url,
        max_retries=0,
        **{"part_size": 5 * 1024 * 1024, "request_timeout": 5, **changes},
    )
    return open_store(settings, credentials[vendor])
