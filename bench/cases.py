"""What is measured: each case gives a section of the report."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from tests.harness import build
from tests.harness.vault import VaultCluster

from bao_backup.core.connection import AuthMethod, BaoAuth
from bench import usage
from bench.archives import Shape
from bench.catalogue import Catalogue
from bench.comparison import PEAK_LIMIT, compared
from bench.contenders import Source, python_alone
from bench.places import AT_ONCE, PART
from bench.plan import GIB, MIB, Plan
from bench.report import Row, Section, mebibytes, seconds, size_in_words
from bench.restoring import restore
from bench.stage import Stage
from bench.stores import stores
from bench.usage import median, ratio
from bench.verifying import verify

#: Pairs of runs that prune, at most.
PRUNINGS = 3

REPLAY = """\
A snapshot archive is sent over TLS by a server that does nothing else, and goes into MinIO over
plain HTTP. Ours finds the leader, logs in, verifies every checksum inside the archive and takes an
inventory before it completes the upload, asks the store for what it has, writes a receipt and
revokes its login. The peer, `curl | rclone rcat`, copies bytes. Packed archives are compressed as
servers do it: values of 64 KiB stay as they are; among values of 1 KiB the keys are packed, and
unpacking these costs zlib more than all the rest. Not packed ones show what the inventory alone
costs."""
MEMORY = "Peak memory of one run, by the size of the snapshot: it must not grow with it."
SERVER = """\
A snapshot of a real Vault goes into MinIO, and into a folder; `curl -o /dev/null` reads the same and
throws it away. The server compresses while it sends, and is the slower side where it has processors
of its own: what ours adds then is the start, the login and the end of the upload. Here Vault, MinIO
and ours share the same ones, so what MinIO takes counts, too."""
START = """\
How long the executor takes from its start until its first request to the server has arrived there,
after the handshake of TLS and what it asks the store before."""

CATALOGUE = """\
Each backup is two objects in MinIO: a body of 1 KiB and a receipt of 1.5 KiB. Ours lists a cluster
with `list --target URL --output json`, without any document; the peer with `rclone lsf --recursive
--fast-list --format ps`, the same objects. Then ours drops half of the backups with `prune
--max-count`: it lists all, reads each receipt that it is going to delete, so that it could write it
back, and deletes receipts first, bodies second. The peer, `rclone delete`, lists and deletes as many
objects of a folder of its own."""

Case = Callable[[Stage, Plan], Section]


def replay(stage: Stage, plan: Plan) -> Section:
    """A snapshot replayed over TLS into S3, against `curl | rclone rcat`."""
    rows: list[Row] = []
    for entry, bound in ((64 << 10, True), (1 << 10, False)):
        for level, packed in ((6, "packed"), (0, "not packed")):
            archive = stage.archive(Shape(plan.replay, entry, level))
            with stage.replay(archive) as server:
                source = stage.source(server)
                stage.against_rclone(source, archive.size)  # warms caches up, and does not count
                pairs = [stage.against_rclone(source, archive.size) for _ in range(plan.runs)]
            what = f"{size_in_words(plan.replay)}, entries of {size_in_words(entry)}, {packed}"
            rows += compared(
                what, pairs, wall_target=0.65 if bound else None, processor_target=0.5 if bound else None
            )
            stage.say(what)
    notes = (
        (
            f"Both upload parts of {PART} MiB, {AT_ONCE} at once (`--s3-chunk-size {PART}M "
            f"--s3-upload-concurrency {AT_ONCE} --s3-no-check-bucket`); all else of rclone is as it comes."
        ),
        "The replay server and MinIO run on the same processors, for both alike.",
    )
    return Section("Replayed over TLS into S3", REPLAY, rows, notes)


def memory(stage: Stage, plan: Plan) -> Section:
    """Peak memory at several sizes."""
    rows = []
    peaks = []
    for size in plan.memory:
        archive = stage.archive(Shape(size, 64 << 10, 0))
        with stage.replay(archive) as server:
            peak = stage.back_up(stage.source(server), archive.size).peak
        peaks.append(peak)
        if size > GIB:
            archive.file.unlink()
        rows.append(Row(size_in_words(size), mebibytes(peak), "", peak / MIB, PEAK_LIMIT, " MiB"))
        stage.say(f"memory at {size_in_words(size)}")
    first, last = (size_in_words(plan.memory[index]) for index in (0, -1))
    rows.append(
        Row(f"growth from {first} to {last}", mebibytes(peaks[-1] - peaks[0]), "", peaks[-1] / peaks[0])
    )
    return Section("Memory", MEMORY, rows)


def server(stage: Stage, plan: Plan) -> Section:
    """From a real server, against curl that throws everything away."""
    with VaultCluster(
        stage.folder / "vault", build.binary("vault", stage.say), authority=stage.authority
    ) as vault:
        stage.say(f"writing {size_in_words(plan.server)} into Vault")
        vault.fill(plan.server)
        token = stage.folder / "login" / "token"
        token.write_text(vault.root_token, encoding="ascii")
        auth = BaoAuth(method=AuthMethod.TOKEN, token_file=str(token))
        header = stage.header_file(vault.root_token)
        source = Source(vault.addresses[0], stage.authority.ca_file, header, auth)
        stage.against_curl(source)
        rounds = [stage.against_curl(source) for _ in range(plan.runs)]
    what = f"{size_in_words(plan.server)} in entries of 512 KiB"
    rows = [
        Row(
            f"{what}, into {place}: wall time",
            seconds(median([pair.ours for pair in pairs], usage.wall)),
            seconds(median([pair.peer for pair in pairs], usage.wall)),
            ratio(pairs, usage.wall),
            1.05,
        )
        for place, pairs in zip(("MinIO", "a folder"), zip(*rounds, strict=True), strict=True)
    ]
    return Section("From a real server", SERVER, rows)


def start(stage: Stage, plan: Plan) -> Section:
    """From exec to the first request."""
    archive = stage.archive(Shape(MIB, 64 << 10, 6))
    starts, bare = [], []
    with stage.replay(archive) as replayed:
        source = stage.source(replayed)
        for _ in range(plan.starts + 1):
            begun = stage.back_up(source, archive.size).begun
            starts.append((replayed.first_request_after(begun) - begun) / 1e9)
            bare.append(stage.run(python_alone()).wall)
    value, least = statistics.median(starts[1:]), statistics.median(bare[1:])
    rows = [
        Row("exec to the first request", seconds(value), "", value * 1000, 150, " ms"),
        Row("the least of all starts", seconds(min(starts)), "", min(starts) * 1000, None, " ms"),
        Row("beside `python -c pass`, exec to exit", seconds(value), seconds(least), value / least),
    ]
    return Section("Start", START, rows)


def catalogue(stage: Stage, plan: Plan) -> Section:
    """Listing and pruning many backups, against rclone on as many objects."""
    bucket = Catalogue(stage, plan.backups)
    stage.say(f"writing {plan.backups:,} backups into MinIO")
    bucket.fill("ours", range(plan.backups))
    bucket.list_all()
    listed = [bucket.list_all() for _ in range(plan.runs)]
    stage.say("listed")
    # A pair takes most of its time to put back what it deleted: the first counts, too.
    pruned = [bucket.prune_half() for _ in range(min(plan.runs, PRUNINGS))]
    rows = [
        *compared(f"{plan.backups:,} backups listed", listed),
        *compared(f"{plan.backups // 2:,} backups dropped of {plan.backups:,}", pruned),
    ]
    requests = -(-2 * plan.backups // 1000)
    notes = (f"Medians of {len(listed)} and {len(pruned)} pairs of runs; a list is {requests} requests.",)
    return Section(f"The catalogue, with {plan.backups:,} backups", CATALOGUE, rows, notes)


CASES: dict[str, Case] = {
    "replay": replay,
    "memory": memory,
    "server": server,
    "start": start,
    "catalogue": catalogue,
    "stores": stores,
    "verify": verify,
    "restore": restore,
}
