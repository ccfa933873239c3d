"""`python -m bench`: measure, print tables, and write the page where asked to."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.errors import HarnessError
from tests.harness.minio import Minio

from bench.cases import CASES
from bench.operator_scale import LARGE, SMALL, Scale, operator
from bench.places import Bucket
from bench.plan import FULL, QUICK, Plan
from bench.report import Section, document, machine, own_versions, section_text
from bench.stage import Stage
from bench.usage import ContenderError, processors_busy

BUCKET = "bench"
#: The case that needs Kubernetes, and none of the others' servers.
OPERATOR = "operator"
NAMES = (*CASES, OPERATOR)


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen cases; the exit status is 1 when something could not be measured."""
    options = _options(arguments)
    plan = QUICK if options.quick else FULL
    if options.runs:
        plan = msgspec.structs.replace(plan, runs=options.runs)
    names = options.cases or NAMES
    with tempfile.TemporaryDirectory(prefix="bao-backup-bench-") as name:
        try:
            print(machine(), flush=True)
            copying = [each for each in names if each != OPERATOR]
            archives = options.archives or Path(name) / "archives"
            sections = _measure(Path(name), archives, plan, copying) if copying else []
            if OPERATOR in names:
                sections.append(_shown(lambda: operator(Path(name), _scale(options), _say), plan))
        except (HarnessError, ContenderError, subprocess.CalledProcessError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    if options.write:
        flags = (["--quick"] if options.quick else []) + (
            [f"--runs {plan.runs}"] if set(names) & set(CASES) else []
        )
        sizes = [
            f"--{each} {getattr(options, each)}" for each in ("clusters", "due") if getattr(options, each)
        ]
        how = " ".join(["python -m bench", *flags, *sizes, *options.cases])
        options.write.write_text(document(sections, how, _versions(names)), encoding="utf-8")
    if options.json:
        options.json.write_bytes(msgspec.json.encode(sections))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    parser.add_argument("--runs", type=int, help=f"pairs of runs that count ({FULL.runs})")
    parser.add_argument("--clusters", type=int, help=f"of the case operator ({LARGE.clusters:,})")
    parser.add_argument("--due", type=int, help="how many of them are due at once (1 of 10)")
    parser.add_argument("--archives", type=Path, help="folder that keeps prepared archives for the next time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page, as docs/benchmarks.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.cases if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return options


def _measure(folder: Path, archives: Path, plan: Plan, names: list[str]) -> list[Section]:
    authority = Authority(folder / "authority")
    with Minio(folder / "minio", build.binary("minio", _say)) as minio:
        minio.root.make_bucket(BUCKET)
        stage = Stage(folder, archives, authority, Bucket(minio, BUCKET), build.binary("rclone", _say), _say)
        return [_shown(partial(CASES[name], stage, plan), plan) for name in names]


def _shown(case: Callable[[], Section], plan: Plan) -> Section:
    """What the case measured, printed; and how busy the machine was before."""
    busy = processors_busy(0.5 if plan is QUICK else 5)
    section = replace(case(), busy=busy)
    print(f"\n{section_text(section)}", flush=True)
    return section


def _scale(options: argparse.Namespace) -> Scale:
    scale = SMALL if options.quick else LARGE
    clusters = options.clusters or scale.clusters
    due = options.due or (clusters // 10 if options.clusters else scale.due)
    return msgspec.structs.replace(scale, clusters=clusters, due=due)


def _versions(names: Sequence[str]) -> list[str]:
    tools = []
    if any(name in CASES for name in names):
        tools += [
            [str(build.binary("minio")), "--version"],
            [str(build.binary("rclone")), "version"],
            [shutil.which("curl") or "curl", "--version"],
            [str(build.binary("vault")), "version"],
        ]
    if OPERATOR in names:
        tools += [
            [str(build.binary("kube-apiserver")), "--version"],
            [str(build.binary("etcd")), "--version"],
        ]
    return [f"Ours: {own_versions()}", f"Others: {'; '.join(map(_first_line, tools))}"]


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].partition(" (")[0]


def _say(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
