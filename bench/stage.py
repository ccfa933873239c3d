"""The servers of a benchmark, and one measured run on them, checked for what it stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.harness.certificates import Authority, Certificate
from tests.harness.s3 import NAMESPACE

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.storage import StoreSettings
from bench.archives import Prepared, Shape, prepare
from bench.contenders import Contender, Source, Target, curl_to_nothing, curl_to_rclone, ours
from bench.replay import Replay
from bench.usage import ContenderError, Pair, Usage, measure

KEY = "bench/vault/2026-01-02T03-04-05Z-00000001.snap"


@dataclass
class Stage:
    """Where it all happens: a folder of this run, one for archives, and the servers."""

    folder: Path
    archives: Path
    authority: Authority
    target: Target
    rclone: Path
    say: Callable[[str], None]
    issued: Certificate = field(init=False)
    auth: BaoAuth = field(init=False)

    def __post_init__(self) -> None:
        """Write what the servers and the login need."""
        self.issued = self.authority.issue("replay")
        login = self.folder / "login"
        login.mkdir()
        for name in ("role_id", "secret_id"):
            (login / name).write_text(f"{name}-of-the-replay", encoding="ascii")
        self.auth = BaoAuth(method=AuthMethod.APPROLE, secret_folder=str(login))

    def archive(self, shape: Shape) -> Prepared:
        """The archive of that shape, built if need be."""
        return prepare(shape, self.archives, self.say)

    def replay(self, archive: Prepared) -> Replay:
        """A replay server for the archive."""
        return Replay(archive.file, self.issued, self.folder / "replay.log")

    def source(self, replay: Replay) -> Source:
        """The replay server, as contenders see it."""
        header = self.header_file("token-of-the-replay")
        return Source(replay.url, self.authority.ca_file, header, self.auth)

    def header_file(self, token: str) -> Path:
        """A file with the token's request header, for curl."""
        file = self.folder / "login" / "header"
        file.write_text(f"X-Vault-Token: {token}", encoding="ascii")
        return file

    def run(self, contender: Contender) -> Usage:
        """One measured run, as it is."""
        return measure(contender.commands, contender.variables, self.folder / "contenders.log")

    def back_up(self, source: Source, size: int | None) -> Usage:
        """One run of ours into the bucket."""
        return self._stored(ours(source, self.target.store(), KEY), size)

    def back_up_into_folder(self, source: Source) -> Usage:
        """One run of ours into a folder."""
        folder = self.folder / "backups"
        folder.mkdir(exist_ok=True)
        usage = self.run(ours(source, StoreSettings(provider="file", path=str(folder)), KEY))
        if not (folder / KEY).is_file():
            raise ContenderError(f"there is no {KEY} in the folder")
        shutil.rmtree(folder)
        return usage

    def against_rclone(self, source: Source, size: int) -> Pair:
        """One run of ours, then one of `curl | rclone rcat`."""
        mine = self.back_up(source, size)
        peer = curl_to_rclone(source, self.target, KEY, self.rclone)
        return Pair(mine, self._stored(peer, size))

    def against_curl(self, source: Source) -> tuple[Pair, Pair]:
        """`curl -o /dev/null` between a run of ours into the bucket and one into a folder."""
        bucket = self.back_up(source, None)
        peer = self.run(curl_to_nothing(source))
        return Pair(bucket, peer), Pair(self.back_up_into_folder(source), peer)

    def _stored(self, contender: Contender, size: int | None) -> Usage:
        """Run it, and remove what it stored; raises ContenderError unless that has `size` bytes."""
        usage = self.run(contender)
        there = self._sizes()
        if size is not None and there.get(KEY) != size:
            raise ContenderError(f"{contender.commands[0][0]} stored {there}, not {size} bytes")
        for key in there:
            self.target.minio.root.ask("DELETE", f"/{self.target.bucket}/{key}")
        return usage

    def _sizes(self) -> dict[str, int]:
        listing = self.target.minio.root.ask("GET", f"/{self.target.bucket}", {"list-type": "2"}).body
        return {
            each.findtext("s3:Key", "", NAMESPACE): int(each.findtext("s3:Size", "0", NAMESPACE))
            for each in ET.fromstring(listing).findall("s3:Contents", NAMESPACE)
        }
