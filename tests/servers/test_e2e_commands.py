"""The commands that look after backups, on a real store: exit codes, JSON, and what they change."""

from __future__ import annotations

import json
import os
import pty
import re
from pathlib import Path
from typing import Any

import pytest
from tests.harness.proxy import TcpProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, assert_backup
from tests.servers.program import Ended, Site

pytestmark = pytest.mark.servers

#: The slots of the backups, newest first.
SLOTS = ("2026-11-22T02-00-00Z-00000003", "2026-11-21T02-00-00Z-00000002", "2026-11-20T02-00-00Z-00000001")


class Kept:
    """Three backups of one cluster in a bucket, and the commands for it."""

    def __init__(self, site: Site, place: BucketPlace) -> None:
        self.site = site
        self.place = place
        self.keys = [f"default/kept/{slot}.snap" for slot in SLOTS]

    def run(self, command: str, *arguments: str) -> Ended:
        """Run a command for the cluster."""
        return self.site.run(command, "kept", *arguments)

    def json(self, command: str, *arguments: str, code: int = 0) -> Any:
        """What a command prints as JSON, when it ends with this exit code."""
        ended = self.run(command, *arguments, "--output", "json")
        assert ended.code == code, ended.err
        return ended.json

    def replace(self, key: str, body: bytes) -> None:
        """Put other bytes in an object's place."""
        self.place.minio.root.put(self.place.bucket, key, body)

    def remove(self, key: str) -> None:
        """Delete an object."""
        self.place.minio.root.ask("DELETE", f"/{self.place.bucket}/{key}")


@pytest.fixture
def kept(vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> Kept:
    """The newest is made by a run, and the older ones are its copies with receipts of their own."""
    kept = Kept(site, in_bucket)
    site.describe("kept", vault, in_bucket.target(site), retention={"maxCount": 2})
    ended = site.begin_job(site.job("kept", key=kept.keys[0])).wait()
    assert_backup(in_bucket, ended)
    body, receipt = in_bucket.read(kept.keys[0]), in_bucket.read(f"{kept.keys[0]}.json")
    for key in kept.keys[1:]:
        kept.replace(key, body)
        kept.replace(f"{key}.json", json.dumps(json.loads(receipt) | {"key": key}).encode())
    return kept


def test_list(kept: Kept) -> None:
    """All of them, newest first, proven; as a table with their number."""
    listed = kept.json("list")
    assert listed["location"] == f"s3://{kept.place.bucket}"
    assert [(each["key"], each["proven"]) for each in listed["backups"]] == [(key, True) for key in kept.keys]
    table = kept.run("list")
    assert [line.split()[-1] for line in table.out.splitlines()[1:]] == kept.keys
    assert "3 backups" in table.err


def test_list_of_nothing(vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """An empty store is no error."""
    site.describe("none", vault, in_bucket.target(site))
    ended = site.run("list", "none", "--output", "json")
    assert (ended.code, ended.json["backups"]) == (0, [])


def test_show(kept: Kept) -> None:
    """The receipt; a key that is not there is exit 5."""
    shown = kept.json("show", "latest")
    assert shown == json.loads(kept.place.read(f"{kept.keys[0]}.json"))
    assert kept.json("show", kept.keys[2].rpartition("/")[2])["key"] == kept.keys[2]
    assert shown["sha256"] in kept.run("show", "latest").out
    missing = kept.run("show", "2020-01-01T00-00-00Z-00000000.snap")
    assert missing.code == 5
    assert "ObjectNotFound" in missing.err


def test_verify(kept: Kept) -> None:
    """Whole backups are proven again: exit 0."""
    verdicts = kept.json("verify", "--all")
    assert [(each["key"], each["verdict"]) for each in verdicts] == [(key, "Proven") for key in kept.keys]


def test_verify_finds_a_changed_byte(kept: Kept) -> None:
    """Exit 6 and the reason for the spoiled one; the others are still proven."""
    body = bytearray(kept.place.read(kept.keys[1]))
    body[len(body) // 2] ^= 1
    kept.replace(kept.keys[1], bytes(body))
    verdicts = kept.json("verify", "--all", code=6)
    assert [each["verdict"] for each in verdicts] == ["Proven", "Failed", "Proven"]
    assert (verdicts[1]["reason"], verdicts[1]["exitCode"]) == ("ArchiveCorrupt", 6)
    assert kept.run("verify", kept.keys[1]).code == 6


def test_verify_finds_a_shortened_object(kept: Kept) -> None:
    """Exit 6, also where nothing but the last byte is missing."""
    kept.replace(kept.keys[0], kept.place.read(kept.keys[0])[:-1])
    [verdict] = kept.json("verify", "latest", code=6)
    assert verdict["verdict"] == "Failed"


def test_verify_finds_another_snapshot_in_its_place(kept: Kept, vault: VaultCluster, site: Site) -> None:
    """A whole snapshot, but not the one of the receipt: exit 6, StoredDiffers."""
    vault.write_secret("later", {"value": "1"})
    other = site.begin_job(site.job("kept", key=f"default/kept/{SLOTS[0][:-1]}9.snap", retention=None)).wait()
    kept.replace(kept.keys[1], kept.place.read(other.result["key"]))
    [verdict] = kept.json("verify", kept.keys[1], code=6)
    assert verdict["reason"] == "StoredDiffers"


def test_verify_adopts_what_is_unproven(kept: Kept) -> None:
    """Without its receipt it is unproven; read again and whole, it gets one."""
    kept.remove(f"{kept.keys[1]}.json")
    listed = kept.json("list")["backups"]
    assert [each["proven"] for each in listed] == [True, False, True]
    shown = kept.run("show", kept.keys[1])
    assert shown.code == 5
    assert "unproven" in shown.err
    [verdict] = kept.json("verify", "--unproven")
    assert (verdict["key"], verdict["verdict"]) == (kept.keys[1], "Adopted")
    assert kept.json("show", kept.keys[1])["sha256"] == verdict["sha256"]
    assert all(each["proven"] for each in kept.json("list")["backups"])


def test_verify_does_not_adopt_what_is_spoiled(kept: Kept) -> None:
    """An unproven one that is not whole stays so: exit 6."""
    kept.remove(f"{kept.keys[1]}.json")
    kept.replace(kept.keys[1], kept.place.read(kept.keys[1])[:-100])
    [verdict] = kept.json("verify", "--unproven", code=6)
    assert verdict["verdict"] == "Failed"
    assert f"{kept.keys[1]}.json" not in kept.place.visible()


def test_prune(kept: Kept) -> None:
    """A dry run prints the plan and deletes nothing; then the oldest goes, body and receipt."""
    kept.replace("default/kept/somebody-elses.snap", b"kept")
    before = kept.place.visible()
    planned = kept.json("prune", "--dry-run")
    assert [(each["backup"]["key"], each["keep"]) for each in planned["plan"]] == [
        *((key, True) for key in kept.keys[:2]),
        (kept.keys[2], False),
    ]
    assert all(each["why"] for each in planned["plan"])
    assert kept.place.visible() == before
    assert kept.json("prune")["outcome"]["dropped"] == [kept.keys[2]]
    assert set(before) - set(kept.place.visible()) == {kept.keys[2], f"{kept.keys[2]}.json"}
    assert kept.json("prune")["outcome"].get("dropped", []) == []


def test_inspect(kept: Kept, tmp_path: Path) -> None:
    """What is inside, from the store and from a file; single keys only when they are asked for."""
    file = tmp_path / "fetched.snap"
    assert kept.run("download", "latest", str(file)).code == 0
    stored = kept.json("inspect", "latest")
    assert stored["contents"]["inventory"]["seal"]["shares"] == 1
    assert "keys" not in stored
    assert kept.json("inspect", str(file)) == stored
    keys = kept.json("inspect", str(file), "--keys")["keys"]
    assert len(keys) == stored["contents"]["inventory"]["entries"]
    assert "core/seal-config" in [each["key"] for each in keys]
    file.write_bytes(file.read_bytes()[:-10])
    assert kept.run("inspect", str(file)).code == 6


def test_download(kept: Kept, tmp_path: Path) -> None:
    """Its bytes, for its owner alone; what is there is not replaced without --overwrite."""
    file = tmp_path / "fetched.snap"
    assert kept.run("download", "latest", str(file)).code == 0
    assert file.read_bytes() == kept.place.read(kept.keys[0])
    assert file.stat().st_mode & 0o077 == 0
    assert kept.run("download", kept.keys[1], str(file)).code == 1
    assert kept.run("download", kept.keys[1], str(file), "--overwrite").code == 0


def test_download_of_what_is_spoiled(kept: Kept, tmp_path: Path) -> None:
    """Exit 6, and no file is there: not even a part of one."""
    kept.replace(kept.keys[0], kept.place.read(kept.keys[0])[:-1])
    folder = tmp_path / "fetched"
    folder.mkdir()
    assert kept.run("download", "latest", str(folder / "a.snap")).code == 6
    assert list(folder.iterdir()) == []


def test_full_verification(vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """`verify: Full` reads the stored object back before its receipt is written, which says so."""
    site.describe("full", vault, in_bucket.target(site), verify="Full")
    ended = site.begin_job(site.job("full")).wait()
    assert_backup(in_bucket, ended)
    assert "reading it back" in ended.err
    receipt = json.loads(in_bucket.read(f"{ended.result['key']}.json"))
    assert receipt["verification"]["level"] == ended.result["verification"] == "Full"


def test_quiet(kept: Kept, tmp_path: Path) -> None:
    """With --quiet a command that succeeds says nothing on standard error."""
    for command in (
        ["backup", "--quiet", "--output", "json"],
        ["inspect", "latest", "--quiet"],
        ["download", "latest", str(tmp_path / "quiet.snap"), "--quiet"],
    ):
        ended = kept.run(*command)
        assert (ended.code, ended.err) == (0, "")
    assert kept.run("backup", "--output", "json").err != ""


def test_progress_on_a_terminal(full_vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """A person sees bytes and a rate while it streams."""
    with TcpProxy(full_vault.addresses[0]) as proxy:
        proxy.throttle(4 << 20)
        site.describe("seen", full_vault, in_bucket.target(site), addresses=[proxy.url])
        master, slave = pty.openpty()
        run = site.begin(
            "backup", *site.source("seen"), variables={"TERM": "xterm", "COLUMNS": "120"}, terminal=slave
        )
        os.close(slave)
        shown = read_terminal(master)
        ended = run.wait()
    assert ended.code == 0, shown
    assert "streaming into s3://" in shown
    assert re.search(r"\d\.\d(/\?)? MiB", shown)
    assert re.search(r"\d\.\d [kM]i?B/s", shown)
    assert ended.out.splitlines()[0].endswith(".snap")


def read_terminal(master: int) -> str:
    """What was written to a terminal, until nobody has it open any more."""
    shown = b""
    with open(master, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:  # Linux answers EIO at the end
                break
            if not piece:
                break
            shown += piece
    return shown.decode(errors="replace")
