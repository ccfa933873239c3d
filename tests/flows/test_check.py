"""A check tries each part of a configuration, tells what to do, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from tests.flows.site import EARLIER, PREFIX, Site

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao
from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore, Method
from bao_backup.core.check import CheckReport, LineState, probe_keys
from bao_backup.core.check_store import FACTS, WantedOfStore
from bao_backup.core.errors import (
    ConfigurationError,
    InterruptedRunError,
    LeaderLostError,
    LoginError,
    ServerUntrustedError,
    StorageError,
)
from bao_backup.core.model import Stored
from bao_backup.core.naming import receipt_key
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.schedule import Schedule
from bao_backup.core.storage_errors import (
    BucketNotFoundError,
    ObjectLockedError,
    StorageClockError,
    StorageDeniedError,
    StorageFullError,
    StorageLoginError,
    StorageUnreachableError,
)
from bao_backup.flows.check import CheckFlow, CheckOrder
from bao_backup.flows.check_server import NAMES as OF_SERVER
from bao_backup.flows.check_store import BODY, OF_PROBE
from bao_backup.flows.check_store import NAMES as OF_STORE
from bao_backup.ports import Store

NUMBER = 7
KEY, STREAM = probe_keys(PREFIX, NUMBER)
ALL = (*OF_SERVER, *OF_STORE, "nextSlot")
P, F, N, S = LineState.PASSED, LineState.FAILED, LineState.NOT_PERMITTED, LineState.SKIPPED
DENIED = StorageDeniedError("do it", "denied", hint="allow it")
KEEPS_THREE = RetentionPolicy(max_count=3)


class Checked(Site):
    """A site, and a check of it."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster.now = self.clock.now
        self.cluster.capabilities = {"sys/storage/raft/snapshot": frozenset({"read"})}
        self.before = self.visible()

    def check_flow(
        self,
        store_faults: Iterable[Fault] = (),
        bao_faults: Iterable[BaoFault] = (),
        *,
        retention: RetentionPolicy | None = None,
        store: Store | None = None,
        configured_token: bool = False,
    ) -> CheckFlow:
        """A check that has not begun."""
        self.faulty = FaultyStore(store or self.store, store_faults)
        bao = MemoryBao(self.cluster, bao_faults)
        order = CheckOrder(
            namespace="default",
            name="prod",
            wanted=WantedOfStore(prefix=PREFIX, retention=retention),
            number=NUMBER,
            configured_token=configured_token,
            schedule=Schedule.parse("0 3 * * *"),
        )
        return CheckFlow(
            order,
            connect=lambda: bao,
            open_store=lambda: self.faulty,
            clock=self.clock,
            stop=self.stop,
            reporter=self.reporter,
        )

    def report(
        self, store_faults: Iterable[Fault] = (), bao_faults: Iterable[BaoFault] = (), **more: object
    ) -> CheckReport:
        """All lines of a check, which are always the same ones, in the same order."""
        report = self.check_flow(store_faults, bao_faults, **more).run()  # type: ignore[arg-type]
        assert tuple(line.name for line in report.lines) == ALL
        assert self.cluster.tokens == {}
        return report


def states(report: CheckReport) -> dict[str, LineState]:
    """Each line's, but for what a store in memory does not tell."""
    return {line.name: line.state for line in report.lines if line.name not in FACTS}


def not_passed(report: CheckReport) -> dict[str, LineState]:
    """The lines that did not pass."""
    return {name: state for name, state in states(report).items() if state is not P}


def test_all_is_well() -> None:
    """Each line passes; neither a probe nor a token is left, and no snapshot was taken."""
    site = Checked()
    report = site.report(retention=KEEPS_THREE)
    assert not_passed(report) == {}
    assert report.exit_code == 0
    assert site.visible() == site.before
    words = {line.name: line.words for line in report.lines}
    assert words["list"] == "1 backup there"
    assert words["nextSlot"] == "2026-11-22 03:00:00Z, in 59m 53s"
    assert words["versioning"].startswith("off")
    site.check()


# --- the server --------------------------------------------------------------------------------


def test_no_leader() -> None:
    """Without a leader nothing can be asked of the server; the store is tried nevertheless."""
    site = Checked()
    site.cluster.elect("")
    report = site.report()
    assert not_passed(report) == {"leader": F} | dict.fromkeys(OF_SERVER[1:], S)
    assert (report.exit_code, report.failed[0].reason) == (3, "NoLeader")


@pytest.mark.parametrize(
    ("fault", "expected", "exit_code"),
    [
        (
            BaoFault(method="find_leader", error=ServerUntrustedError("connect", "refused")),
            {"leader": F} | dict.fromkeys(OF_SERVER[1:], S),
            3,
        ),
        (BaoFault(method="server_time", error=LeaderLostError("ask", "gone")), {"serverClock": F}, 4),
        (
            BaoFault(method="login", error=LoginError("log in", "refused")),
            {"login": F, "snapshot": S, "revoke": S},
            2,
        ),
        (BaoFault(method="capabilities", error=LeaderLostError("ask", "gone")), {"snapshot": F}, 4),
    ],
)
def test_faults_of_the_server(fault: BaoFault, expected: dict[str, LineState], exit_code: int) -> None:
    """Each is its own line, with the error's exit code; what needs it is skipped, all else is tried."""
    report = Checked().report(bao_faults=[fault])
    assert not_passed(report) == expected
    assert report.exit_code == exit_code
    assert all(line.remedy for line in report.failed)


def test_a_token_that_stays() -> None:
    """That the token lives on until its time is over is no failure."""
    site = Checked()
    fault = BaoFault(method="revoke", error=LoginError("revoke", "403"))
    report = site.check_flow(bao_faults=[fault]).run()
    assert not_passed(report) == {"revoke": N}
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("capabilities", "state"), [(None, N), ({}, F), ({"sys/storage/raft/snapshot": frozenset({"root"})}, P)]
)
def test_what_the_login_may(capabilities: dict[str, frozenset[str]] | None, state: LineState) -> None:
    """The policy's line that is missing is the remedy."""
    site = Checked()
    site.cluster.capabilities = capabilities
    report = site.report()
    (line,) = (line for line in report.lines if line.name == "snapshot")
    assert line.state is state
    assert line.remedy


@pytest.mark.parametrize(
    ("configured", "known", "state"), [(False, False, N), (True, True, N), (True, False, F)]
)
def test_a_configured_token(configured: bool, known: bool, state: LineState) -> None:
    """One that the server does not know fails; one that may only not ask does not."""
    site = Checked()
    site.cluster.capabilities = None
    token = site.cluster.grant() if known else "token-of-nobody"
    bao = MemoryBao(site.cluster, token=token if configured else "")
    flow = site.check_flow(configured_token=configured)
    flow._server._connect = lambda: bao
    assert not_passed(flow.run()) == {"snapshot": state}


def test_the_servers_clock() -> None:
    """A clock that is off fails its own line alone; a server that tells no time is skipped."""
    site = Checked()
    site.cluster.now = lambda: site.clock.now() + timedelta(minutes=5)
    report = site.report()
    assert not_passed(report) == {"serverClock": F}
    assert report.failed[0].words.endswith("the server's clock is 5m ahead of this machine's")
    site.cluster.tells_time = False
    assert not_passed(site.report()) == {"serverClock": S}


def test_a_connection_that_cannot_be() -> None:
    """A CA file that is none is told as the leader's line."""
    site = Checked()
    flow = site.check_flow()

    def connect() -> MemoryBao:
        raise ConfigurationError("read the CA file", "it holds no certificate")

    flow._server._connect = connect
    report = flow.run()
    assert not_passed(report) == {"leader": F} | dict.fromkeys(OF_SERVER[1:], S)
    assert report.exit_code == 1


def test_nothing_names_a_server() -> None:
    """With a target alone the server's lines are skipped, and that is no failure."""
    site = Checked()
    flow = site.check_flow()
    flow._server._connect = None
    report = flow.run()
    assert not_passed(report) == dict.fromkeys(OF_SERVER, S)
    assert report.exit_code == 0


# --- the store ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        BucketNotFoundError("create", "there is none"),
        StorageLoginError("create", "wrong keys"),
        StorageUnreachableError("create", "refused"),
        StorageClockError("create", "20 min"),
    ],
)
def test_a_store_that_does_not_answer(error: Exception) -> None:
    """One line says it; the others would say it again, and are not tried."""
    site = Checked()
    report = site.report([Fault("create", error)])
    assert states(report)["write"] is F
    assert {line.name for line in report.lines if line.state is S} >= set(OF_STORE[1:])
    assert report.exit_code == 5
    assert site.faulty.calls == [("create", KEY), ("delete", KEY)]


def test_a_store_that_does_not_open() -> None:
    """Settings that cannot work are told as its first line."""
    site = Checked()
    flow = site.check_flow()

    def open_store() -> Store:
        raise ConfigurationError("open s3://", "spec.backup.target.bucket is empty")

    flow._store._open = open_store
    report = flow.run()
    assert (report.failed[0].name, report.exit_code) == ("write", 1)
    assert len(report.failed) == 1


@pytest.mark.parametrize(
    "error",
    [
        DENIED,
        StorageFullError("create", "no space"),
        StorageError("create", "501 NotImplemented: the store cannot do this"),
    ],
)
def test_a_store_that_takes_nothing(error: Exception) -> None:
    """It is listed and asked nevertheless; what needs the probe is skipped."""
    site = Checked()
    report = site.report([Fault("create", error)])
    skipped = dict.fromkeys((*OF_PROBE, "delete", "storeClock"), S)
    assert not_passed(report) == {"write": F} | skipped
    assert next(line for line in report.lines if line.name == "versioning").state is P
    assert site.visible() == site.before


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (Fault("create", DENIED, call=2), "createOnly"),
        (Fault("put", DENIED), "stream"),
        (Fault("head", DENIED), "describe"),
        (Fault("get", DENIED), "read"),
        (Fault("list", DENIED), "list"),
    ],
)
def test_a_right_that_is_missing(fault: Fault, name: str) -> None:
    """It fails its own line, with the remedy; all others are tried, and the probes are gone."""
    site = Checked()
    report = site.report([fault])
    assert not_passed(report) == {name: F}
    assert report.failed[0].remedy == "allow it"
    assert site.visible() == site.before


@pytest.mark.parametrize(
    ("error", "retention", "state"),
    [
        (DENIED, KEEPS_THREE, F),
        (DENIED, RetentionPolicy(), N),
        (DENIED, None, N),
        (ObjectLockedError("delete", "locked"), KEEPS_THREE, N),
        (StorageUnreachableError("delete", "gone"), None, F),
    ],
)
def test_no_deletion(error: Exception, retention: RetentionPolicy | None, state: LineState) -> None:
    """Who drops nothing need not delete; a lock is what somebody wanted; the remedy is there."""
    report = Checked().report([Fault("delete", error, times=9)], retention=retention)
    assert not_passed(report) == {"delete": state}
    (line,) = (line for line in report.lines if line.name == "delete")
    assert line.remedy


class Strange(MemoryStore):
    """A store that promises too much."""

    def __init__(self, what: str, site: Checked) -> None:
        super().__init__(now=site.clock.now)
        self._what = what

    def create(self, key: str, body: bytes) -> Stored:
        if self._what == "createOnly":
            self.delete(key)
        return super().create(key, body[:-1] if self._what == "describe" else body)

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        body = b"".join(chunks)
        return super().put(key, iter([body[::-1] if self._what == "read" else body]))

    def list(self, prefix: str) -> Iterable[Stored]:  # type: ignore[override]
        return iter([]) if self._what == "list" else super().list(prefix)

    def delete(self, key: str) -> None:
        if self._what != "delete":
            super().delete(key)


@pytest.mark.parametrize("what", ["createOnly", "describe", "read", "list", "delete"])
def test_a_store_that_only_says_so(what: str) -> None:
    """What it promises and does not keep fails the line that needs it."""
    site = Checked()
    report = site.report(store=Strange(what, site))
    assert what in not_passed(report)
    assert set(not_passed(report)) <= {what, "read"}
    assert all(line.remedy for line in report.failed)


@pytest.mark.parametrize(("minutes", "state"), [(0, P), (0.9, P), (5, F), (-5, F)])
def test_the_stores_clock(minutes: float, state: LineState) -> None:
    """It is read from the probe, in whichever direction it is off."""
    site = Checked()
    store = MemoryStore(now=lambda: site.clock.now() + timedelta(minutes=minutes))
    report = site.report(store=store)
    assert states(report)["storeClock"] is state


def test_a_store_that_does_not_describe_itself() -> None:
    """Where it fails to, that is the first of these lines, and the others are skipped."""
    report = Checked().report([Fault("describe", StorageUnreachableError("look", "gone"))])
    told = {line.name: line.state for line in report.lines if line.name in FACTS}
    assert told == {FACTS[0]: F} | dict.fromkeys(FACTS[1:], S)


# --- what is left ------------------------------------------------------------------------------


def test_probes_of_killed_checks_are_removed() -> None:
    """Those that are old; one of a check under way stays, and so does all that is no probe."""
    site = Checked()
    foreign = f"{PREFIX}/.bao-backup-check-notes"
    for key in (*probe_keys(PREFIX, 1), foreign):
        site.store.create(key, BODY)
    site.clock.pass_(16 * 60)
    young, _ = probe_keys(PREFIX, 2)
    site.store.create(young, BODY)
    site.clock.pass_(60)
    report = site.report()
    assert not_passed(report) == {}
    assert "2 probes of killed checks removed" in next(x.words for x in report.lines if x.name == "list")
    assert set(site.visible()) == {EARLIER, receipt_key(EARLIER), foreign, young}


@pytest.mark.parametrize(
    "call", [("create", 1), ("create", 2), ("put", 1), ("get", 1), ("list", 1), ("delete", 1)]
)
def test_a_signal_at_any_call(call: tuple[str, int]) -> None:
    """Whenever it is told to end, the probes and the token are gone, and it says until where it came."""
    site = Checked()
    method, count = call

    class Ended(FaultyStore):
        def _due(self, asked: Method, key: str) -> Fault | None:
            fault = super()._due(asked, key)
            if sum(each == method for each, _ in self.calls) == count:
                site.stop.ask("ended by SIGTERM")
            return fault

    flow = site.check_flow()
    ended = Ended(site.store)
    flow._store._open = lambda: ended
    with pytest.raises(InterruptedRunError):
        flow.run()
    assert site.visible() == site.before
    assert site.cluster.tokens == {}
    assert not [line for line in flow.report.lines if line.state is F]


@pytest.mark.parametrize("method", ["create", "put"])
def test_a_lost_answer(method: str) -> None:
    """A probe that was written without an answer is removed, too."""
    site = Checked()
    error = StorageUnreachableError(method, "gone")
    report = site.report([Fault(method, error, lost_answer=True)])  # type: ignore[arg-type]
    assert report.exit_code == 5
    assert site.visible() == site.before


def test_a_defect_leaves_nothing() -> None:
    """What nobody foresaw surfaces, after the probes are gone."""
    site = Checked()
    with pytest.raises(ZeroDivisionError):
        site.report([Fault("list", ZeroDivisionError())])
    assert site.visible() == site.before
