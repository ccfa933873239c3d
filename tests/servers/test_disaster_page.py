"""docs/disaster-recovery.md, pasted block by block by somebody who knows nothing else.

Every block of commands is run here, or in `cluster/test_disaster_document`, or has its reason not to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.harness.page import Block, blocks_of, not_printed, with_values
from tests.servers.disaster_site import BAD, OLD, Machine, OldCluster, a_second_later
from tests.servers.places import BucketPlace
from tests.servers.program import Site

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "disaster-recovery.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(PAGE)
#: Run on a real API server by `cluster/test_disaster_document`.
ON_KUBERNETES = "On Kubernetes"
FILL_IN = "1. Fill this in"
UNSEAL = "7. Start it again, and unseal it with the old keys"
KEY_ASKED = "Key (will be hidden): "
TOKEN_ASKED = "Token (will be hidden): "
RESTORE_ASKED = "to go on (anything else ends it):"
#: Blocks whose commands do not all end with 0, and how these end: the page says so.
FAILING = {("6. Restore", 1): "4:bao-backup"}  # RestoreSealed


class Person:
    """Pastes the page's blocks, and remembers which."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.pasted: set[tuple[str, int]] = set()

    def fill_in(self, machine: Machine, **values: str) -> None:
        """The blocks of the first step, with this machine's values."""
        first, *others = _blocks(FILL_IN)
        self._paste(machine, first, text=with_values(first.text, machine.values | values))
        for block in others:
            self._paste(machine, block)

    def paste(
        self, machine: Machine, heading: str, number: int, *answers: tuple[str, str], prints: str = ""
    ) -> str:
        """One block; it prints what the page says, and `prints`; gives what it printed."""
        return self._paste(machine, _blocks(heading)[number - 1], answers, prints=prints)

    def _paste(
        self,
        machine: Machine,
        block: Block,
        answers: Sequence[tuple[str, str]] = (),
        *,
        text: str = "",
        prints: str = "",
    ) -> str:
        self.pasted.add(block.name)
        done = machine.terminal.paste(text or block.text, answers)
        self._site.witness.saw(f"the terminal at {block.name}", done.printed)
        assert done.failed == FAILING.get(block.name, ""), done.printed
        assert not_printed(f"{block.prints}\n{prints}", done.printed) == [], done.printed
        return done.printed


def _blocks(heading: str) -> list[Block]:
    found = [block for block in BLOCKS if block.heading == heading]
    assert found, f"the page has no commands below {heading!r}"
    return found


@dataclass
class World:
    """The old cluster, two machines, and who works on them."""

    old: OldCluster
    first: Machine
    second: Machine
    person: Person


@pytest.fixture
def world(tmp_path: Path, vault_binary: Path, site: Site, in_bucket: BucketPlace) -> Iterator[World]:
    """The cluster is gone, the bucket is left."""
    old = OldCluster(tmp_path, vault_binary, site, in_bucket)
    first = Machine(tmp_path / "vault-0", vault_binary, old)
    second = Machine(tmp_path / "vault-1", vault_binary, old, first=first)
    yield World(old, first, second, Person(site))
    for machine in (second, first):
        machine.terminal.close()


@pytest.mark.servers
def test_the_page_brings_a_cluster_back(world: World) -> None:
    """Step by step, then each variant; the old data is there each time, and no block was left out."""
    bring_back(world)
    more_servers(world)
    backups_again(world)
    undo_one_change(world)
    restore_a_file(world)
    adopt_unproven(world)
    everything = {block.name for block in BLOCKS if block.heading != ON_KUBERNETES}
    assert everything - world.person.pasted == set()


def test_a_big_backup_is_no_trouble_for_the_pages_server() -> None:
    """A server reads a request for 30 s unless its listener says otherwise; other pages tell it, too."""
    start = _blocks("4. A new server")[1].text
    listener = start[start.index('listener "tcp" {') : start.index("\n}\n", start.index("listener"))]
    assert re.search(r'http_read_timeout = "\dh"', listener)
    for page in ("kubernetes.md", "errors.md"):
        assert "http_read_timeout" in (DOCS / page).read_text(encoding="utf-8")


def assert_old_data(world: World) -> None:
    """The secret of before is there."""
    shown = world.person.paste(world.first, "8. Log in, and look", 2)
    assert OLD["whose"] in shown


def bring_back(world: World) -> None:
    """Steps 1 to 8, with a token of that time, and without one."""
    person, machine, old = world.person, world.first, world.old
    person.fill_in(machine)
    person.paste(machine, "2. See what is there", 1, prints=old.key)
    person.paste(machine, "2. See what is there", 2)
    person.paste(machine, "3. Prove it", 1)
    person.paste(machine, "4. A new server", 1)
    person.paste(machine, "4. A new server", 2)
    person.paste(machine, "5. Throw-away keys", 1)
    person.paste(machine, "6. Restore", 1, (RESTORE_ASKED, machine.values["CLUSTER"]))
    person.paste(machine, UNSEAL, 1)
    for key in old.keys:
        printed = person.paste(machine, UNSEAL, 2, (KEY_ASKED, key))
    assert not_printed("Sealed false", printed) == [], printed
    heading = "No login of that time"
    person.paste(machine, heading, 1)
    for key in old.keys:
        printed = person.paste(machine, heading, 2, (KEY_ASKED, key))
    assert not_printed("Complete true", printed) == [], printed
    person.paste(machine, heading, 3)
    assert_old_data(world)
    machine.terminal.paste("bao token revoke -self")
    person.paste(machine, "8. Log in, and look", 1, (TOKEN_ASKED, old.token))
    assert_old_data(world)


def more_servers(world: World) -> None:
    """Step 9: another machine gets the certificate, joins, and follows."""
    person, machine, other = world.person, world.first, world.second
    person.fill_in(other)
    other.copy_from(machine, ("tls.crt", "tls.key", "ca.crt"))
    person.paste(other, "4. A new server", 2)
    person.paste(other, "9. More servers", 1)
    for key in world.old.keys:
        person.paste(other, "9. More servers", 2, (KEY_ASKED, key))
    person.paste(other, "9. More servers", 3)
    listed = person.paste(machine, "9. More servers", 4)
    assert "node0" not in listed, "a server of the old cluster is still a peer"


def backups_again(world: World) -> None:
    """Steps 10 and 11."""
    person, machine, old = world.person, world.first, world.old
    old.correct_document(machine.address, machine.work / "ca.crt")
    assert len(old.backups()) == 1
    person.paste(machine, "10. Backups again", 1)
    assert len(old.backups()) == 2
    person.paste(machine, "11. Clean up", 1)
    assert not (machine.work / "throw-away").exists()


def undo_one_change(world: World) -> None:
    """Into the living cluster of two servers, with the same keys; nobody unseals anything."""
    person, machine, heading = world.person, world.first, "Only one bad change"
    before = a_second_later()
    printed = machine.terminal.paste(f"bao kv put {machine.values['KNOWN']} whose={BAD['whose']}").printed
    assert "Success" in printed
    person.fill_in(machine, BEFORE=before)
    person.paste(machine, heading, 1)
    person.paste(machine, heading, 2, (TOKEN_ASKED, world.old.token))
    person.paste(machine, heading, 3)
    person.paste(machine, heading, 4, (RESTORE_ASKED, machine.values["CLUSTER"]))
    assert_old_data(world)


def restore_a_file(world: World) -> None:
    """What was downloaded is put back by bao-backup, and by the server's own program."""
    person, machine = world.person, world.first
    (machine.work / "token").write_text(world.old.token, encoding="utf-8")
    heading = "The server does not reach the bucket"
    person.paste(machine, heading, 1)
    for again in (
        lambda: person.paste(machine, heading, 2, (RESTORE_ASKED, machine.values["CLUSTER"])),
        lambda: [person.paste(machine, "Without bao-backup", number) for number in (1, 2)],
    ):
        printed = machine.terminal.paste(f"bao kv put {machine.values['KNOWN']} whose={BAD['whose']}").printed
        assert "Success" in printed
        again()
        machine.until_it_serves("the data of before", OLD["whose"])
        assert_old_data(world)


def adopt_unproven(world: World) -> None:
    """Its receipt is written, and it counts."""
    person, machine = world.person, world.first
    key = world.old.add_unproven()
    person.fill_in(machine, KEY=key)
    person.paste(machine, "Unproven backups only", 1, prints=key)
    assert f"{key}.json" in world.old.place.visible()


def test_blocks_are_found_by_their_headings() -> None:
    """No two headings of commands are the same, and the page's fill-in block sets all that is replaced."""
    headings = [line.lstrip("# ") for line in PAGE.splitlines() if line.startswith("#") and " " in line]
    for heading in {block.heading for block in BLOCKS}:
        assert headings.count(heading) == 1, heading


def test_commands_stand_in_blocks_that_are_run() -> None:
    """No other kind of fence, and none of the indented blocks that this would not see."""
    kinds = {line for line in PAGE.splitlines() if line.startswith("```")}
    assert kinds == {"```", "```sh", "```text"}
    outside = "".join(PAGE.split("```")[::2])
    assert [line for line in outside.splitlines() if line.startswith("    ")] == []


def test_a_page_is_taken_apart() -> None:
    """Commands with what they print; what stands below another heading is not theirs."""
    first = "# A\n```sh\na\n```\nwords\n```text\nb\n```\n```sh\nc\n```\n"
    page = f"{first}## B\n```text\nd\n```\n```yaml\ne: 1\n```\n"
    assert blocks_of(page) == [Block("A", 1, "a", "b"), Block("A", 2, "c")]


@pytest.mark.parametrize(
    ("says", "printed", "missing"),
    [
        ("size 14 KiB", "the size    9 KiB", []),
        ("size 14 KiB", "size 9 MiB", ["size 14 KiB"]),
        ("it ... ends", "it always, always ends", []),
        ("Sealed true", "Sealed false", ["Sealed true"]),
    ],
)
def test_what_a_page_says_is_compared(says: str, printed: str, missing: list[str]) -> None:
    """Words with a digit are any word; all others are themselves."""
    assert not_printed(says, printed) == missing
