"""What the library says, and what becomes of it: each table, walked in full."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import obstore
import pytest
from obstore import exceptions
from obstore.store import S3Store
from tests.adapters.scripted import ScriptedServer, reply

from bao_backup.adapters.stores import STORES, open_store, store_traits
from bao_backup.adapters.stores.failures import MAX_DETAILS, Translator
from bao_backup.adapters.stores.meanings import BY_CLASS, BY_STATUS, BY_WORDS, DEFECTS, Meaning
from bao_backup.adapters.stores.permissions import missing_permission
from bao_backup.adapters.stores.s3_addresses import bucket_url
from bao_backup.core.errors import BaoBackupError, ConfigurationError, InternalError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import (
    ObjectExistsError,
    StorageDeniedError,
    StorageRegionError,
    StorageUnavailableError,
    StorageUnreachableError,
)
from bao_backup.ports import Store

TRANSLATOR = Translator("s3://bucket", ("SECRET-KEY-ID", "s3cr3t"))
SETTINGS = StoreSettings(provider="s3", bucket="bucket", endpoint="https://127.0.0.1:9", max_retries=0)
KEYS = {"accessKeyId": "id", "secretAccessKey": "secret-value"}


def said(text: str) -> BaoBackupError:
    """What becomes of a general error with this text."""
    return TRANSLATOR.translate(exceptions.GenericError(text), "upload", "key")


def is_what_it_means(error: BaoBackupError, meaning: Meaning) -> bool:
    """Whether the type, the cause and the hint are the meaning's."""
    hint = meaning.hint or missing_permission("s3", "upload", "") or ""
    if meaning.hint is None and meaning.type is not StorageDeniedError:
        hint = meaning.type.default_hint
    return type(error) is meaning.type and error.why.startswith(meaning.why) and error.hint == hint


@pytest.mark.parametrize("status", BY_STATUS)
def test_statuses(status: int) -> None:
    """Each status without a known code means what the table says."""
    error = said(f"Server returned non-2xx status code: {status} Words: <Code>Unknown</Code>")
    assert is_what_it_means(error, BY_STATUS[status])


@pytest.mark.parametrize(("words", "meaning"), BY_WORDS)
def test_words(words: str, meaning: Meaning) -> None:
    """Each fault of the transport is known by its word in the dump."""
    assert is_what_it_means(said(f"HTTP error\n\nDebug source:\n kind: {words} }}"), meaning)


def test_unknown() -> None:
    """An unknown status of a server's fault may be tried again; what is not known at all may not."""
    assert isinstance(said("status code: 599 Odd"), StorageUnavailableError)
    assert type(said("status code: 418 Odd")) is StorageError
    assert type(said("something else")) is StorageError


def test_every_class() -> None:
    """Every exception that the library has is in the table."""
    of_library = {each for _, each in inspect.getmembers(exceptions, inspect.isclass)}
    assert of_library <= set(BY_CLASS)


@pytest.mark.parametrize("type_", BY_CLASS)
def test_classes(type_: type[Exception]) -> None:
    """Each class alone is one of our errors: a defect is told apart from what a store may do."""
    error = TRANSLATOR.translate(type_("no status, no code"), "upload", "key")
    meaning = BY_CLASS[type_]
    assert isinstance(error, InternalError) == issubclass(type_, DEFECTS)
    assert meaning is None or is_what_it_means(error, meaning)
    assert error.doing == "upload s3://bucket/key"


def test_exists() -> None:
    """A create-only write that is refused says so, although its code is that of a stale etag."""
    refused = exceptions.AlreadyExistsError("status code: 412 <Code>PreconditionFailed</Code>")
    assert isinstance(TRANSLATOR.translate(refused, "create", "key"), ObjectExistsError)


class PanicException(BaseException):
    """As the library's own: not an Exception."""


@pytest.mark.parametrize("error", [PanicException("panicked"), MemoryError(), TypeError("str")])
def test_defects(error: BaseException) -> None:
    """A panic in the library is an error of this program, and does not fly past everybody."""
    with pytest.raises(InternalError) as raised, TRANSLATOR.doing("upload", "key"):
        raise error
    assert type(error).__name__ in raised.value.why


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), InternalError("do", "why")])
def test_not_ours(error: BaseException) -> None:
    """Who interrupts or ends the program is not held up."""
    with pytest.raises(type(error)) as raised, TRANSLATOR.doing("upload"):
        raise error
    assert raised.value is error


def test_redacted() -> None:
    """Keys, signatures and tokens are not in the details, which are not endless either."""
    text = (
        "GET https://host/k?X-Amz-Credential=SECRET-KEY-ID%2F2026&X-Amz-Signature=abc123"
        "&x-amz-security-token=tok&uploadId=42 <AWSAccessKeyId>SECRET-KEY-ID</AWSAccessKeyId>"
        "<StringToSign>AWS4\nline</StringToSign> s3cr3t "
    )
    details = said(text + "x" * 10_000).details
    for secret in ("SECRET-KEY-ID", "abc123", "tok&", "AWS4", "s3cr3t"):
        assert secret not in details
    assert "uploadId=42" in details
    assert len(details) == MAX_DETAILS


def test_real_panic() -> None:
    """The library's own panic, at an endpoint that is no URL, leaves as an error of this program."""
    store = S3Store("bucket", endpoint="no url", access_key_id="id", secret_access_key="x")
    with pytest.raises(InternalError), TRANSLATOR.doing("upload"):
        obstore.put(store, "key", b"x")


# --- opening -----------------------------------------------------------------------------------


def test_provider() -> None:
    """An unknown provider is refused, and the known ones are named."""
    for act in (lambda: open_store(StoreSettings(provider="ftp"), {}), lambda: store_traits("ftp")):
        with pytest.raises(ConfigurationError) as raised:
            act()
        for name in STORES:
            assert name in raised.value.hint


@pytest.mark.parametrize(
    "endpoint",
    [
        *(
            "minio:9000",
            "no url",
            "ftp://host",
            "https://",
            "https://user:hunter2@host",
            "https://host:99999",
        ),
        *("https://host?hunter2=1", "https://[::1", "https://host#hunter2", "s3://host"),
    ],
)
def test_endpoint(endpoint: str) -> None:
    """An endpoint that is no plain URL is refused, and not repeated: it may hold a password."""
    settings = StoreSettings(provider="s3", bucket="bucket", endpoint=endpoint)
    with pytest.raises(ConfigurationError) as raised:
        open_store(settings, KEYS)
    assert "hunter2" not in raised.value.message


@pytest.mark.parametrize(
    ("endpoint", "bucket", "path_style", "url", "in_host"),
    [
        ("https://s3.example.com", "snaps", False, "https://snaps.s3.example.com", True),
        ("https://s3.example.com:9000/", "snaps", False, "https://snaps.s3.example.com:9000", True),
        ("https://s3.example.com/", "snaps", True, "https://s3.example.com", False),
        ("https://s3.example.com", "my.snaps", False, "https://s3.example.com", False),
        ("http://10.0.0.1:9000", "snaps", False, "http://10.0.0.1:9000", False),
        ("http://[::1]:9000", "snaps", False, "http://[::1]:9000", False),
        ("http://localhost:9000", "snaps", False, "http://localhost:9000", False),
    ],
)
def test_bucket_url(endpoint: str, bucket: str, path_style: bool, url: str, in_host: bool) -> None:
    """The bucket is in the host's name, unless the path style is asked for or nothing else can work."""
    assert bucket_url(endpoint, bucket, path_style=path_style) == (url, in_host)


@pytest.mark.parametrize(
    ("change", "credentials"),
    [
        ({}, {"accessKeyId": "id"}),
        ({}, {"secretAccessKey": "secret-value"}),
        ({"roleArn": "arn:aws:iam::1:role/x", "roleTokenFile": "/token"}, KEYS),
        ({"roleArn": "arn:aws:iam::1:role/x"}, {}),
        ({"bucket": ""}, KEYS),
        ({"sse": "rot13"}, KEYS),
        ({"stsEndpoint": "http://sts"}, KEYS),
        ({}, {**KEYS, "caCert": "/etc/ca.crt"}),
        ({}, {**KEYS, "caCert": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"}),
    ],
    ids=str,
)
def test_cannot_work(change: dict[str, str], credentials: dict[str, str]) -> None:
    """Settings or credentials that cannot work are refused before anything is sent."""
    settings = msgspec.convert({"provider": "s3", "bucket": "bucket", **change}, StoreSettings)
    with pytest.raises(ConfigurationError) as raised:
        open_store(settings, credentials)
    assert "secret-value" not in raised.value.message


def test_no_credentials() -> None:
    """Where the machine must not be asked for some, it is said at once that there are none."""
    begun = time.monotonic()
    with pytest.raises(ConfigurationError, match="no credentials were found"):
        open_store(SETTINGS, {})
    assert time.monotonic() - begun < 1


def test_role() -> None:
    """A role whose token file is missing is a failure that says so, without any other identity asked."""
    settings = msgspec.structs.replace(
        SETTINGS,
        sts_endpoint="https://127.0.0.1:9",
        role_arn="arn:aws:iam::1:role/x",
        role_token_file="/nowhere/token",
    )
    with pytest.raises(StorageError, match="token file"):
        open_store(settings, {}).head("key")


def _attempts(settings: StoreSettings) -> list[Callable[[], object]]:
    store = open_store(settings, KEYS)
    return [lambda: store.head("key"), lambda: list(store.list("")), lambda: store.sweep("")]


def test_unreachable() -> None:
    """A port on which nobody listens, or a name that does not resolve, is unreachable, and soon so."""
    begun = time.monotonic()
    for endpoint in ("http://127.0.0.1:9", "http://nowhere.invalid"):
        settings = StoreSettings(
            provider="s3", bucket="bucket", endpoint=endpoint, max_retries=1, retry_timeout=1
        )
        for act in _attempts(settings):
            with pytest.raises(StorageUnreachableError):
                act()
    assert time.monotonic() - begun < 20


def test_a_sweep_follows_no_redirect() -> None:
    """What it sends, a session token among it, goes to no other host than the configured one."""
    asked = "/bucket/?uploads="
    with ScriptedServer({}) as elsewhere, ScriptedServer({}) as server:
        server.scripts[asked] = reply(307, b"", f"Location: {elsewhere.url}{asked}")
        settings = msgspec.structs.replace(SETTINGS, endpoint=server.url)
        store = open_store(settings, {**KEYS, "sessionToken": "session-token"})
        with pytest.raises(StorageError, match=r"at another endpoint \(307\)"):
            store.sweep("backups")
        assert [seen.path for seen in server.seen] == [asked]
        assert elsewhere.seen == []


LIBRARYS: dict[str, Callable[[Store], object]] = {
    "head": lambda store: store.head("folder/key"),
    "get": lambda store: b"".join(store.get("folder/key")),
    "list": lambda store: list(store.list("folder")),
    "create": lambda store: store.create("folder/key", b"body"),
    "put": lambda store: store.put("folder/key", iter([b"body"])),
    "put in parts": lambda store: store.put("folder/key", iter([bytes(6 * 1024 * 1024)] * 2)),
}


def of_kind(provider: str, url: str) -> Store:
    """A store of this kind at a server, with something beside its signatures that is worth stealing."""
    if provider == "azure":
        settings = StoreSettings(provider=provider, account="acme", bucket="bucket", endpoint=f"{url}/acme")
        return open_store(msgspec.structs.replace(settings, max_retries=0), {"sasToken": "sv=1&sig=c2lnbmF0"})
    settings = msgspec.structs.replace(SETTINGS, endpoint=url, part_size=5 * 1024 * 1024)
    return open_store(settings, {**KEYS, "sessionToken": "session-token"})


@pytest.mark.parametrize("act", LIBRARYS)
@pytest.mark.parametrize("provider", ["s3", "azure"])
def test_the_library_reaches_no_other_host(provider: str, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would follow a redirect, and send session tokens and, as `referer`, signatures of URLs there."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with redirecting_to("127.0.0.2") as (url, elsewhere):
        with pytest.raises(StorageRegionError) as raised:
            LIBRARYS[act](of_kind(provider, url))
        assert elsewhere == []
    assert raised.value.message.count("\n") == 0


@contextmanager
def redirecting_to(host: str) -> Iterator[tuple[str, list[str]]]:
    """A server that redirects whatever is asked to one at `host`; its URL, and what that one has seen."""
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            seen.append(self.rfile.readline().decode())
            self.close_connection = True

    class Redirecting(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Callable[[], None]:
            if not name.startswith("do_"):
                raise AttributeError(name)
            return self.answer

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(307)
            self.send_header("location", f"http://{host}:{elsewhere.server_port}{self.path}")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with (
        ThreadingHTTPServer((host, 0), Elsewhere) as elsewhere,
        ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server,
    ):
        for each in (elsewhere, server):
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            for each in (elsewhere, server):
                each.shutdown()
