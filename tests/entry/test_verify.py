"""`verify`: backups are read again, and proven."""

from __future__ import annotations

from pathlib import Path

from tests.entry.conftest import Command
from tests.entry.world import World

from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import InterruptedRunError
from bao_backup.core.naming import catalogue, receipt_key
from bao_backup.entry.commands.verify import collect_verdicts
from bao_backup.entry.progress import LogReporter
from bao_backup.flows.stop import Stop
from bao_backup.flows.verify import VerifyFlow


def flip(file: Path, place: int) -> None:
    """Change one byte of a file."""
    body = bytearray(file.read_bytes())
    body[place] ^= 1
    file.write_bytes(body)


def test_a_good_one_is_proven(command: Command, world: World) -> None:
    """A row, a count, and exit code 0."""
    key = world.add(0)
    answer = command("verify", "latest")
    assert answer.code == 0
    (row,) = answer.out.splitlines()[1:]
    assert (row.split()[0], row.split()[-1]) == ("Proven", key)
    assert "1 proven, 0 adopted, 0 failed" in answer.err


def test_quiet_says_nothing(command: Command, world: World) -> None:
    """Only the answer."""
    world.add(0)
    answer = command("verify", "latest", "--quiet")
    assert (answer.code, answer.err) == (0, "")


def test_all_goes_on_after_one_that_is_wrong(command: Command, world: World) -> None:
    """The exit code is the failed one's; its row says why, and that one must not restore from it."""
    bad, good = world.add(0), world.add(1)
    flip(world.target / bad, -20)
    answer = command("verify", "--all")
    assert answer.code == 6
    first, second = answer.out.splitlines()[1:]
    assert (first.split()[0], first.split()[-1]) == ("Proven", good)
    assert second.startswith("Failed")
    assert f"prove file://{world.target}/{bad}: " in second
    assert "do not restore from it" in second
    assert "1 proven, 0 adopted, 1 failed" in answer.err


def test_what_is_not_what_its_receipt_says(command: Command, world: World) -> None:
    """A whole snapshot under another's receipt is refused, too."""
    old, new = world.add(0), world.add(1)
    (world.target / new).write_bytes((world.target / old).read_bytes())
    answer = command("verify", "latest", "--output", "json")
    assert answer.code == 6
    (verdict,) = answer.json
    assert (verdict["verdict"], verdict["reason"], verdict["exitCode"]) == ("Failed", "StoredDiffers", 6)


def test_an_unproven_one_is_adopted(command: Command, world: World) -> None:
    """Its receipt is written, and it is an ordinary backup from then on."""
    world.add(0)
    key = world.add(1, proven=False)
    answer = command("verify", "--unproven", "--output", "json")
    assert (answer.code, [(v["key"], v["verdict"]) for v in answer.json]) == (0, [(key, "Adopted")])
    assert receipt_key(key) in world.files()
    assert command("show", key).code == 0
    assert command("verify", "--unproven", "--output", "json").json == []


def test_an_unproven_one_that_is_cut_off_is_not_adopted(command: Command, world: World) -> None:
    """No receipt for half a snapshot."""
    key = world.add(0, proven=False, body=b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
    answer = command("verify", "--unproven")
    assert answer.code == 6
    assert world.files() == {key}


def test_none_to_verify(command: Command) -> None:
    """That there was nothing is said."""
    answer = command("verify", "--all")
    assert answer.code == 0
    assert answer.err == "0 proven, 0 adopted, 0 failed\n"


def test_a_signal_leaves_the_verdicts_until_then(world: World) -> None:
    """Hours of reading are not lost by Ctrl-C."""
    keys = [world.add(day) for day in range(3)]
    store = MemoryStore()
    for key in world.files():
        store.create(key, (world.target / key).read_bytes())
    interrupted = InterruptedRunError("run", "ended by SIGINT")
    faulty = FaultyStore(store, [Fault("get", interrupted, key=keys[1])])
    clock = SystemClock()
    flow = VerifyFlow(
        "default", "prod", store=faulty, clock=clock, stop=Stop(clock), reporter=LogReporter(quiet=True)
    )
    verdicts, ended_by = collect_verdicts(flow, catalogue(store.list("default/prod"), "default/prod"))
    assert [verdict.key for verdict in verdicts] == [keys[2]]
    assert ended_by is interrupted
