"""An Azurite server: Azure Blob Storage, with one account whose keys a test chooses.

Sources: Azure Storage REST API Reference, "Authorize with Shared Key", "Create an account SAS" and
"List Blobs".
"""

from __future__ import annotations

import base64
import hmac
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from tests.harness import client
from tests.harness.certificates import Authority
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess, free_ports

ACCOUNT = "testaccount"
VERSION = "2021-12-02"
KEY = base64.b64encode(b"account key of tests, 64 bytes, as those of Azure's accounts are").decode()


class Blobs:
    """The account as its owner sees it."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        """`url` is the account's."""
        self.url = url
        self.context = context

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> client.Answer:
        """One request with a signature, whatever its answer's status."""
        query = query or {}
        moment = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        sent = {"x-ms-date": moment, "x-ms-version": VERSION, **(headers or {})}
        url = self.url + quote(path, safe="/-_.~")
        lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent) if name.startswith("x-ms-"))
        arguments = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
        resource = f"/{ACCOUNT}{urlsplit(url).path}{arguments}"
        text = f"{method}\n\n\n{len(body) or ''}\n\n\n\n\n\n\n\n\n{lines}{resource}"
        sent["Authorization"] = f"SharedKey {ACCOUNT}:{_signed(text)}"
        url += f"?{urlencode(query)}" if query else ""
        return client.request(method, url, body=body, headers=sent, context=self.context)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> client.Answer:
        """One request; raises HarnessError unless it succeeds."""
        answer = self.request(method, path, query, body, headers)
        if answer.status >= 300:
            raise HarnessError(f"{method} {path}: {answer.status} {answer.body.decode()[:500]}")
        return answer

    def make_container(self, container: str) -> None:
        """Create a container."""
        self.ask("PUT", f"/{container}", {"restype": "container"})

    def remove_container(self, container: str) -> None:
        """Remove a container and all that is in it."""
        self.ask("DELETE", f"/{container}", {"restype": "container"})

    def put(self, container: str, key: str, body: bytes) -> None:
        """Write a blob."""
        self.ask("PUT", f"/{container}/{key}", body=body, headers={"x-ms-blob-type": "BlockBlob"})

    def put_empty(self, container: str, keys: Sequence[str]) -> None:
        """Write many blobs without content, over few connections that stay open."""
        access = self.shared_access("cw")

        def put(some: Sequence[str]) -> None:
            connection = HTTPConnection(urlsplit(self.url).netloc)
            with closing(connection):
                for key in some:
                    path = quote(f"{urlsplit(self.url).path}/{container}/{key}", safe="/-_.~")
                    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": VERSION}
                    connection.request("PUT", f"{path}?{access}", b"", headers)
                    with connection.getresponse() as answer:
                        answer.read()
                        if answer.status != 201:
                            raise HarnessError(f"PUT {path}: {answer.status}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, (keys[start::4] for start in range(4))))

    def get(self, container: str, key: str) -> bytes:
        """Read a blob."""
        return self.ask("GET", f"/{container}/{key}").body

    def keys_in(self, container: str, *, unfinished: bool = False) -> list[str]:
        """The names of all blobs; `unfinished`: those, too, of which there are blocks and no more."""
        found: list[str] = []
        query = {"restype": "container", "comp": "list"}
        if unfinished:
            query["include"] = "uncommittedblobs"
        while True:
            page = ET.fromstring(self.ask("GET", f"/{container}", query).body)
            found += [each.findtext("Name", "") for each in page.iter("Blob")]
            query["marker"] = page.findtext("NextMarker", "")
            if not query["marker"]:
                return found

    def unfinished(self, container: str) -> list[str]:
        """Blobs of which there are blocks, and no more."""
        finished = self.keys_in(container)
        return [key for key in self.keys_in(container, unfinished=True) if key not in finished]

    def shared_access(self, rights: str = "racwdl", seconds: int = 3600) -> str:
        """A signature (SAS) of the account that gives these rights on blobs for so long."""
        ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = {"sv": "2020-04-08", "ss": "b", "srt": "co", "sp": rights, "se": ends, "spr": "https,http"}
        text = "\n".join([ACCOUNT, rights, "b", "co", "", ends, "", given["spr"], given["sv"], ""])
        return urlencode(given | {"sig": _signed(text)})


class Azurite:
    """One Azurite with one folder; over TLS it takes tokens, too, of whatever issuer in their form."""

    def __init__(self, folder: Path, program: Path, authority: Authority | None = None) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.ca_file = authority.ca_file if authority else None
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}/{ACCOUNT}"
        self.root = Blobs(self.url, authority.client_context() if authority else None)
        secure: list[str | Path] = []
        if authority:
            issued = authority.issue("azurite")
            secure = ["--cert", issued.certificate, "--key", issued.key, "--oauth", "basic"]
        self.process = ServerProcess(
            "azurite",
            [
                *("node", program, "--blobPort", str(self.port), "--location", folder / "data"),
                *("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--disableProductStyleUrl"),
                *secure,
            ],
            log=folder / "azurite.log",
            variables={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.process.start()
        self.process.wait_ready(self.answers, seconds=60)

    def stop(self) -> None:
        """End it; its content stays."""
        self.process.stop()

    def answers(self) -> bool:
        """Whether it serves now."""
        try:
            return self.root.request("GET", "/", {"comp": "list"}).status == 200
        except HarnessError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _signed(text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()
