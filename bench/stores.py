"""A snapshot into each kind of store, beside rclone into the same server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import build
from tests.harness.azurite import Azurite
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey

from bench import usage
from bench.archives import Shape
from bench.comparison import compared, timed
from bench.places import AT_ONCE, GOOGLE_PART, PART, Container, Folder, GoogleBucket, Place
from bench.plan import KIB, Plan
from bench.report import Row, Section, size_in_words
from bench.stage import Stage

#: Pairs of runs into each store, at most: it is a gibibyte each time.
PAIRS = 3
BUCKET = "bench"

MEANING = """\
A snapshot archive (entries of 64 KiB, packed) is replayed over TLS, and goes into a server of each kind
over plain HTTP, or into a folder. Ours is `bao-backup backup`, with all its proofs, a receipt, and a look
at what is stored; the peer `curl | rclone rcat` with rclone's backend for that store. What the server of
the store itself takes is told, too: it shares the processors."""
PARTS = f"""\
MinIO and Azurite: parts of {PART} MiB, {AT_ONCE} at once, for both. Google takes an upload's parts one \
after the other: {GOOGLE_PART} MiB each, for both."""
GOOGLE = """\
fake-gcs-server sums up, with each part that comes, all that it has of the object so far. So it, and neither \
contender, sets the pace there; only processor time and memory say something of them."""


def stores(stage: Stage, plan: Plan) -> Section:
    """One archive into each store."""
    archive = stage.archive(Shape(plan.stores, 64 * KIB, 6))
    rows: list[Row] = []
    with stage.replay(archive) as server, _places(stage) as places:
        source = stage.source(server)
        for place in places:
            what = f"{size_in_words(plan.stores)} into {place.name}"
            # What fake-gcs-server takes grows with the square of the size: minutes at a gibibyte.
            count = 1 if isinstance(place, GoogleBucket) else min(plan.runs, PAIRS)
            if count > 1:
                stage.against_rclone(source, archive.size, place)  # warms caches up, and does not count
            pairs = [stage.against_rclone(source, archive.size, place) for _ in range(count)]
            rows += compared(what, pairs)
            if place.pid:
                rows.append(timed(f"{what}: processor time of the server", pairs, usage.server))
            stage.say(what)
    notes = (f"Medians of {min(plan.runs, PAIRS)} pairs, but one pair for fake-gcs-server.", PARTS, GOOGLE)
    return Section("To each store", MEANING, rows, notes)


@contextmanager
def _places(stage: Stage) -> Iterator[tuple[Place, ...]]:
    azurite, gcs = stage.folder / "azurite", stage.folder / "gcs"
    for folder in (azurite, gcs):
        folder.mkdir()
    key = gcs / "credentials.json"
    key.write_text(AccountKey().file, encoding="utf-8")
    with (
        FakeGcs(gcs, build.binary("fake-gcs-server", stage.say)) as google,
        Azurite(azurite, build.binary("azurite", stage.say) / build.AZURITE.program) as azure,
    ):
        google.make_bucket(BUCKET)
        azure.root.make_container(BUCKET)
        yield (
            stage.target,
            GoogleBucket(google, BUCKET, key),
            Container(azure, BUCKET),
            Folder(stage.folder / "backups"),
        )
