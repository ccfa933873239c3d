"""The servers of a benchmark, and one measured run on them, checked for what it stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.harness.certificates import Authority, Certificate

from bao_backup.core.connection import AuthMethod, BaoAuth
from bench.archives import Prepared, Shape, prepare
from bench.contenders import Contender, Source, curl_to_nothing, curl_to_rclone, ours
from bench.places import Bucket, Folder, Place
from bench.processes import processor_seconds
from bench.replay import Replay
from bench.usage import ContenderError, Pair, Usage, measure

KEY = "bench/vault/2026-01-02T03-04-05Z-00000001.snap"


@dataclass
class Stage:
    """Where it all happens: a folder of this run, one for archives, and the servers."""

    folder: Path
    archives: Path
    authority: Authority
    target: Bucket
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

    @property
    def log(self) -> Path:
        """What contenders say."""
        return self.folder / "contenders.log"

    def run(self, contender: Contender, errors: Path | None = None) -> Usage:
        """One measured run, as it is; what it says goes through `errors`, where that is given."""
        return measure(contender.commands, contender.variables, self.log, errors)

    def back_up(self, source: Source, size: int | None, place: Place | None = None) -> Usage:
        """One run of ours into the bucket, or into another place."""
        place = place or self.target
        return self._stored(ours(source, place, KEY), place, size)

    def against_rclone(self, source: Source, size: int, place: Place | None = None) -> Pair:
        """One run of ours, then one of `curl | rclone rcat`, into the bucket or into another place."""
        place = place or self.target
        mine = self.back_up(source, size, place)
        peer = curl_to_rclone(source, place, KEY, self.rclone)
        return Pair(mine, self._stored(peer, place, size))

    def against_curl(self, source: Source) -> tuple[Pair, Pair]:
        """`curl -o /dev/null` between a run of ours into the bucket and one into a folder."""
        bucket = self.back_up(source, None)
        peer = self.run(curl_to_nothing(source))
        return Pair(bucket, peer), Pair(self.back_up(source, None, self.backups()), peer)

    def backups(self) -> Folder:
        """The folder of this run for backups."""
        return Folder(self.folder / "backups")

    def _stored(self, contender: Contender, place: Place, size: int | None) -> Usage:
        """Run it, and remove what it stored; raises ContenderError unless that has `size` bytes."""
        before = processor_seconds(place.pid) if place.pid else 0.0
        usage = self.run(contender)
        server = processor_seconds(place.pid) - before if place.pid else 0.0
        there = place.sizes()
        if KEY not in there or size not in (None, there[KEY]):
            raise ContenderError(f"{contender.commands[0][0]} stored {there}, not {size} bytes")
        place.empty()
        return replace(usage, server=server)
