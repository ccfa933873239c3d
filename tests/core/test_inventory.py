"""The inventory: counts by area, seal, key term and version, and never a part of a key."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.archives import GENUINE, MOUNT, cut, prove, state_of

from bao_backup.core.archive_writer import Record, varint
from bao_backup.core.areas import AREA_LIMIT
from bao_backup.core.inventory import InventoryReader, version_order
from bao_backup.core.model import Area, Inventory, Seal

UUID = "c0f7965e-fdd8-6df8-c8fa-9a5380de59ba"


def read(state: bytes, *sizes: int) -> Inventory:
    """The inventory of a `state.bin` fed in pieces of these sizes, and the rest at once."""
    reader = InventoryReader()
    for piece in cut(state, sizes):
        reader.feed(piece)
    return reader.finish()


def of(*records: Record) -> Inventory:
    """The inventory of these records."""
    return read(state_of(records))


def encrypted(term: int, version: int = 2, size: int = 28) -> bytes:
    """A value in the barrier's form."""
    return struct.pack(">IB", term, version) + bytes(size)


def test_genuine() -> None:
    """The genuine snapshot's inventory has what its server was given."""
    inventory = prove(GENUINE.read_bytes()).inventory
    assert inventory == Inventory(
        entries=95,
        size=36630,
        areas=(
            Area(name="auth/bff3ea64-111c-354c-282f-78f6f19969f7", entries=5, size=1709),
            Area(name="auth/c2508843-4a7b-b99f-ac5f-7d76a814bc01", entries=1, size=485),
            Area(name="core", entries=24, size=9031),
            Area(name="logical/26df1b52-36a9-5ff4-5322-06a794f5067e", entries=5, size=1586),
            Area(name=f"logical/{UUID}", entries=44, size=12838),
            Area(name="sys/expire/id", entries=3, size=3831),
            Area(name="sys/policy", entries=3, size=3381),
            Area(name="sys/token", entries=1, size=88),
            Area(name="sys/token/accessor", entries=4, size=816),
            Area(name="sys/token/id", entries=4, size=2677),
            Area(name="sys/token/parent", entries=1, size=188),
        ),
        seal=Seal(type="shamir", shares=1, threshold=1),
        barrier_term=1,
        server_version="2.0.0",
        complete=True,
    )


@pytest.mark.parametrize(
    ("key", "area"),
    [
        (f"logical/{UUID}/a/b", f"logical/{UUID}"),
        (f"auth/{UUID}/role/x", f"auth/{UUID}"),
        (f"audit/{UUID}/salt", f"audit/{UUID}"),
        (f"namespaces/{UUID}/logical/{UUID}/x", f"namespaces/{UUID}"),
        ("sys/expire/id/auth/token/create/h1", "sys/expire/id"),
        ("sys/expire/token/h1", "sys/expire"),
        ("sys/token/id/h1", "sys/token/id"),
        ("sys/token/salt", "sys/token"),
        ("sys/policy/default", "sys/policy"),
        ("sys/quotas/rate-limit/x", "sys/quotas"),
        ("sys/what-comes/next", "sys"),
        ("core/mounts/x", "core"),
        (f"logical/{UUID}", "other"),
        (f"logical/{UUID.upper()}/x", "other"),
        (f"logical/{UUID}0/x", "other"),
        (f"logical/{UUID[:-1]}/x", "other"),
        (f"secret/{UUID}/x", "other"),
        ("logical/my-password/x", "other"),
        ("sys", "other"),
        ("corex/y", "other"),
        ("\0", "other"),
    ],
)
def test_area(key: str, area: str) -> None:
    """An area is of the fixed vocabulary, or a mount by a UUID of exact form; the rest is "other"."""
    state = state_of([(key.encode(), b"v")])
    assert read(state).areas == (Area(name=area, entries=1, size=len(state)),)


def test_bytes_behind_a_key() -> None:
    """What follows a key in the stream is not taken for its end: here a length that is a slash."""
    last = (b"k" * 40, b"123")
    state = state_of([(b"sys/policy/a", b"v"), (b"sys/policy", b""), last])
    assert state_of([last])[:1] == b"/"
    inventory = read(state)
    assert [(area.name, area.entries) for area in inventory.areas] == [
        ("other", 1),
        ("sys", 1),
        ("sys/policy", 1),
    ]
    assert read(state, *[1] * len(state)) == inventory


def test_many_mounts() -> None:
    """Beyond the limit of areas, mounts are counted as "other", and nothing is lost."""
    count = AREA_LIMIT + 500
    mounts = [(b"logical/%08x-0000-0000-0000-000000000000/k" % i, b"") for i in range(count)]
    inventory = of(*mounts, *mounts[:10], (b"sys/policy/x", b""))
    assert len(inventory.areas) == AREA_LIMIT + 1
    assert inventory.areas[-1] == Area(
        name="other", entries=501, size=501 * 49 - 49 + len(state_of([(b"sys/policy/x", b"")]))
    )
    assert inventory.areas[0].entries == 2
    assert inventory.entries == count + 11


@pytest.mark.parametrize(
    ("values", "term"),
    [
        ([], 0),
        ([encrypted(1)], 1),
        ([encrypted(3), encrypted(258), encrypted(2)], 258),
        ([encrypted(5, version=1)], 5),
        ([encrypted(5, version=3)], 0),
        ([encrypted(5, size=27)], 0),
        ([encrypted(2), b"\x0aLbC\2" + bytes(40)], 2),
        ([b'{"type":"shamir"}' + bytes(40)], 0),
    ],
)
def test_barrier_term(values: list[bytes], term: int) -> None:
    """The barrier's term is the highest of the values that have the barrier's form."""
    assert of(*((MOUNT + b"%d" % i, value) for i, value in enumerate(values))).barrier_term == term


@pytest.mark.parametrize(
    ("config", "seal"),
    [
        (
            b'{"type":"shamir","secret_shares":5,"secret_threshold":3}',
            Seal(type="shamir", shares=5, threshold=3),
        ),
        (
            b'{"type":"awskms","secret_shares":1,"secret_threshold":1,"new":[{}]}',
            Seal(type="awskms", shares=1, threshold=1),
        ),
        (b'{"type":"shamir","secret_shares":"5","secret_threshold":3}', None),
        (b'{"type":"shamir","secret_shares":256,"secret_threshold":3}', None),
        (b'{"type":"","secret_shares":5,"secret_threshold":3}', None),
        (b'{"type":"%s","secret_shares":5,"secret_threshold":3}' % (b"x" * 65), None),
        (b'{"secret_shares":5,"secret_threshold":3}', None),
        (b'{"new":' + b"[" * 16_000, None),
        (b'{"type":"shamir","secret_shares":5,"secret_threshold":3}'.ljust(16_385), None),
        (b"\xff", None),
        (b"", None),
        (encrypted(1), None),
    ],
)
def test_seal(config: bytes, seal: Seal | None) -> None:
    """The seal is read from its plain record, in pieces of any size; what is not known is left out."""
    state = state_of([(b"core/seal-config", config), (b"core/x", b"")])
    inventory = read(state)
    assert (inventory.seal, inventory.complete) == (seal, True)
    assert read(state, *[1] * len(state)) == inventory


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        ([], ""),
        (["1.9.0", "1.21.2", "1.3.10"], "1.21.2"),
        (["2.4.4", "2.10.0", "2.9.9"], "2.10.0"),
        (["2.0.0-rc1", "2.0.0", "2.0.0-beta2"], "2.0.0"),
        (["2.0.0-rc9", "2.0.0-rc10"], "2.0.0-rc9"),
        (["2.0.0-rc.9", "2.0.0-rc.10"], "2.0.0-rc.10"),
        (["1.2.3+ent", "1.2.2"], "1.2.3+ent"),
        (["my-password", "1.2", "v1.2.3", "1.2.3/x", "1.2.3\n", "9" * 90], ""),
    ],
)
def test_server_version(versions: list[str], newest: str) -> None:
    """The server's version is the newest by number, never what is no version."""
    assert of(*((f"core/versions/{v}".encode(), encrypted(1)) for v in versions)).server_version == newest
    assert of(*((f"core/versions/{v}".encode(), b"") for v in reversed(versions))).server_version == newest


def test_version_order() -> None:
    """Versions sort as semver.org lists them."""
    listed = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
    ]
    listed += ["1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "2.0.0"]
    assert all(version_order(older) < version_order(newer) for older, newer in pairwise(listed))


GOOD = state_of([(MOUNT + b"a", b"v")])


@pytest.mark.parametrize(
    ("state", "entries"),
    [
        (GOOD + b"no records", 1),
        (GOOD + GOOD[:-1], 1),
        (GOOD + state_of([(MOUNT, bytes(100))])[:-1], 2),
        (GOOD + GOOD[:20], 1),
        (GOOD + b"\0", 1),
        (GOOD + GOOD + b"\x02\x0a\x00" + GOOD, 2),
        (b"\x04\x0a\x05ab", 0),
        (b"\x06\x0a\x01a\x12\x05b", 0),
        (varint(40_000) + b"\x0a" + varint(32_769) + bytes(40_000), 0),
        (b"\xff" * 5 + b"\x01", 0),
        (varint(1 << 31), 0),
        (b"\x07\x12\x01v\x0a\x01k", 0),
    ],
    ids=[
        "something else",
        "no value yet",
        "a value cut off",
        "a key cut off",
        "an empty record",
        "an empty key",
        "a key beyond its record",
        "a value beyond its record",
        "a key longer than the server's storage takes",
        "a length without end",
        "a record longer than the server reads",
        "another field first",
    ],
)
def test_not_complete(state: bytes, entries: int) -> None:
    """What is not records is no error: the inventory says that it is not complete, however it is cut."""
    inventory = read(state)
    assert (inventory.complete, inventory.entries, inventory.size) == (False, entries, len(state))
    assert read(state, *[1] * min(len(state), 50_000)) == inventory


def test_later_fields() -> None:
    """A field that a later server adds behind the value does no harm."""
    body = b"\x0a\x04core\x12\x01v\x18\x01"
    state = varint(len(body)) + body
    inventory = read(state + GOOD)
    assert (inventory.complete, inventory.entries) == (True, 2)


def test_large_value() -> None:
    """A value of many pieces is passed over, and the record after it is found."""
    state = state_of([(MOUNT + b"a", bytes(3_000_000)), (MOUNT + b"b", b"")])
    inventory = read(state, *[65_536] * 40)
    assert (inventory.entries, inventory.size, inventory.complete) == (2, len(state), True)
    assert sum(area.size for area in inventory.areas) == len(state)


@given(
    state=st.one_of(
        st.binary(max_size=300),
        st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), max_size=20).map(
            state_of
        ),
        st.binary(max_size=40).map(lambda junk: GOOD * 3 + junk + GOOD),
    ),
    sizes=st.lists(st.integers(0, 200), max_size=40),
)
@settings(deadline=None)
def test_pieces(state: bytes, sizes: list[int]) -> None:
    """Any bytes in pieces of any sizes give one inventory, and its areas add up to what was read."""
    inventory = read(state, *sizes)
    assert inventory == read(state)
    assert sum(area.entries for area in inventory.areas) == inventory.entries
    counted = sum(area.size for area in inventory.areas)
    assert counted == inventory.size if inventory.complete else counted < inventory.size
