"""`python -m bench`: measure, print tables, and write the page where asked to."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.errors import HarnessError
from tests.harness.minio import Minio

from bench.cases import CASES, FULL, QUICK, Plan
from bench.contenders import Target
from bench.report import Section, document, machine, own_versions, section_text
from bench.stage import Stage
from bench.usage import ContenderError, processors_busy

BUCKET = "bench"


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen cases; the exit status is 1 when something could not be measured."""
    options = _options(arguments)
    plan = QUICK if options.quick else FULL
    if options.runs:
        plan = msgspec.structs.replace(plan, runs=options.runs)
    with tempfile.TemporaryDirectory(prefix="bao-backup-bench-") as name:
        try:
            sections = _measure(Path(name), options.archives or Path(name) / "archives", plan, options.cases)
        except (HarnessError, ContenderError, subprocess.CalledProcessError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    if options.write:
        flags = (["--quick"] if options.quick else []) + [f"--runs {plan.runs}"]
        how = " ".join(["python -m bench", *flags, *options.cases])
        options.write.write_text(document(sections, how, _versions()), encoding="utf-8")
    if options.json:
        options.json.write_bytes(msgspec.json.encode(sections))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    parser.add_argument("--runs", type=int, help=f"pairs of runs that count ({FULL.runs})")
    parser.add_argument("--archives", type=Path, help="folder that keeps prepared archives for the next time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page, as docs/benchmarks.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(CASES)}")
    return options


def _measure(folder: Path, archives: Path, plan: Plan, names: list[str]) -> list[Section]:
    authority = Authority(folder / "authority")
    sections = []
    print(machine(), flush=True)
    with Minio(folder / "minio", build.binary("minio", _say)) as minio:
        minio.root.make_bucket(BUCKET)
        stage = Stage(folder, archives, authority, Target(minio, BUCKET), build.binary("rclone", _say), _say)
        for name in names or CASES:
            busy = processors_busy(0.5 if plan is QUICK else 5)
            section = replace(CASES[name](stage, plan), busy=busy)
            sections.append(section)
            print(f"\n{section_text(section)}", flush=True)
    return sections


def _versions() -> list[str]:
    tools = [
        _first_line([str(build.binary("minio")), "--version"]),
        _first_line([str(build.binary("rclone")), "version"]),
        _first_line([shutil.which("curl") or "curl", "--version"]),
        _first_line([str(build.binary("vault")), "version"]),
    ]
    return [f"Ours: {own_versions()}", f"Others: {'; '.join(tools)}"]


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].partition(" (")[0]


def _say(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
