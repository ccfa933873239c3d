"""Which certificates are trusted, and what is said of the others."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.adapters.clients import settings_for
from tests.adapters.scripted import HEALTHY, ScriptedServer, reply
from tests.harness.certificates import Authority

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.errors import ConfigurationError, LeaderError, ServerUntrustedError

HEALTH = "/v1/sys/health"
ACTIVE = {HEALTH: reply(200, HEALTHY)}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that the client trusts."""
    return Authority(tmp_path_factory.mktemp("ours"))


def self_made(folder: Path, *, days: int) -> tuple[ssl.SSLContext, Path]:
    """A server with a certificate that it signed itself, valid until so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    end = datetime.now(UTC) + timedelta(days=days)
    names = x509.SubjectAlternativeName([x509.DNSName("bao.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=10))
        .not_valid_after(end)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self.pem"
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def ask(folder: Path, context: ssl.SSLContext, ca_file: Path, server_name: str = "") -> str:
    """Which IP address leads; raises as `find_leader` does."""
    with ScriptedServer(ACTIVE, context) as server:
        settings = settings_for(server.url, folder=folder, ca_file=str(ca_file), server_name=server_name)
        return HttpBao(settings).find_leader().ip


def test_the_private_ca(ours: Authority, tmp_path: Path) -> None:
    """A certificate of the configured CA for the address is trusted."""
    assert ask(tmp_path, ours.server_context("good"), ours.ca_file) == "127.0.0.1"


def test_the_server_name(ours: Authority, tmp_path: Path) -> None:
    """Where a server name is configured, the certificate must hold that one in place of the address'."""
    context = ours.server_context("named", ("bao.test",))
    assert ask(tmp_path, context, ours.ca_file, "bao.test") == "127.0.0.1"
    with pytest.raises(ServerUntrustedError, match=r"it is for bao\.test, not for 127\.0\.0\.1"):
        ask(tmp_path, context, ours.ca_file)


def test_another_name(ours: Authority, tmp_path: Path) -> None:
    """A certificate for other names is refused, and its names are told."""
    context = ours.server_context("others", ("a.test", "b.test", "10.0.0.1"))
    said = r"it is for a\.test, b\.test, 10\.0\.0\.1, not for bao\.test"
    with pytest.raises(ServerUntrustedError, match=said):
        ask(tmp_path, context, ours.ca_file, "bao.test")


def test_another_ca(ours: Authority, tmp_path: Path) -> None:
    """A certificate of an unknown CA is refused, whatever name it holds."""
    theirs = Authority(tmp_path / "theirs", "somebody else")
    with pytest.raises(ServerUntrustedError, match="the configured CA did not issue it"):
        ask(tmp_path, theirs.server_context("theirs"), ours.ca_file)


def test_self_signed(ours: Authority, tmp_path: Path) -> None:
    """A self-signed certificate is called that, and is good where it is the configured CA itself."""
    context, file = self_made(tmp_path, days=5)
    with pytest.raises(ServerUntrustedError, match="it is self-signed"):
        ask(tmp_path, context, ours.ca_file, "bao.test")
    assert ask(tmp_path, context, file, "bao.test") == "127.0.0.1"


@pytest.mark.parametrize(("days", "said"), [(-1, "it has expired"), (20, "it is not valid yet")])
def test_time(days: int, said: str, tmp_path: Path) -> None:
    """A certificate is good in its time alone."""
    context, file = self_made(tmp_path, days=days)
    with pytest.raises(ServerUntrustedError, match=said) as caught:
        ask(tmp_path, context, file, "bao.test")
    assert not caught.value.transient


def test_untrusted_among_others(ours: Authority, tmp_path: Path) -> None:
    """ServerUntrusted is the reason only where nobody spoke with us: a standby may lead soon."""
    context = Authority(tmp_path / "theirs").server_context("theirs")
    with (
        ScriptedServer(ACTIVE, context) as untrusted,
        ScriptedServer({HEALTH: reply(429)}, ours.server_context("standby")) as standby,
    ):
        ca_file = str(ours.ca_file)
        alone = HttpBao(settings_for(untrusted.url, "https://127.0.0.1:1", folder=tmp_path, ca_file=ca_file))
        both = HttpBao(settings_for(untrusted.url, standby.url, folder=tmp_path, ca_file=ca_file))
        with pytest.raises(ServerUntrustedError, match="connection refused"):
            alone.find_leader()
        with pytest.raises(LeaderError, match="standby") as caught:
            both.find_leader()
    assert caught.value.transient


def test_the_wrong_scheme(ours: Authority, tmp_path: Path) -> None:
    """An https address of a server without TLS is told from a wrong certificate."""
    with ScriptedServer(ACTIVE) as server:
        address = server.url.replace("http:", "https:")
        bao = HttpBao(settings_for(address, folder=tmp_path, ca_file=str(ours.ca_file)))
        with pytest.raises(LeaderError, match="no TLS with it"):
            bao.find_leader()


def test_old_tls(ours: Authority, tmp_path: Path) -> None:
    """TLS before 1.2 is refused."""
    context = ours.server_context("old")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(LeaderError, match="no TLS with it"):
        ask(tmp_path, context, ours.ca_file)


def test_the_ca_file(ours: Authority, tmp_path: Path) -> None:
    """A CA file that is missing or holds no certificate is a matter of configuration, and is named."""
    context = ours.server_context("unused")
    with pytest.raises(ConfigurationError, match=r"missing\.crt: no such file"):
        ask(tmp_path, context, tmp_path / "missing.crt")
    (tmp_path / "text.crt").write_text("no certificate\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"text\.crt: it holds no PEM certificate"):
        ask(tmp_path, context, tmp_path / "text.crt")


def test_a_new_ca(ours: Authority, tmp_path: Path) -> None:
    """A CA file that was replaced is used at the next call."""
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(Authority(tmp_path / "old").ca_file.read_bytes())
    with ScriptedServer(ACTIVE, ours.server_context("renewed")) as server:
        bao = HttpBao(settings_for(server.url, folder=tmp_path, ca_file=str(ca_file)))
        with pytest.raises(ServerUntrustedError):
            bao.find_leader()
        ca_file.write_bytes(ours.ca_file.read_bytes())
        assert bao.find_leader().version == "2.4.4"
