"""Proving a stored backup again, beside reading it and summing it up."""

from __future__ import annotations

from bench.archives import Shape
from bench.comparison import compared
from bench.contenders import ours, ours_on, rclone_to_sum
from bench.places import Place
from bench.plan import KIB, Plan
from bench.report import Row, Section, size_in_words
from bench.stage import KEY, Stage
from bench.usage import Pair

MEANING = """\
A backup (entries of 64 KiB, packed) is read again to its end. Ours, `bao-backup verify`, unpacks it, proves
the sums of all that is inside it, takes the inventory, and compares it with its receipt; the peer,
`rclone cat | sha256sum`, makes one sum over its bytes."""


def verify(stage: Stage, plan: Plan) -> Section:
    """From MinIO, and from a folder."""
    archive = stage.archive(Shape(plan.verify, 64 * KIB, 6))
    rows: list[Row] = []
    for place in (stage.target, stage.backups()):
        with stage.replay(archive) as server:
            stage.run(ours(stage.source(server), place, KEY))
        _pair(stage, place)  # warms caches up, and does not count
        pairs = [_pair(stage, place) for _ in range(plan.runs)]
        place.empty()
        what = f"{size_in_words(plan.verify)} from {place.name}"
        rows += compared(what, pairs)
        stage.say(what)
    return Section("Verifying", MEANING, rows)


def _pair(stage: Stage, place: Place) -> Pair:
    mine = ours_on(place, "verify", "--quiet", KEY.rpartition("/")[2])
    peer = rclone_to_sum(place, KEY, stage.rclone)
    return Pair(stage.run(mine), stage.run(peer))
