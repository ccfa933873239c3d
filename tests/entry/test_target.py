"""The catalogue of a target without any document: the bucket and its keys are all that is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.entry.conftest import Command
from tests.entry.world import FIRST, World, both

from bao_backup.core.naming import backup_key, receipt_key


@pytest.fixture
def target(world: World) -> list[str]:
    """The options that name the folder; there is neither a document nor a Secret any more."""
    world.config.unlink()
    return ["--target", f"file://{world.target}"]


def moved(world: World, folder: str, day: int = 0) -> str:
    """A backup, proven, that belongs to another folder; gives its key."""
    key = world.add(day)
    there = f"{folder}/{Path(key).name}"
    for name in both(key):
        file = world.target / name
        file_there = world.target / name.replace(key, there)
        file_there.parent.mkdir(parents=True, exist_ok=True)
        file_there.write_bytes(file.read_bytes().replace(key.encode(), there.encode()))
        file.unlink()
    return there


def test_the_only_cluster_is_taken(command: Command, world: World, target: list[str]) -> None:
    """Nobody needs to know what it is called."""
    key = moved(world, "security/vault")
    answer = command("list", *target, config=None)
    assert (answer.code, answer.out.split()[-1]) == (0, key)
    size = (world.target / key).stat().st_size
    assert answer.err == f"1 backup in file://{world.target}/security/vault, {size} B\n"


def test_every_command_takes_it(command: Command, world: World, target: list[str], tmp_path: Path) -> None:
    """Show, verify, inspect and download, with the path prefix that the documents had."""
    key = moved(world, "team-a/backups/security/vault")
    target[1] += "?pathPrefix=team-a/backups"
    assert command("show", "latest", *target, config=None).out.splitlines()[0].split() == ["key", key]
    assert command("verify", "--all", *target, "--output", "json", config=None).json[0]["verdict"] == "Proven"
    assert "proof" in command("inspect", Path(key).name, *target, config=None).out
    assert command("download", key, "copy.snap", *target, config=None).code == 0
    assert (tmp_path / "copy.snap").read_bytes() == (world.target / key).read_bytes()


def test_verify_adopts_for_the_cluster_that_the_key_names(
    command: Command, world: World, target: list[str]
) -> None:
    """The receipt that is missing is written with the names in the key."""
    key = moved(world, "security/vault")
    (world.target / receipt_key(key)).unlink()
    assert command("verify", "--unproven", *target, config=None).code == 0
    assert "security/vault" in command("show", "latest", *target, config=None).out


def test_one_of_several_is_named(command: Command, world: World, target: list[str]) -> None:
    """Else the error lists what is there."""
    keys = {name: moved(world, name, day) for day, name in enumerate(["a/x", "b/x", "default/vault"])}
    for name, key in keys.items():
        answer = command("list", *target, "--cluster", name, "--output", "json", config=None)
        assert [backup["key"] for backup in answer.json["backups"]] == [key]
    assert command("list", *target, "--cluster", "vault", config=None).code == 0
    answer = command("list", *target, config=None)
    assert (answer.code, answer.out) == (1, "")
    assert "there are a/x, b/x, default/vault; name one of them with --cluster" in answer.complaint


@pytest.mark.parametrize(
    ("folders", "cluster", "why"),
    [
        (["a/x"], ["--cluster", "a/y"], "find the cluster a/y in {}: there is a/x; name one of them"),
        ([], ["--cluster", "a/y"], "find the cluster a/y in {}: there is no backup of any cluster"),
        ([], [], "find a cluster in {}: there is no backup of any cluster; see that the bucket"),
        (
            ["team/a/x"],
            [],
            'find a cluster in {0}: there is none; backups are below "{0}?pathPrefix=team": give that',
        ),
    ],
)
def test_a_cluster_that_is_not_there(
    command: Command, world: World, target: list[str], folders: list[str], cluster: list[str], why: str
) -> None:
    """It is not told as a cluster without backups, and what is there is named."""
    for folder in folders:
        moved(world, folder)
    answer = command("list", *target, *cluster, config=None)
    assert (answer.code, answer.out) == (5, "")
    assert why.format(f"file://{world.target}") in answer.complaint


def test_a_configuration_of_the_environment_gives_way(
    command: Command, world: World, target: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is always set, to a file that is gone, does no harm."""
    moved(world, "a/x")
    monkeypatch.setenv("BAO_BACKUP_CONFIG", str(world.folder / "gone.yaml"))
    assert command("list", *target, config=None).code == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("list --config c.yaml --target file:///x", "both --config and --target say where they are"),
        ("list --config c.yaml --credentials x", "--credentials is for --target alone"),
        ("list --target s3://b --credentials nowhere", "nowhere: no such file"),
        ("list --target s3://me:hidden@b", "a user name or a password"),
        ("list --target file:///x --all-clusters --cluster a", "--cluster names one"),
        ("list --target file:///x --latest --state unproven", "--latest is the newest proven one"),
        ("list --target file:///x --since 7d", "how long ago as"),
        ("list --target file:///x --since 1h --until 2h", "--since is after --until; exchange them"),
        ("list --target file:///x --class No", "expected lower-case words"),
        ("verify latest --target file:///x --since 1h", "go with --all or --unproven"),
        ("prune --target file:///x --max-age 0", "expected a duration of more than 0"),
        ("prune --target file:///x --max-count 0", "0 is not in the range x>=1"),
    ],
)
def test_options_that_do_not_go_together(command: Command, options: str, why: str) -> None:
    """One line that says what to do, and no secret in it."""
    answer = command(*options.split(), config=None)
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint
    assert "hidden" not in answer.complaint


def test_a_folder_of_credentials_that_holds_none(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for is not given: the environment's keys do not step in."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-elses")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "accessKeyId").write_text("\n")
    options = ("--target", "s3://bucket?endpoint=http://127.0.0.1:9", "--credentials", str(tmp_path / "keys"))
    answer = command("list", "--all-clusters", *options, config=None)
    assert answer.code == 1
    assert "there is no credential of a store in it" in answer.err


def test_all_clusters(command: Command, world: World, target: list[str]) -> None:
    """Sorted by name, each newest first; what is below a longer prefix is pointed to."""
    keys = [moved(world, "b/x", 0), moved(world, "a/y", 1), moved(world, "a/y", 2), moved(world, "a/x", 3)]
    moved(world, "team/c/z", 4)
    (world.target / "a/y/notes.txt").write_text("mine")
    answer = command("list", *target, "--all-clusters", config=None)
    assert answer.out.split()[:8] == ["NAMESPACE", "CLUSTER", "TAKEN", "AGE", "SIZE", "STATE", "CLASS", "KEY"]
    rows = [(*row.split()[:2], row.split()[-1]) for row in answer.out.splitlines()[1:]]
    assert rows == [
        ("a", "x", keys[3]),
        ("a", "y", keys[2]),
        ("a", "y", keys[1]),
        ("b", "x", keys[0]),
    ]
    total, other = answer.err.splitlines()
    assert total.startswith(f"4 backups of 3 clusters in file://{world.target}, ")
    url = f"file://{world.target}?pathPrefix=team"
    assert other == f'there are backups below "{url}", too: give that as --target to list them'
    listed = command("list", *target, "--all-clusters", "--latest", "--output", "json", config=None).json
    assert [(each["namespace"], each["cluster"], each["key"]) for each in listed["backups"]] == [
        ("a", "x", keys[3]),
        ("a", "y", keys[2]),
        ("b", "x", keys[0]),
    ]
    assert listed["count"] == 3
    assert listed["size"] == sum(each["size"] for each in listed["backups"])


def test_all_clusters_of_a_configuration(command: Command, world: World) -> None:
    """Its documents' one target, whoever else is in it; with two targets one is to be chosen."""
    world.configure(world.document("prod"), world.document("test"))
    keys = [world.add(0), moved(world, "other/gone", 1)]
    listed = command("list", "--all-clusters", "--output", "json").json["backups"]
    assert [each["key"] for each in listed] == keys
    elsewhere = {"provider": "file", "path": str(world.folder)}
    world.configure(world.document("prod"), world.document("test", target=elsewhere))
    answer = command("list", "--all-clusters")
    assert answer.code == 1
    assert "its clusters have 2 of them; choose that of one cluster with --cluster" in answer.complaint
    assert command("list", "--all-clusters", "--cluster", "prod").code == 0


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (["--since", "2026-11-02"], [3, 2, 1]),
        (["--until", "2026-11-02"], [1, 0]),
        (["--since", "2026-11-02T02:00:00Z", "--until", "2026-11-03T01:59:59Z"], [1]),
        (["--since", "24h"], []),
        (["--until", "1h", "--limit", "2"], [3, 2]),
        (["--class", "ordinary"], [3, 2, 1, 0]),
        (["--class", "pre-restore"], []),
        (["--latest"], [2]),
        (["--state", "unproven", "--limit", "1"], [3]),
    ],
)
def test_a_part_of_the_list(command: Command, world: World, options: list[str], days: list[int]) -> None:
    """By time, class, state and number; the total is of what is shown."""
    keys = {day: world.add(day, proven=day != 3) for day in range(4)}
    answer = command("list", *options)
    assert [row.split()[-1] for row in answer.out.splitlines()[1:]] == [keys[day] for day in days]
    assert answer.err.startswith(f"{len(days)} backup")


def test_a_part_is_verified(command: Command, world: World) -> None:
    """Those of a time, as with list."""
    keys = [world.add(day) for day in range(3)]
    answer = command("verify", "--all", "--until", "2026-11-02", "--output", "json")
    assert [each["key"] for each in answer.json] == [keys[1], keys[0]]


def test_prune_by_rules_of_its_own(command: Command, world: World, target: list[str]) -> None:
    """Without a document, or instead of its policy."""
    keys = [world.add(day) for day in range(4)]
    assert command("prune", *target, config=None).code == 1
    assert world.files() == both(*keys)
    assert command("prune", *target, "--max-count", "3", config=None).err == "3 kept, 1 dropped\n"
    world.configure(world.document(retention={"maxCount": 3}))
    assert command("prune", "--keep-yearly", "1", "--min-keep", "2").err == "2 kept, 1 dropped\n"
    assert command("prune", *target, "--max-age", "1h", config=None).err == "1 kept, 1 dropped\n"
    assert world.files() == both(keys[3])


PAGE = 1000


class Listing(ThreadingHTTPServer):
    """A bucket of many objects that answers LIST in pages as S3 does (ListObjectsV2), and counts requests."""

    def __init__(self, keys: list[str], allowed: str) -> None:
        self.keys = keys
        self.allowed = allowed
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), ListingHandler)

    def page(self, query: dict[str, list[str]]) -> str:
        """As many of the keys behind the token as a page holds."""
        prefix = query.get("prefix", [""])[0]
        start = int(query.get("continuation-token", ["0"])[0])
        found = [key for key in self.keys if key.startswith(prefix)]
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-11-01T02:00:00.000Z</LastModified>"
            '<ETag>"1"</ETag><Size>1024</Size></Contents>'
            for key in found[start : start + PAGE]
        )
        more = start + PAGE < len(found)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}"
            "</ListBucketResult>"
        )


class ListingHandler(BaseHTTPRequestHandler):
    """LIST only: anything else is a 500."""

    protocol_version = "HTTP/1.1"
    server: Listing

    def do_GET(self) -> None:
        """A page."""
        self.server.asked.append(self.requestline)
        query = parse_qs(urlsplit(self.path).query)
        body = self.server.page(query).encode() if "list-type" in query else b""
        allowed = query.get("prefix", [""])[0].startswith(self.server.allowed)
        self.send_response((200 if allowed else 403) if body else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_what: object) -> None:
        """Nothing on the test's standard error."""


@contextmanager
def bucket_of(keys: list[str], allowed: str = "") -> Iterator[Listing]:
    """A bucket with these keys, on loopback, of which only what is below `allowed` may be listed."""
    with Listing(sorted(keys), allowed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("options", [["--cluster", "n/c0"], ["--all-clusters"], []])
def test_ten_thousand_backups_are_one_listing(
    command: Command, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """20,000 objects in pages of 1,000: no request beside these, least of all for a receipt."""
    clusters = 4 if "--all-clusters" in options else 1
    keys = [
        backup_key(f"p/n/c{number % clusters}", FIRST + timedelta(hours=number), f"{number:08x}")
        for number in range(10_000)
    ]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    with bucket_of([*keys, *map(receipt_key, keys)]) as server:
        url = f"s3://b/p?endpoint=http://127.0.0.1:{server.server_port}&pathStyle=true"
        answer = command("list", "--target", url, *options, "--output", "json", config=None)
    assert answer.code == 0
    assert answer.json["count"] == 10_000
    assert answer.json["size"] == 10_000 * 1024
    assert all(backup["proven"] for backup in answer.json["backups"])
    assert len(server.asked) <= 21


@pytest.mark.parametrize(
    ("options", "reason", "why"),
    [
        (
            ["--cluster", "n/c"],
            "ObjectNotFound",
            "find the cluster n/c in s3://b/p: there is no backup of it",
        ),
        ([], "StorageDenied", "name the cluster with --cluster: its folder alone is listed then; or allow"),
    ],
)
def test_rights_that_end_at_the_clusters_folder(
    command: Command, monkeypatch: pytest.MonkeyPatch, options: list[str], reason: str, why: str
) -> None:
    """As `policy` prints them: that others may not be listed is not told as what is wrong with this one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    with bucket_of([], allowed="p/n/c/") as server:
        url = f"s3://b/p?endpoint=http://127.0.0.1:{server.server_port}&pathStyle=true"
        answer = command("list", "--target", url, *options, config=None)
    assert (answer.code, answer.out) == (5, "")
    assert reason in answer.complaint
    assert why in answer.complaint


@pytest.mark.parametrize("tried", ["list", "show latest", "verify --all", "check --cluster n/c"])
def test_a_store_that_is_not_verified(command: Command, monkeypatch: pytest.MonkeyPatch, tried: str) -> None:
    """Whoever reads from it is told once, not only who writes to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    url = "s3://b?endpoint=http://127.0.0.1:9&insecureSkipVerify=true"
    answer = command(*tried.split(), "--target", url, config=None)
    assert answer.code == 5
    assert answer.err.count("warning: the store's certificate is not verified") == 1


def test_a_target_below_is_told_as_it_is_given(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server that it is at: without it the keys would be shown to Amazon."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    key = backup_key("team a/b%41/n/c", FIRST, "00000001")
    with bucket_of([key, receipt_key(key)]) as server:
        url = f"s3://b?endpoint=http://127.0.0.1:{server.server_port}&pathStyle=true"
        told = command("list", "--target", url, config=None).complaint.split('"')[1]
        answer = command("list", "--target", told, "--output", "json", config=None)
    assert [backup["key"] for backup in answer.json["backups"]] == [key]


def test_latest_is_not_what_was_there_before_a_restore(command: Command, world: World) -> None:
    """Show, list and all others mean the newest good one that nobody wanted to be rid of."""
    keys = [world.add(day) for day in range(2)]
    for name in both(keys[1]):
        file = world.target / name
        file.rename(file.with_name(f"pre-restore-{file.name}"))
    assert command("show", "latest").out.splitlines()[0].endswith(keys[0])
    assert command("list", "--latest").out.splitlines()[1].endswith(keys[0])
    assert "pre-restore-" in command("list", "--latest", "--class", "pre-restore").out
