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
from bench.places import AT_ONCE, PART, Container, Folder, GoogleBucket, Place
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


def stores(stage: Stage, plan: Plan) -> Section:
    """One archive into each store."""
    archive = stage.archive(Shape(plan.stores, 64 * KIB, 6))
    rows: list[Row] = []
    with stage.replay(archive) as server, _places(stage) as places:
        source = stage.source(server)
        for place in places:
            stage.against_rclone(source, archive.size, place)  # warms caches up, and does not count
            count = min(plan.runs, PAIRS)
            pairs = [stage.against_rclone(source, archive.size, place) for _ in range(count)]
            what = f"{size_in_words(plan.stores)} into {place.name}"
            rows += compared(what, pairs)
            if place.pid:
                rows.append(timed(f"{what}: processor time of the server", pairs, usage.server))
            stage.say(what)
    parts = (
        f"Medians of {min(plan.runs, PAIRS)} pairs. MinIO and Azurite: parts of {PART} MiB, {AT_ONCE} at once"
    )
    google = "Google's uploads take parts one after the other: of ours 10 MiB each, of rclone 16 MiB"
    notes = (f"{parts}, for both. {google}.",)
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
