"""One HTTP connection to one IP address, verified against the server's name; small calls on it."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

import msgspec

from bao_backup.core.connection import BaoSettings, Endpoint
from bao_backup.core.errors import ConfigurationError, ServerUntrustedError, one_line

#: What a small answer may have at most, in bytes.
_ANSWER_LIMIT = 1 << 20

#: OpenSSL's X509_V_ERR_* numbers (x509_vfy.h), which are part of its interface.
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not the configured CA",
    20: "the configured CA did not issue it",
    21: "the configured CA did not issue it",
    26: "it is not for servers",
}
_WRONG_NAME = {62, 64}


@dataclass(frozen=True, slots=True)
class Place:
    """A configured address, and the one IP address of its host that is meant."""

    endpoint: Endpoint
    ip: str = ""

    def __str__(self) -> str:
        """The address, and the IP address where that says more."""
        return (
            f"{self.endpoint.address} ({self.ip})"
            if self.ip not in ("", self.endpoint.host)
            else self.endpoint.address
        )


class Connection(http.client.HTTPConnection):
    """Connects to a place's IP address; TLS is verified against the server's name.

    Raises OSError and http.client.HTTPException as they come (see `explain`), and
    ServerUntrustedError for a certificate that does not verify.
    """

    def __init__(self, place: Place, settings: BaoSettings, context: ssl.SSLContext) -> None:
        super().__init__(place.endpoint.host, place.endpoint.port, timeout=settings.connect_seconds)
        self.place = place
        self.settings = settings
        self.server_name = settings.server_name or place.endpoint.host
        self.context = context
        #: This side ended it (`shut_down`), whether it was connected already or not.
        self.ended = False

    def connect(self) -> None:
        """Connect, and shake hands where the address is https."""
        self.sock = self._reach()
        if not self.place.endpoint.tls:
            return
        try:
            self.sock = self.context.wrap_socket(self.sock, server_hostname=self.server_name)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise self._untrusted(error) from error
        except OSError:
            self.close()
            raise

    def shut_down(self) -> None:
        """End whatever is under way, from any thread: a blocked read or write ends at once."""
        self.ended = True
        if self.sock is not None:
            shut_down(self.sock)

    def _reach(self) -> socket.socket:
        reached = socket.create_connection((self.place.ip or self.host, self.port), self.timeout)
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reached

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> ServerUntrustedError:
        why = _CERTIFICATE_FAULTS.get(error.verify_code, error.verify_message)
        if error.verify_code in _WRONG_NAME:
            why = f"it is for {self._names() or 'no name'}, not for {self.server_name}"
        return ServerUntrustedError(f"connect to {self.place}", f"its certificate is refused: {why}")

    def _names(self) -> str:
        """The names that the certificate holds, from a second handshake that checks all but the name."""
        nameless = trust(self.settings.ca_file)
        nameless.check_hostname = False
        try:
            with (
                self._reach() as plain,
                nameless.wrap_socket(plain, server_hostname=self.server_name) as checked,
            ):
                certificate = checked.getpeercert() or {}
        except OSError:
            return "other names"
        names = certificate.get("subjectAltName", ())
        return ", ".join(str(name[1]) for name in names if len(name) == 2)


def shut_down(stream: socket.socket) -> None:
    """End a connection under another thread's hands."""
    try:
        # Not SSLSocket's own: that one takes the TLS state away from the reader.
        socket.socket.shutdown(stream, socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


def trust(ca_file: str) -> ssl.SSLContext:
    """What certificates are checked with: the given CA alone, or the system's.

    Raises ConfigurationError when the file cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise ConfigurationError(f"read the CA file {ca_file}", "it holds no PEM certificate") from error
    except OSError as error:
        raise ConfigurationError(f"read the CA file {ca_file}", explain(error, 0)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The same verdict with every version of Python (3.13 changed both): an intermediate CA may be the
    # one to trust, and a private CA need not have each extension that RFC 5280 asks of a public one.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def explain(error: OSError | http.client.HTTPException, seconds: float) -> str:
    """Say in words what kept a call from its answer; `seconds` is how long it was waited for."""
    match error:
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case socket.gaierror():
            return "its name does not resolve"
        case ssl.SSLError():
            return f"no TLS with it ({error.reason or 'handshake failed'})"
        case http.client.RemoteDisconnected():
            return "it closed the connection without an answer"
        case http.client.HTTPException():
            return f"its answer is not HTTP ({type(error).__name__})"
        case _:
            return os.strerror(error.errno).lower() if error.errno else type(error).__name__


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole small answer."""

    status: int
    headers: Message
    body: bytes

    def decode(self) -> dict[str, object]:
        """The JSON object in the body; empty when it holds none."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except msgspec.DecodeError:
            return {}

    def errors(self, secrets: tuple[str, ...] = ()) -> str:
        """What the server gives as errors, on one line; nothing if that would repeat a secret."""
        given = self.decode().get("errors")
        text = one_line("; ".join(str(line) for line in given)) if isinstance(given, list) else ""
        return "" if any(secret in text for secret in secrets) else text[:300]

    def describe(self, secrets: tuple[str, ...] = ()) -> str:
        """The status, and what the server says of it."""
        said = self.errors(secrets)
        return (
            f"{self.status}, {said}"
            if said
            else f"{self.status} {http.client.responses.get(self.status, '')}"
        )


def call(
    connection: Connection,
    method: str,
    path: str,
    *,
    token: str = "",
    body: Mapping[str, object] | None = None,
) -> Reply:
    """Make one small call and close the connection.

    Raises what `Connection` raises.
    """
    try:
        connection.request(
            method, path, msgspec.json.encode(body) if body is not None else None, headers(token)
        )
        with connection.getresponse() as response:
            return Reply(response.status, response.headers, response.read(_ANSWER_LIMIT))
    finally:
        connection.close()


def headers(token: str) -> dict[str, str]:
    """What each request carries."""
    always = {"X-Vault-Request": "true", "Accept": "*/*"}
    return always | {"X-Vault-Token": token} if token else always
