"""A MinIO server: an S3 store, with users whose rights a test chooses."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from tests.harness.certificates import LOOPBACK, Authority
from tests.harness.errors import HarnessError
from tests.harness.process import ServerProcess, free_ports
from tests.harness.s3 import REGION, S3, Keys

ADMIN = "/minio/admin/v3"
ROOT = Keys("root-of-tests", "secret-of-tests")


@dataclass(frozen=True)
class OpenId:
    """Whose tokens a MinIO exchanges for temporary keys, and what those may do."""

    #: URL of the issuer; MinIO reads what it publishes when it starts.
    issuer: str
    audience: str
    #: The name of a policy; it may be made afterwards.
    policy: str
    #: What trusts the issuer, where that is not the authority of MinIO's own certificate.
    ca_file: Path | None = None

    @property
    def role(self) -> str:
        """What MinIO calls the role: the hash of the audience, in a server without a region."""
        digest = hashlib.sha1(self.audience.encode(), usedforsecurity=False).digest()
        return f"arn:minio:iam:::role/{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    @property
    def variables(self) -> dict[str, str]:
        """How MinIO is told."""
        return {
            "MINIO_IDENTITY_OPENID_CONFIG_URL": f"{self.issuer}/.well-known/openid-configuration",
            "MINIO_IDENTITY_OPENID_CLIENT_ID": self.audience,
            "MINIO_IDENTITY_OPENID_ROLE_POLICY": self.policy,
        }


class Minio:
    """One MinIO server with one folder.

    `root` is the service as its owner sees it; `add_user` makes others. It may be stopped, killed
    and started again, at the same address and with the same content.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        authority: Authority | None = None,
        openid: OpenId | None = None,
        address: str = "127.0.0.1",
        kms_key: str = "",
        domain: str = "",
        region: str = "",
    ) -> None:
        """`authority` makes it speak TLS with a certificate of that authority, which it trusts, too.

        With `kms_key` it encrypts, with a key of this name and of its own.

        It listens on `address` only: a Kubernetes node's, to be reached from pods. With `domain` it is
        also known by that name, with buckets as parts of it; in another `region` it refuses whoever signs
        for the usual one.
        """
        self.folder = folder
        self.ca_file = authority.ca_file if authority else None
        self.region = region or REGION
        self.openid = openid
        self._context = authority.client_context() if authority else None
        self.port = free_ports(1)[0]
        self.url = f"{'https' if authority else 'http'}://{address}:{self.port}"
        self.root = S3(self.url, ROOT, self._context, self.region)
        certificates = folder / "certificates"
        if authority:
            names = (domain, f"*.{domain}") if domain else ()
            _place(authority, certificates, (*LOOPBACK, address, *names))
        if openid and openid.ca_file:
            (certificates / "CAs").mkdir(parents=True, exist_ok=True)
            (certificates / "CAs" / "issuer.crt").write_bytes(openid.ca_file.read_bytes())
        self.process = ServerProcess(
            "minio",
            [
                *(binary, "server", folder / "data", "--quiet"),
                *("--address", f"{address}:{self.port}", "--certs-dir", certificates),
            ],
            log=folder / "minio.log",
            variables={
                "MINIO_ROOT_USER": ROOT.access_key,
                "MINIO_ROOT_PASSWORD": ROOT.secret_key,
                "MINIO_BROWSER": "off",
                "HOME": str(folder),
                **({"MINIO_SITE_REGION": region} if region else {}),
                **({"MINIO_DOMAIN": domain} if domain else {}),
                **(openid.variables if openid else {}),
                **(
                    {"MINIO_KMS_SECRET_KEY": f"{kms_key}:{base64.b64encode(bytes(32)).decode()}"}
                    if kms_key
                    else {}
                ),
            },
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.process.start()
        self.process.wait_ready(self.answers)

    def stop(self) -> None:
        """End it; its content stays."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()

    def answers(self) -> bool:
        """Whether it serves now: its health check says so before it knows its users and buckets."""
        try:
            # Policies come last, after the issuer of tokens was asked for its keys.
            asked = ("/", f"{ADMIN}/list-canned-policies")
            return all(self.root.request("GET", path).status == 200 for path in asked)
        except HarnessError:
            return False

    def add_policy(self, name: str, actions: Sequence[str], buckets: Sequence[str]) -> None:
        """A policy that allows only `actions` ("s3:PutObject", ...) in `buckets` and below."""
        resources = [f"arn:aws:s3:::{bucket}{rest}" for bucket in buckets for rest in ("", "/*")]
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
        self.root.ask("PUT", f"{ADMIN}/add-canned-policy", {"name": name}, policy)

    def add_user(self, name: str, secret: str, actions: Sequence[str], buckets: Sequence[str]) -> S3:
        """A user with a policy of the same name: see `add_policy`."""
        self.add_policy(name, actions, buckets)
        user = json.dumps({"secretKey": secret, "status": "enabled"}).encode()
        self.root.ask("PUT", f"{ADMIN}/add-user", {"accessKey": name}, _sealed(ROOT.secret_key, user))
        query = {"policyName": name, "userOrGroup": name, "isGroup": "false"}
        self.root.ask("PUT", f"{ADMIN}/set-user-or-group-policy", query)
        return S3(self.url, Keys(name, secret), self._context)

    def copy_on_disk(self, bucket: str, key: str, keys: Iterable[str]) -> None:
        """Make many objects of a small one, quicker than by requests.

        MinIO has a folder for each object, and in it the file xl.meta, which holds all of a small one
        and not its name.
        """
        root = self.folder / "data" / bucket
        content = (root / key / "xl.meta").read_bytes()
        for each in keys:
            (root / each).mkdir(parents=True)
            (root / each / "xl.meta").write_bytes(content)

    def remove_on_disk(self, bucket: str, prefix: str) -> None:
        """Remove all objects below a prefix, quicker than by requests."""
        shutil.rmtree(self.folder / "data" / bucket / prefix)

    def remove_user(self, name: str) -> None:
        """From now on its keys are worth nothing."""
        self.root.ask("DELETE", f"{ADMIN}/remove-user", {"accessKey": name})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _place(authority: Authority, folder: Path, hosts: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    issued = authority.issue("minio", hosts)
    (folder / "public.crt").write_bytes(issued.certificate.read_bytes())
    (folder / "private.key").write_bytes(issued.key.read_bytes())
    (folder / "CAs").mkdir(exist_ok=True)
    (folder / "CAs" / "ca.crt").write_bytes(authority.ca_file.read_bytes())


def _sealed(password: str, plain: bytes) -> bytes:
    """Encrypt a body for MinIO's admin interface, which takes no plain secret keys.

    The form is madmin-go's `EncryptData`: salt (32 bytes), the byte 2 for PBKDF2 with AES-256-GCM,
    nonce (8), then the fragments of secure-io's stream, here a single one of at most 16 KiB: the
    last fragment's associated data is 0x80 and the tag of nothing under the sequence number 0.
    """
    assert len(plain) <= 1 << 14, "more than one fragment"
    salt, nonce = os.urandom(32), os.urandom(8)
    cipher = AESGCM(PBKDF2HMAC(SHA256(), length=32, salt=salt, iterations=8192).derive(password.encode()))
    tag = cipher.encrypt(nonce + (0).to_bytes(4, "little"), b"", b"")
    return salt + b"\2" + nonce + cipher.encrypt(nonce + (1).to_bytes(4, "little"), plain, b"\x80" + tag)
