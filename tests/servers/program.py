"""The program as its users have it: a process of its own, with documents, Secrets and an exit code.

All that such a process says is kept by a `Witness`, which at the end finds no secret in it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace
from tests.harness.errors import HarnessError
from tests.harness.logins import allow_snapshots, create_token
from tests.harness.process import tail
from tests.harness.vault import VaultCluster

from bao_backup.core.from_document import settings_from_document
from bao_backup.core.settings import to_environment
from bao_backup.core.spec import parse_cluster

#: A port on which nothing listens, where the library would look for a cloud's identity.
NOWHERE = "http://127.0.0.1:9"
#: Whatever looks like a token of Vault or OpenBao, or like a JWT.
TOKENS = re.compile(r"\b(?:hv[sbr]\.[\w-]{20,}|[sbr]\.[A-Za-z0-9]{24,}|eyJ[\w-]+\.eyJ[\w-]+)")
#: Small enough that a snapshot of `FILLED` bytes is several parts.
PART = 5 << 20
#: What a cluster of one node holds at least in these tests, and one of three: there the end of the
#: stream must be out of the dying leader's reach, beyond the 4 MiB that Linux buffers for a socket.
FILLED = 7 << 20
FILLED_THREE = 14 << 20


class Witness:
    """Knows all secrets of the tests, and all that the program said and wrote."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self._seen: list[tuple[str, str]] = []

    def secret(self, what: str, value: str) -> str:
        """Remember that `value` must be seen nowhere; gives it back."""
        if value:
            self._secrets[value] = what
        return value

    def saw(self, where: str, text: str | bytes) -> None:
        """Remember what was said, or is in a file."""
        self._seen.append((where, text if isinstance(text, str) else text.decode(errors="replace")))

    def saw_folder(self, folder: Path) -> None:
        """Remember all files of a folder."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.saw(str(file), file.read_bytes())

    def leaks(self) -> list[str]:
        """Which secret was seen where; the values themselves are not repeated."""
        found = []
        for where, text in self._seen:
            found += [f"{what} in {where}" for value, what in self._secrets.items() if value in text]
            found += [f"{match[0][:6]}... in {where}" for match in TOKENS.finditer(text)]
        return found

    @property
    def places(self) -> int:
        """How many texts it has looked at."""
        return len(self._seen)


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str = field(repr=False)
    err: str
    seconds: float
    #: What a Job wrote as its result; empty when it wrote none.
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """What it printed with `--output json`."""
        return json.loads(self.out)


class Running:
    """A process of the program that has begun."""

    def __init__(
        self,
        witness: Witness,
        command: Sequence[str],
        variables: Mapping[str, str],
        log: Path,
        terminal: int | None = None,
    ) -> None:
        """`terminal`: the descriptor of one that stands in for the file as standard error."""
        self._witness = witness
        self._log = log
        self._begun = time.monotonic()
        with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
            # In a session of its own, as a service is: a signal to the tests is not one to it.
            self.process = subprocess.Popen(
                command,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err if terminal is None else terminal,
                start_new_session=True,
            )
        witness.saw(f"command line of {command[3:5]}", self._command_line(command))

    def _command_line(self, command: Sequence[str]) -> bytes:
        """As the system shows it, or as it was given where the process has ended before.

        The system shows nothing in the first instant after the start, so it is asked until it does.
        """
        shown = b""
        while not shown and self.process.poll() is None:
            shown = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        return shown or b"\0".join(os.fsencode(argument) for argument in command)

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    @property
    def said(self) -> str:
        """What it wrote to standard error so far."""
        return self._log.with_suffix(".err").read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60) -> Ended:
        """Wait for its end; HarnessError, and it is killed, when that takes longer."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise HarnessError(f"it did not end within {seconds:g} s{tail(self._log)}") from None
        out = self._log.with_suffix(".out").read_text(encoding="utf-8", errors="replace")
        seconds = time.monotonic() - self._begun
        report = self._log.with_suffix(".result")
        result = report.read_text(encoding="utf-8") if report.exists() else "{}"
        self._witness.saw(f"run of {self._log}", out + self.said + result)
        return Ended(code, out, self.said, seconds, json.loads(result))

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class Site:
    """One folder with documents and Secrets, and the program that works with them."""

    def __init__(self, folder: Path, witness: Witness) -> None:
        self.folder = folder
        self.documents = folder / "documents"
        self.secrets = folder / "secrets"
        self.witness = witness
        self._runs: list[Running] = []
        self.documents.mkdir(parents=True)
        self.secrets.mkdir()

    # --- what it is configured with ------------------------------------------------------------

    def secret(self, name: str, **files: str) -> str:
        """A Secret: a folder with a file for each key; gives its name."""
        folder = self.secrets / name
        folder.mkdir(exist_ok=True)
        for key, value in files.items():
            (folder / key).write_text(value + "\n", encoding="utf-8")
            if key not in ("caCert", "username"):
                self.witness.secret(f"{name}/{key}", value)
        return name

    def token(self, cluster: VaultCluster, policies: Sequence[str] = ()) -> dict[str, Any]:
        """A login by a token that may read snapshots, or one of these policies."""
        self.witness.secret("the root token", cluster.root_token)
        self.witness.secret("the unseal key", cluster.unseal_key)
        token = create_token(cluster, policies or [allow_snapshots(cluster)])
        return {"method": "token", "secretRef": {"name": self.secret("bao-token", token=token)}}

    def describe(
        self,
        name: str,
        cluster: VaultCluster,
        target: Mapping[str, Any],
        *,
        addresses: Sequence[str] = (),
        auth: Mapping[str, Any] | None = None,
        connection: Mapping[str, Any] | None = None,
        **backup: Any,
    ) -> None:
        """Write the document of the cluster `default/NAME`; `backup` is added to `spec.backup`."""
        where = {"addresses": list(addresses or cluster.addresses), "caFile": str(cluster.ca_file)}
        document = {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "connection": where | dict(connection or {}),
                "backup": {
                    "schedule": "@yearly",
                    "target": dict(target),
                    "auth": dict(auth or self.token(cluster)),
                    **backup,
                },
            },
        }
        # JSON is YAML, too; a rename, since a manager may be reading it.
        draft = self.documents / f".{name}"
        draft.write_text(yaml.safe_dump(document), encoding="utf-8")
        draft.rename(self.documents / f"{name}.yaml")

    def job(
        self,
        name: str,
        *,
        bao: Mapping[str, Any] | None = None,
        store: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> dict[str, str]:
        """The variables of a Job for the cluster, with settings changed that no document has."""
        text = (self.documents / f"{name}.yaml").read_text(encoding="utf-8")
        found = settings_from_document(parse_cluster(yaml.safe_load(text), strict=True), str(self.secrets))
        found = replace(found, bao=replace(found.bao, **bao or {}), store=replace(found.store, **store or {}))
        return to_environment(replace(found, **settings))

    # --- what it does --------------------------------------------------------------------------

    def begin(
        self,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
        terminal: int | None = None,
    ) -> Running:
        """Start the program; `inside` is a command that becomes it."""
        command = [*inside, sys.executable, "-m", "bao_backup", *arguments]
        log = self.folder / f"run-{len(self._runs)}"
        report = {"BACKUP_RESULT_PATH": str(log.with_suffix(".result"))}
        environment = self._environment() | report | dict(variables or {})
        running = Running(self.witness, command, environment, log, terminal)
        self._runs.append(running)
        return running

    def run(
        self,
        command: str,
        name: str,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Ended:
        """Run a command for the cluster of this name, to its end; JSON where it has any."""
        return self.begin(command, *self.source(name), *arguments, variables=variables).wait(seconds)

    def source(self, name: str) -> list[str]:
        """The options that name the cluster."""
        return ["--config", str(self.documents), "--secrets", str(self.secrets), "--cluster", name]

    def backup(self, name: str) -> Ended:
        """`backup` by the document, with the result as JSON."""
        return self.run("backup", name, "--output", "json")

    def begin_job(self, variables: Mapping[str, str], inside: Sequence[str] = ()) -> Running:
        """`backup` by an environment, as in a Job."""
        return self.begin("backup", variables=variables, inside=inside)

    def end(self) -> None:
        """End what still runs, and look into everything that was written here but the Secrets."""
        for running in self._runs:
            running.kill()
        for each in self.folder.iterdir():
            if each.is_dir() and each != self.secrets:
                self.witness.saw_folder(each)

    def _environment(self) -> dict[str, str]:
        """No variable of a cloud, of Vault or of the tests' own process."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "AWS_METADATA_ENDPOINT": NOWHERE,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": NOWHERE,
        }
