"""A fault at every call that a run makes, one by one: before it has an effect, and after."""

from __future__ import annotations

from typing import NamedTuple, cast

import pytest
from tests.flows.site import EARLIER, KEY, Site

from bao_backup.adapters.memory_bao import BaoFault, MemoryBao
from bao_backup.adapters.memory_bao import Method as BaoMethod
from bao_backup.adapters.memory_store import Fault
from bao_backup.adapters.memory_store import Method as StoreMethod
from bao_backup.core.errors import (
    BaoBackupError,
    LeaderError,
    LeaderLostError,
    LoginError,
    ServerUntrustedError,
    SnapshotDeniedError,
    SnapshotError,
    StorageError,
)
from bao_backup.core.model import VerifyLevel
from bao_backup.core.storage_errors import StorageDeniedError, StorageFullError, StorageUnavailableError


class Call(NamedTuple):
    """The so-manyeth call of a method of a port."""

    port: str
    method: str
    number: int


def calls_of_a_run() -> list[Call]:
    """Every call of a run in which all goes well, with everything switched on."""
    site = Site()
    taken = site.run(verify=VerifyLevel.FULL)
    assert (taken.receipt.key, taken.warnings) == (KEY, ())
    assert isinstance(site.bao, MemoryBao)
    store, bao = site.faulty.calls, site.bao.calls
    methods = [*(("store", str(method)) for method, _ in store), *(("bao", str(m)) for m, _ in bao)]
    return [Call(*each, methods[: n + 1].count(each)) for n, each in enumerate(methods)]


CALLS = calls_of_a_run()
STORE_CALLS = [call for call in CALLS if call.port == "store"]
ids = [f"{call.method} {call.number}" for call in STORE_CALLS]


def test_a_run_calls_what_this_file_makes_fail() -> None:
    """So that a call that is added is not forgotten here."""
    assert [call.method for call in STORE_CALLS] == [
        "get",  # is it there already?
        "sweep",
        "put",
        "get",  # was another start of this run faster?
        "head",
        "get",  # read it back
        "create",
        "head",  # did another start put its body there meanwhile?
    ]
    assert [call.method for call in CALLS if call.port == "bao"] == [
        "find_leader",
        "login",
        "snapshot",
        "revoke",
    ]


@pytest.mark.parametrize("call", STORE_CALLS, ids=ids)
@pytest.mark.parametrize("lost_answer", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", [StorageUnavailableError, StorageDeniedError, StorageFullError])
def test_the_store_fails_once(call: Call, lost_answer: bool, kind: type[StorageError]) -> None:
    """The run fails with that very reason; nothing broken is visible, and the next run makes all good.

    That leftovers may not be looked for is a warning only.
    """
    site = Site()
    fault = Fault(
        cast("StoreMethod", call.method),
        kind("try", "told to fail"),
        call=call.number,
        lost_answer=lost_answer,
    )
    flow = site.flow([fault], verify=VerifyLevel.FULL)
    if call.method == "sweep":
        taken = flow.take()
        assert taken.warnings == ("leftovers of killed runs were not looked for: told to fail",)
    else:
        with pytest.raises(kind) as caught:
            flow.take()
        assert caught.value.exit_code == 5
    site.check()
    assert site.cluster.tokens == {}, "the token was revoked"
    again = site.run(verify=VerifyLevel.FULL)
    assert again.receipt.key == KEY
    assert site.proven() == {EARLIER, KEY}
    site.check()


@pytest.mark.parametrize("call", STORE_CALLS, ids=ids)
def test_the_executor_dies_at_a_call_of_the_store(call: Call) -> None:
    """As by SIGKILL: nothing can be cleaned up any more, and still nothing broken is visible."""
    for lost_answer in (False, True):
        site = Site()
        fault = Fault(cast("StoreMethod", call.method), _Killed(), call=call.number, lost_answer=lost_answer)
        with pytest.raises(_Killed):
            site.flow([fault], verify=VerifyLevel.FULL).take()
        site.check()
        site.run()
        assert site.proven() == {EARLIER, KEY}
        site.check()


BAO: dict[str, tuple[BaoMethod, BaoBackupError, int, str]] = {
    "no leader for a moment": ("find_leader", LeaderError("find", "an election"), 0, ""),
    "a certificate that does not verify": (
        "find_leader",
        ServerUntrustedError("find", "expired"),
        3,
        "ServerUntrusted",
    ),
    "a login that is refused": ("login", LoginError("log in", "403"), 2, "LoginFailed"),
    "a leader that steps down before the login": ("login", LeaderLostError("log in", "503"), 0, ""),
    "a token that may not": ("snapshot", SnapshotDeniedError("read", "403"), 4, "SnapshotDenied"),
    "a leader that steps down before the stream": ("snapshot", LeaderLostError("read", "503"), 0, ""),
    "a call that fails": ("snapshot", SnapshotError("read", "500"), 0, ""),
}


@pytest.mark.parametrize(("method", "error", "code", "reason"), BAO.values(), ids=BAO)
@pytest.mark.parametrize("lost_answer", [False, True], ids=["before", "after"])
def test_the_cluster_fails_once(
    method: BaoMethod, error: BaoBackupError, code: int, reason: str, lost_answer: bool
) -> None:
    """What may pass by itself is tried again; what will not ends the run with its own reason."""
    site = Site()
    flow = site.flow((), [BaoFault(method=method, error=error, lost_answer=lost_answer)])
    if code:
        with pytest.raises(type(error)) as caught:
            flow.take()
        assert (caught.value.exit_code, caught.value.reason) == (code, reason)
        assert site.proven() == {EARLIER}
        assert KEY not in site.visible()
    else:
        assert flow.take().receipt.key == KEY
    site.check()
    site.run()
    assert site.proven() == {EARLIER, KEY}


@pytest.mark.parametrize(
    ("method", "error", "kind"),
    [
        ("find_leader", LeaderError("find", "sealed"), LeaderError),
        ("login", LeaderLostError("log in", "503"), LoginError),
        ("snapshot", SnapshotError("read", "500"), SnapshotError),
    ],
)
def test_what_goes_on_failing_ends_the_run(
    method: BaoMethod, error: BaoBackupError, kind: type[BaoBackupError]
) -> None:
    """After three tries, or when the wait is over; a leader without logins is a login's failure."""
    site = Site()

    class Slow(MemoryBao):
        def _begin(self, method: BaoMethod, address: str) -> BaoFault | None:
            site.clock.pass_(1)
            return super()._begin(method, address)

    bao = Slow(site.cluster, [BaoFault(method=method, error=error, times=1000)])
    flow = site.flow(bao=bao)
    with pytest.raises(kind):
        flow.take()
    tries = {"find_leader": 0, "login": 3, "snapshot": 3}[method]
    assert flow.tries == tries
    assert KEY not in site.visible()
    assert site.cluster.tokens == {}


@pytest.mark.parametrize(
    "ending",
    [
        BaoFault(method="find_leader", call=9),
        BaoFault(method="snapshot", error=SnapshotDeniedError("read", "403")),
        BaoFault(method="snapshot", after=1000, error=SnapshotError("read", "reset"), times=3),
    ],
    ids=["well", "refused", "cut off"],
)
def test_a_token_that_cannot_be_revoked_is_a_warning_only(ending: BaoFault) -> None:
    """However the run ends, its end stays what it is; a person is told."""
    site = Site()
    revoke = BaoFault(method="revoke", error=LoginError("revoke", "it is sealed"))
    flow = site.flow((), [ending, revoke])
    if ending.error is None:
        assert flow.take().warnings == ("the login token was not revoked: it is sealed",)
    else:
        with pytest.raises(type(ending.error)):
            flow.take()
        assert flow.warnings == ("the login token was not revoked: it is sealed",)


def test_a_configured_token_stays() -> None:
    """Only what the run obtained itself is revoked."""
    site = Site()
    token = site.cluster.grant()
    site.run(bao=MemoryBao(site.cluster, token=token))
    assert set(site.cluster.tokens) == {token}


class _Killed(BaseException):
    """The end of the process."""
