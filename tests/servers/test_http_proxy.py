"""The HTTP proxy of the harness, before a real Vault and a real MinIO: each fault does what it says."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import pytest
from tests.harness import client
from tests.harness.calls import Call, CallFault, CallFaultKind, classify
from tests.harness.certificates import Authority
from tests.harness.errors import HarnessError
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.s3 import S3
from tests.harness.vault import VaultCluster

BODY = bytes(range(256)) * 4_000


@pytest.mark.parametrize(
    ("method", "target", "call"),
    [
        ("POST", "/bucket/key?uploads=", Call.INITIATE),
        ("PUT", "/bucket/a/key?partNumber=1&uploadId=x", Call.PART),
        ("POST", "/bucket/key?uploadId=x", Call.COMPLETE),
        ("DELETE", "/bucket/key?uploadId=x", Call.ABORT),
        ("PUT", "/bucket/key", Call.PUT),
        ("PUT", "/bucket", Call.OTHER),
        ("GET", "/bucket/a/key", Call.GET),
        ("GET", "/bucket?list-type=2&prefix=a%2F", Call.LIST),
        ("GET", "/bucket/?list-type=2", Call.LIST),
        ("GET", "/bucket?uploads", Call.LIST_UPLOADS),
        ("HEAD", "/bucket/key", Call.HEAD),
        ("DELETE", "/bucket/key", Call.DELETE),
        ("POST", "/bucket?delete", Call.DELETE_MANY),
        ("GET", "/v1/sys/storage/raft/snapshot", Call.SNAPSHOT),
        ("POST", "/v1/sys/storage/raft/snapshot-force", Call.RESTORE),
        ("GET", "/v1/sys/health?standbyok=true", Call.HEALTH),
        ("POST", "/v1/auth/jwt-operator/login", Call.LOGIN),
        ("POST", "/v1/auth/userpass/login/name", Call.LOGIN),
        ("POST", "/v1/auth/token/revoke-self", Call.REVOKE),
    ],
)
def test_classify(method: str, target: str, call: Call) -> None:
    """Each call is known by its method, path and query."""
    assert classify(method, target) is call


# --- before a store ----------------------------------------------------------------------------


@pytest.fixture
def store_proxy(minio: Minio) -> Iterator[FaultyProxy]:
    """A proxy before MinIO."""
    with FaultyProxy(minio.url) as proxy:
        yield proxy


@pytest.fixture
def store(store_proxy: FaultyProxy, minio: Minio) -> S3:
    """MinIO as a client behind the proxy sees it."""
    return S3(store_proxy.url, minio.root.keys)


@pytest.mark.servers
def test_store_passes(store: S3, store_proxy: FaultyProxy, bucket: str) -> None:
    """Without faults all calls pass, signed as they are, and are seen."""
    store.put(bucket, "key", BODY)
    assert store.get(bucket, "key") == BODY
    assert store.keys_in(bucket) == ["key"]
    assert store.request("HEAD", f"/{bucket}/key").status == 200
    assert store.uploads(bucket) == []
    assert [seen.call for seen in store_proxy.seen] == [
        *(Call.PUT, Call.GET, Call.LIST, Call.HEAD, Call.LIST_UPLOADS),
    ]
    assert {seen.status for seen in store_proxy.seen} == {200}


@pytest.mark.servers
@pytest.mark.parametrize("status", [403, 500, 503])
def test_answer(store: S3, store_proxy: FaultyProxy, minio: Minio, bucket: str, status: int) -> None:
    """The n-th call of a kind is answered by the proxy, and the store does not hear of it."""
    store_proxy.set(CallFault(CallFaultKind.ANSWER, Call.PUT, nth=2, status=status, code="Spoiled"))
    answers = [store.request("PUT", f"/{bucket}/{name}", body=b"x") for name in "abc"]
    assert [answer.status for answer in answers] == [200, status, 200]
    assert b"<Code>Spoiled</Code>" in answers[1].body
    assert store_proxy.reached.is_set()
    assert minio.root.keys_in(bucket) == ["a", "c"]


@pytest.mark.servers
def test_answer_always(store: S3, store_proxy: FaultyProxy, bucket: str) -> None:
    """A fault without an end befalls all calls of its kind, until there are others."""
    store_proxy.set(CallFault(CallFaultKind.ANSWER, Call.HEAD, times=None, status=503))
    assert [store.request("HEAD", f"/{bucket}/key").status for _ in range(3)] == [503] * 3
    assert store.keys_in(bucket) == []
    store_proxy.set()
    assert store.request("HEAD", f"/{bucket}/key").status == 404


@pytest.mark.servers
def test_drop(store: S3, store_proxy: FaultyProxy, minio: Minio, bucket: str) -> None:
    """An upload that is dropped in its middle breaks the connection, and stores nothing."""
    store_proxy.set(CallFault(CallFaultKind.DROP, Call.PUT, at=0.3))
    with pytest.raises(HarnessError) as failure:
        store.put(bucket, "key", BODY)
    assert isinstance(failure.value.__cause__, OSError)
    assert minio.root.keys_in(bucket) == []


@pytest.mark.servers
def test_lose(store: S3, store_proxy: FaultyProxy, minio: Minio, bucket: str) -> None:
    """An answer that is lost comes after the deed."""
    store_proxy.set(CallFault(CallFaultKind.LOSE, Call.PUT))
    with pytest.raises(HarnessError) as failure:
        store.put(bucket, "key", BODY)
    assert isinstance(failure.value.__cause__, OSError)
    assert minio.root.get(bucket, "key") == BODY


@pytest.mark.servers
def test_hold(store: S3, store_proxy: FaultyProxy, minio: Minio, bucket: str) -> None:
    """A call that is held reaches the store when it is released, not before."""
    store_proxy.set(CallFault(CallFaultKind.HOLD, Call.PUT))
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(store.put, bucket, "key", BODY)
        assert store_proxy.reached.wait(5)
        assert minio.root.keys_in(bucket) == []
        store_proxy.release()
        upload.result(5)
    assert minio.root.keys_in(bucket) == ["key"]


@pytest.mark.servers
def test_delay(store: S3, store_proxy: FaultyProxy, bucket: str) -> None:
    """A delayed call takes so much longer, and succeeds."""
    store_proxy.set(CallFault(CallFaultKind.DELAY, Call.PUT, seconds=0.5))
    started = time.monotonic()
    store.put(bucket, "key", BODY)
    assert time.monotonic() - started > 0.45


@pytest.mark.servers
def test_short_object(store: S3, store_proxy: FaultyProxy, bucket: str) -> None:
    """An object may seem to be shorter than it is."""
    store.put(bucket, "key", BODY)
    store_proxy.set(CallFault(CallFaultKind.END_EARLY, Call.GET, at=0.25))
    assert store.get(bucket, "key") == BODY[: len(BODY) // 4]


@pytest.mark.servers
def test_store_dies(minio: Minio, bucket: str) -> None:
    """A store that is gone behind the proxy is gone for its clients."""
    with FaultyProxy(minio.url) as proxy:
        store = S3(proxy.url, minio.root.keys)
        store.put(bucket, "key", b"x")
        minio.kill()
        with pytest.raises(HarnessError):
            store.get(bucket, "key")
        minio.start()
        assert store.get(bucket, "key") == b"x"


# --- before a server ---------------------------------------------------------------------------


@pytest.fixture
def vault_proxy(vault: VaultCluster, authority: Authority) -> Iterator[FaultyProxy]:
    """A proxy before Vault, with TLS on both sides."""
    with FaultyProxy(vault.leader().url, authority) as proxy:
        yield proxy


class Received:
    """What a client receives of a snapshot, and how that ends."""

    def __init__(self, proxy: FaultyProxy, vault: VaultCluster, timeout: float = 10) -> None:
        self.body = bytearray()
        self.error: Exception | None = None
        connection = client.connect(proxy.url, vault.leader().context, timeout)
        try:
            connection.request(
                "GET", "/v1/sys/storage/raft/snapshot", headers={"X-Vault-Token": vault.root_token}
            )
            response = connection.getresponse()
            self.status = response.status
            self.chunked = response.chunked
            while piece := response.read1(4096):
                self.body += piece
        except (OSError, HTTPException) as error:
            self.error = error
        finally:
            connection.close()


def is_whole(body: bytearray) -> bool:
    """Whether this is gzip to its very end, and nothing after it."""
    reader = zlib.decompressobj(31)
    reader.decompress(body)
    return reader.eof and not reader.unused_data


@pytest.mark.servers
def test_snapshot_passes(vault_proxy: FaultyProxy, vault: VaultCluster) -> None:
    """Without faults a snapshot passes over TLS, in chunks and without a length, as Vault sends it."""
    received = Received(vault_proxy, vault)
    assert received.error is None
    assert (received.status, received.chunked) == (200, True)
    assert is_whole(received.body)
    assert vault_proxy.count(Call.SNAPSHOT) == 1


@pytest.mark.servers
@pytest.mark.parametrize("at", [0.01, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        # Where Python reads TLS, a reset may look like an end, if a record is not whole.
        (CallFaultKind.RESET, (ConnectionResetError, IncompleteRead)),
        (CallFaultKind.CLOSE, IncompleteRead),
        (CallFaultKind.END_EARLY, None),
    ],
)
def test_cut(
    vault_proxy: FaultyProxy,
    vault: VaultCluster,
    at: float,
    kind: CallFaultKind,
    error: type[Exception] | tuple[type[Exception], ...] | None,
) -> None:
    """A snapshot is cut at a fraction of its bytes, by a reset or an orderly end of connection or body."""
    whole = len(Received(vault_proxy, vault).body)
    vault_proxy.set(CallFault(kind, Call.SNAPSHOT, at=at))
    received = Received(vault_proxy, vault)
    assert vault_proxy.reached.is_set()
    assert received.error is None if error is None else isinstance(received.error, error)
    # A reset throws away what the client has not read yet. Two snapshots differ by a few bytes.
    expected = whole * at
    assert not is_whole(received.body)
    assert len(received.body) <= expected + 200
    if kind is not CallFaultKind.RESET:
        assert len(received.body) >= expected - 200
    assert Received(vault_proxy, vault).error is None


@pytest.mark.servers
def test_stall(vault_proxy: FaultyProxy, vault: VaultCluster) -> None:
    """A stalled snapshot is silent until the client gives up."""
    vault_proxy.set(CallFault(CallFaultKind.STALL, Call.SNAPSHOT, at=0.5))
    received = Received(vault_proxy, vault, timeout=0.5)
    assert isinstance(received.error, TimeoutError)
    assert len(received.body) > 100


@pytest.mark.servers
def test_stall_released(vault_proxy: FaultyProxy, vault: VaultCluster) -> None:
    """A stalled snapshot goes on when it is released."""
    vault_proxy.set(CallFault(CallFaultKind.STALL, Call.SNAPSHOT, at=0.5))
    threading.Timer(0.3, vault_proxy.release).start()
    received = Received(vault_proxy, vault)
    assert received.error is None
    assert is_whole(received.body)


@pytest.mark.servers
def test_flip(store: S3, store_proxy: FaultyProxy, bucket: str) -> None:
    """A flip changes one bit of one byte, and nothing else."""
    store.put(bucket, "key", BODY)
    for at, place in ((0.0, 0), (0.5, len(BODY) // 2), (1.0, len(BODY) - 1)):
        store_proxy.set(CallFault(CallFaultKind.FLIP, Call.GET, at=at))
        received = store.get(bucket, "key")
        assert [index for index in range(len(BODY)) if received[index] != BODY[index]] == [place]
        assert received[place] == BODY[place] ^ 1


@pytest.mark.servers
def test_login_refused(vault_proxy: FaultyProxy, vault: VaultCluster) -> None:
    """A refusal before Vault has the shape of Vault's own."""
    vault_proxy.set(CallFault(CallFaultKind.ANSWER, Call.HEALTH, status=503, code="Vault is sealed"))
    context = vault.leader().context
    answer = client.request("GET", f"{vault_proxy.url}/v1/sys/health", context=context)
    assert (answer.status, answer.json()) == (503, {"errors": ["Vault is sealed"]})
    assert client.request("GET", f"{vault_proxy.url}/v1/sys/health", context=context).status == 200


@pytest.mark.servers
def test_health_lost(vault_proxy: FaultyProxy, vault: VaultCluster) -> None:
    """A lost answer is a connection that ends without one."""
    vault_proxy.set(CallFault(CallFaultKind.LOSE, Call.HEALTH))
    with pytest.raises(HarnessError) as failure:
        client.request("GET", f"{vault_proxy.url}/v1/sys/health", context=vault.leader().context)
    assert isinstance(failure.value.__cause__, ConnectionResetError | RemoteDisconnected)
