"""The manager on Kubernetes with thousands of clusters, on a real API server, in one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from tests.harness.control_plane import ControlPlane, Part
from tests.harness.pod_fates import Succeeds
from tests.harness.process import wait_until
from tests.harness.stand_in_node import StandInNode

from bao_backup.adapters.kubernetes.names import CLUSTER
from bench.operator_clusters import USER, Clusters, Job, Place
from bench.operator_requests import Requests, in_words, succeeded
from bench.processes import Memory, Span, Spent, memory_of, processor_seconds
from bench.report import Row, Section, seconds
from bench.usage import ContenderError

START, PEAK, STARTED = 60, 300, 30
STATUS, JOB, TIME_TO_LIVE = "patch openbaoclusters/status", "create jobs", "patch jobs"
PATIENCE = 600.0
#: At rest is who uses less than so much of a processor.
AT_REST = 0.1

MEANING = """\
etcd, API server and controller manager are real, and run on the same processors; the pods of
runs are ended by a stand-in for the node, each after 30 s. Half of the clusters have a time zone and
a retention, and each of a thousand has a schedule of its own. Times are those of the API server's
audit log, the first from the start of the manager's process on; requests are what that log has of
the manager's account. There is no peer to compare with."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How many clusters there are, and how many are due at once.

    In seconds: how long rest is watched, and how long each run takes.
    """

    clusters: int
    due: int
    rest: float
    run: float

    @property
    def namespaces(self) -> int:
        """Each has a hundred clusters."""
        return max(self.clusters // 100, 3)


#: Within 5 minutes each cluster is looked at, and each watch begun anew.
LARGE = Scale(clusters=10_000, due=1_000, rest=300, run=30)
#: For the test that the program runs.
SMALL = Scale(clusters=60, due=20, rest=5, run=1)


def operator(folder: Path, scale: Scale, say: Callable[[str], None]) -> Section:
    """Start, restart, rest, and many slots in one minute."""
    plane = ControlPlane(folder / "plane", parts=(Part.CONTROLLER_MANAGER,), audit=True)
    with plane, StandInNode(plane, default=Succeeds(after=scale.run), quick=True):
        return _Round(plane, folder / "manager.log", scale, say).section()


class _Round:
    """One run of it all; rows and notes gather as it goes on."""

    def __init__(self, plane: ControlPlane, log: Path, scale: Scale, say: Callable[[str], None]) -> None:
        assert plane.audit_log is not None
        self._plane = plane
        self._scale = scale
        self._say = say
        self._clusters = Clusters(plane, scale.clusters, scale.namespaces)
        self._clusters.install()
        self._requests = Requests(plane.audit_log, USER)
        self._operator = self._clusters.operator(log)
        self._servers = {"API server": plane.api_server.pid, "etcd": plane.etcd.pid}
        self._peaks: list[Memory] = []
        self.rows: list[Row] = []
        self.notes: list[str] = []

    def section(self) -> Section:
        """All of it."""
        self._say(f"creating {self._scale.clusters:,} clusters")
        self._clusters.create(_not_soon)
        time.sleep(5)  # what the API server still does with them is not the manager's
        try:
            self._start()
            self._restart()
            self._rest()
            self._slots()
            self._note_memory()
        finally:
            if self._operator.running:
                self._operator.kill()
        self._operator.check_log()
        self._memory_and_errors()
        title = f"The manager on Kubernetes, with {self._scale.clusters:,} clusters"
        return Section(title, MEANING, self.rows, self.notes)

    # --- the parts of it -----------------------------------------------------------------------

    def _start(self) -> None:
        """From nothing to a right status of each cluster."""
        span, mark, begun = self._span(started=False), len(self._requests), datetime.now(UTC)
        self._operator.start(wait=False)
        patches = self._requests.wait_for(STATUS, self._scale.clusters, mark, PATIENCE)
        self._until_at_rest()
        spent = span.end({"manager": self._pid})
        wrong = [place for place, cluster in self._clusters.all().items() if not cluster.is_right]
        if wrong:
            raise ContenderError(f"{len(wrong)} statuses are not right, as that of {wrong[0]}")
        taken = (patches[-1].stage_timestamp - begun).total_seconds()
        self._row("start to all statuses right", seconds(taken), taken, START, " s")
        self._spent("start, to rest", spent)
        more = len(patches) / self._scale.clusters
        self._row("writes of a status, each cluster", f"{more:.2f}", more, 1, " writes")
        memory = memory_of(self._pid)
        self._say(f"start: {taken:.1f} s; memory {memory.now / 1e6:.0f} MB, peak {memory.peak / 1e6:.0f} MB")
        self._note_memory()

    def _restart(self) -> None:
        """With nothing to do: it lists and watches, and writes nothing."""
        self._operator.stop()
        span, mark, begun = self._span(started=False), len(self._requests), time.monotonic()
        self._operator.start()
        ready = time.monotonic() - begun
        settled = self._until_at_rest() - begun
        spent = span.end({"manager": self._pid})
        asked = self._requests.read(mark)
        self._row("restart with nothing to do, to ready", seconds(ready), ready, None, " s")
        self._row("restart with nothing to do, to rest", seconds(settled), settled, None, " s")
        self._spent("restart, to rest", spent)
        writes = [each for each in asked if not each.is_quiet and each.verb not in ("list", "get")]
        self._row("restart: writes but for the Lease", str(len(writes)), len(writes), 0, " writes")
        self.notes.append(f"Requests of the restart: {in_words(asked)}.")

    def _rest(self) -> None:
        """Nothing is due."""
        self._say(f"at rest for {self._scale.rest:g} s")
        span, mark = self._span(), len(self._requests)
        time.sleep(self._scale.rest)
        asked, spent = self._requests.read(mark), span.end()
        loud = [each for each in asked if not each.is_quiet]
        what = f"at rest for {self._scale.rest:g} s"
        text = str(len(loud))
        self._row(f"{what}: requests but watches and the Lease", text, len(loud), 0, " requests")
        share = spent.processor["manager"] / self._scale.rest
        self._row(f"{what}: processor of the manager", f"{share:.1%}", share * 100, None, " %")
        self.notes.append(f"Requests at rest: {in_words(asked)}.")

    def _slots(self) -> None:
        """Many slots in one minute."""
        due = self._due_places()
        mark = len(self._requests)
        slot = _minute_after(datetime.now(UTC) + timedelta(seconds=15 + len(due) / 25))
        self._say(f"{len(due):,} clusters are due at {slot:%H:%M:%S}")
        self._clusters.set_schedule(due, f"{slot.minute} {slot.hour} * * *")
        self._requests.wait_for(STATUS, len(due), mark, PATIENCE)
        if datetime.now(UTC) >= slot:
            raise ContenderError("this machine was too slow: the slot came before its schedule was seen")
        self._until_at_rest()
        time.sleep(max((slot - datetime.now(UTC)).total_seconds() - 1, 0))
        span, mark = self._span(), len(self._requests)
        started = self._requests.wait_for(JOB, len(due), mark, PATIENCE)
        spent = span.end()
        self._requests.wait_for(TIME_TO_LIVE, len(due), mark, PATIENCE)
        wait_until("all results to be in status", lambda: self._all_backed_up(due, slot), seconds=PATIENCE)
        spent_in_all = span.end()
        folded = list(succeeded(self._requests.read(mark), STATUS))[-1]
        taken = (started[-1].stage_timestamp - slot).total_seconds()
        what = f"{len(due):,} slots in one minute"
        self._row(f"{what}: slot to the last start", seconds(taken), taken, STARTED, " s")
        ended = (folded.stage_timestamp - slot).total_seconds()
        self._row(f"{what}: slot to the last result in status", seconds(ended), ended, None, " s")
        self._spent("slots, to the last start", spent)
        self._spent("slots, to the last result", spent_in_all)
        time.sleep(5)  # one that came twice would come late
        self._count_jobs(due)
        per_run = len(self._requests.read(mark)) / len(due)
        self._row("requests for each run, from start to result", f"{per_run:.1f}", per_run, None, " requests")

    def _count_jobs(self, due: list[Place]) -> None:
        found = Counter(_cluster_of(job) for job in self._clusters.jobs())
        lost, twice = len(set(due) - set(found)), sum(count > 1 for count in found.values())
        self._row("slots lost", str(lost), lost, 0, " slots")
        self._row("slots started twice", str(twice), twice, 0, " slots")
        if others := set(found) - set(due):
            raise ContenderError(f"{len(others)} runs of clusters that were not due")

    def _memory_and_errors(self) -> None:
        peak = max(memory.peak for memory in self._peaks) / 1e6
        self._row("peak memory", f"{peak:.0f} MB", peak, PEAK, " MB")
        for what, memory in zip(("after the start", "at the end"), self._peaks, strict=True):
            self._row(f"memory {what}", f"{memory.now / 1e6:.0f} MB", memory.now / 1e6, None, " MB")
        warnings = [line for line in self._operator.lines() if line["level"] != "info"]
        self._row("errors and warnings in the log", str(len(warnings)), len(warnings), 0, " lines")
        if warnings:
            self.notes.append(f"The first warning: {warnings[0]['message']}")

    # --- how it is done ------------------------------------------------------------------------

    @property
    def _pid(self) -> int:
        return self._operator._process.pid  # noqa: SLF001 - tests have no use for it

    def _span(self, *, started: bool = True) -> Span:
        return Span(self._servers | {"manager": self._pid if started else 0})

    def _until_at_rest(self) -> float:
        """Wait until the manager does nothing to speak of; answers since when, on the monotonic clock."""
        while True:
            before, at = processor_seconds(self._pid), time.monotonic()
            time.sleep(2)
            used = processor_seconds(self._pid) - before
            if self._operator.is_ready() and used < AT_REST * (time.monotonic() - at):
                return at

    def _due_places(self) -> list[Place]:
        places = self._clusters.places
        return places[:: len(places) // self._scale.due][: self._scale.due]

    def _all_backed_up(self, due: list[Place], slot: datetime) -> bool:
        clusters = self._clusters.all()
        return all(clusters[place].was_backed_up_at(slot) for place in due)

    def _note_memory(self) -> None:
        self._peaks.append(memory_of(self._pid))

    def _row(self, what: str, text: str, value: float, target: float | None, unit: str) -> None:
        self.rows.append(Row(what, text, "", value, target, unit))

    def _spent(self, what: str, spent: Spent) -> None:
        mine, servers = spent.processor["manager"], spent.of(self._servers)
        self._row(f"{what}: processor time of the manager", seconds(mine), mine, None, " s")
        self._row(f"{what}: processor time of API server and etcd", seconds(servers), servers, None, " s")
        self.notes.append(f"{what.capitalize()}: other programs kept {spent.others:.1f} processors busy.")


def _not_soon(number: int) -> str:
    """A time of day that does not come within the next hours, whichever of the time zones it is of."""
    hour = (datetime.now(UTC).hour + 4 + number // 60 % 17) % 24
    return f"{number % 60} {hour} * * *"


def _minute_after(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _cluster_of(job: Job) -> Place:
    return job.metadata.namespace, job.metadata.labels[CLUSTER]
