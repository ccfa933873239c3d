"""A fake-gcs-server: Google Cloud Storage in memory. It asks nobody who he is.

Source: Cloud Storage documentation, JSON API reference.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from tests.harness import client
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess, free_ports


class FakeGcs:
    """One server; its content goes with it."""

    def __init__(
        self, folder: Path, binary: Path, port: int = 0, public_host: str = "", data: Path | None = None
    ) -> None:
        """`public_host`: as whom clients address it, a proxy's host and port; the XML API looks at that.

        `data` holds a folder for each bucket that is there from the beginning, and in it its objects.
        """
        self.port = port or free_ports(1)[0]
        self.has_data = data is not None
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = ServerProcess(
            "fake-gcs-server",
            [
                *(binary, "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)),
                *("-backend", "memory", "-public-host", public_host or f"127.0.0.1:{self.port}"),
                *(("-data", data) if data else ()),
            ],
            log=folder / "fake-gcs-server.log",
        )

    def start(self) -> None:
        """Start it and wait until it answers: it takes in all of `data` before."""
        self.process.start()
        self.process.wait_ready(self.answers, seconds=150 if self.has_data else 30)

    def answers(self) -> bool:
        """Whether it serves now."""
        try:
            return client.request("GET", f"{self.url}/storage/v1/b?project=test").status == 200
        except HarnessError:
            return False

    def ask(self, method: str, path: str, body: bytes = b"") -> client.Answer:
        """One request; raises HarnessError unless it succeeds."""
        headers = {"Content-Type": "application/json"}
        answer = client.request(method, self.url + path, body=body, headers=headers)
        if answer.status >= 300:
            raise HarnessError(f"{method} {path}: {answer.status} {answer.body.decode()[:500]}")
        return answer

    def make_bucket(self, bucket: str) -> None:
        """Create a bucket."""
        self.ask("POST", "/storage/v1/b?project=test", json.dumps({"name": bucket}).encode())

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket and all that is in it."""
        self.empty_bucket(bucket)
        self.ask("DELETE", f"/storage/v1/b/{bucket}")

    def empty_bucket(self, bucket: str) -> None:
        """Remove all that is in a bucket."""
        for key in self.keys_in(bucket):
            self.ask("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}")

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object."""
        query = urlencode({"uploadType": "media", "name": key})
        self.ask("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", body)

    def get(self, bucket: str, key: str) -> bytes:
        """Read an object."""
        return self.ask("GET", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}?alt=media").body

    def keys_in(self, bucket: str) -> list[str]:
        """The names of all objects."""
        found: list[str] = []
        query: dict[str, str] = {}
        while True:
            page: dict[str, Any] = self.ask("GET", f"/storage/v1/b/{bucket}/o?{urlencode(query)}").json()
            found += [each["name"] for each in page.get("items", [])]
            if not page.get("nextPageToken"):
                return found
            query["pageToken"] = page["nextPageToken"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()
