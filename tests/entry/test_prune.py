"""`prune`: the retention policy, by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, both


@pytest.fixture
def keys(world: World) -> list[str]:
    """Four backups, oldest first, of which two are to be kept."""
    world.configure(world.document(retention={"maxCount": 2}))
    return [world.add(day) for day in range(4)]


def test_a_dry_run_deletes_nothing(command: Command, world: World, keys: list[str]) -> None:
    """It prints the plan with every reason."""
    answer = command("prune", "--dry-run")
    assert answer.code == 0
    rows = answer.out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["keep", "keep", "drop", "drop"]
    assert rows[0].endswith("newest good backup, within the newest 2")
    assert rows[3].endswith("not among the newest 2")
    assert answer.err == "2 to keep, 2 to drop; a dry run deletes nothing\n"
    assert world.files() == both(*keys)


def test_what_the_plan_drops_is_deleted(command: Command, world: World, keys: list[str]) -> None:
    """The receipts, too, and nothing of another name."""
    notes = world.target / "default/prod/notes.txt"
    notes.write_text("mine")
    answer = command("prune")
    assert (answer.code, answer.err) == (0, "2 kept, 2 dropped\n")
    assert world.files() == {*both(*keys[2:]), "default/prod/notes.txt"}


def test_twice_is_as_once(command: Command, world: World, keys: list[str]) -> None:
    """Nothing is left to drop."""
    command("prune")
    assert command("prune").err == "2 kept, 0 dropped\n"
    assert world.files() == both(*keys[2:])


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_plan_as_json(command: Command, keys: list[str], *, dry_run: bool) -> None:
    """One document, with what became of it unless it was a dry run."""
    answer = command("prune", "--output", "json", *(["--dry-run"] if dry_run else [])).json
    assert answer["dryRun"] is dry_run
    assert [decision["keep"] for decision in answer["plan"]] == [True, True, False, False]
    dropped = None if dry_run else keys[:2]
    assert (answer["outcome"] or {}).get("dropped") == dropped
    again = command("prune", "--output", "json")
    if not dry_run:
        assert again.json["outcome"] == {"kept": 2, "dropped": [], "failed": []}


def test_without_a_policy(command: Command, world: World) -> None:
    """Everything is kept, and it says where a policy belongs."""
    key = world.add(0)
    answer = command("prune")
    assert (answer.code, answer.out) == (1, "")
    assert "everything is kept; set spec.backup.retention, or give rules" in answer.complaint
    assert world.files() == both(key)


KEYS = [f"default/prod/2026-11-0{day}T02-00-00Z-0000000{day}.snap" for day in (1, 2)]


@contextmanager
def refusing_bucket(code: str) -> Iterator[str]:
    """A bucket with two backups that says what is in it, and answers all else with 403 and `code`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Sun, 01 Nov 2026 02:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            if "list-type" not in self.path:
                return self.answer(200, b"{}")
            names = [name for key in KEYS for name in (key, f"{key}.json")]
            contents = "".join(
                f"<Contents><Key>{name}</Key><LastModified>2026-11-01T02:00:00.000Z</LastModified>"
                '<ETag>"1"</ETag><Size>2</Size></Contents>'
                for name in names
            )
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
            return self.answer(200, body.encode())

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(403, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

        def do_PUT(self) -> None:
            self.do_DELETE()

        def do_POST(self) -> None:
            self.do_DELETE()

        def log_message(self, *_what: object) -> None:
            """Nothing on the test's standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("code", "reason"), [("ExpiredToken", "StorageLoginExpired"), ("AccessDenied", "StorageDenied")]
)
def test_a_refused_deletion_ends_in_the_stores_own_reason(
    command: Command, world: World, code: str, reason: str
) -> None:
    """An expired login is not called a missing right; the hint fits it."""
    with refusing_bucket(code) as endpoint:
        s3 = {"provider": "s3", "bucket": "b", "endpoint": endpoint}
        target = {**s3, "credentialsSecretRef": {"name": "keys"}}
        secret = world.folder / "secrets" / "keys"
        secret.mkdir()
        (secret / "accessKeyId").write_text("id")
        (secret / "secretAccessKey").write_text("key")
        world.configure(world.document(target=target, retention={"maxCount": 1}))
        answer = command("prune")
    assert answer.code == 5
    assert answer.complaint.startswith(f"bao-backup: {reason}: prune s3://b/default/prod: 1 not deleted")
    assert KEYS[0] in answer.complaint
    assert "tried again at the next run" in answer.complaint
