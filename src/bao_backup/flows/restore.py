"""Restores one backup into one cluster, in two halves, so that a person can be asked between them.

`prove` reads the backup to its end before the server hears of it, looks at the server, and proposes.
`carry_out` backs up what is there, sends the same object, proven again while it flows, and finds out
from the server what became of it. A snapshot is submitted at most once, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self

from msgspec.structs import replace

from bao_backup.core.after_restore import Look, doubts, next_steps
from bao_backup.core.blocks import BLOCK
from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.restore_checks import absent_nodes, slow_source
from bao_backup.core.restore_errors import RestoreSealedError
from bao_backup.core.restore_outcome import Proposal, Restored
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.flows.read import Readable
from bao_backup.flows.restore_login import RestoreLogin
from bao_backup.flows.restore_proposal import propose
from bao_backup.flows.restore_safety import SafetyBackup
from bao_backup.flows.restore_server import RestorePatience, RestoreServer
from bao_backup.flows.restore_source import RestoreSource
from bao_backup.flows.restore_submission import Submission
from bao_backup.flows.restore_watch import RestoreWatch
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter, Store


class RestoreFlow:
    """One restore: `with RestoreFlow(...) as flow: flow.carry_out(flow.prove())`.

    Args:
        settings: what is restored, to where.
        bao: the cluster that is overwritten.
        source: the store of `settings.source`, or the file `settings.wanted.file`.
        safety: the store of `settings.safety`, where there is one.
        clock: the time.
        stop: ends the run; after the submission that is RestoreUnknownError.
        reporter: told each phase.
        patience: how long to go on trying.
    """

    #: In pieces of so many bytes what is sent is compared with what was proven.
    block: ClassVar[int] = BLOCK

    def __init__(
        self,
        settings: RestoreSettings,
        *,
        bao: Bao,
        source: Readable,
        safety: Store | None,
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
        patience: RestorePatience | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._reporter = reporter
        self._patience = patience or RestorePatience()
        self._bao = RestoreLogin(bao)
        self._server = RestoreServer(
            self._bao, clock=clock, stop=stop, reporter=reporter, patience=self._patience
        )
        self._safety = SafetyBackup(
            settings, safety, server=self._server, clock=clock, stop=stop, reporter=reporter
        )
        self._source = RestoreSource(settings, source, stop=stop, reporter=reporter, block=self.block)
        self._watch = RestoreWatch(self._bao, clock=clock, stop=stop, reporter=reporter)
        self._submission = Submission(
            settings,
            server=self._server,
            source=self._source,
            watch=self._watch,
            stop=stop,
            reporter=reporter,
        )
        self._doing = f"restore {settings.namespace}/{settings.name}"
        self._started = clock.now()
        self._warnings: tuple[str, ...] = ()
        #: The key, or the file, that is restored, as soon as it is known.
        self.key = settings.wanted.key or settings.wanted.file

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know besides, so far."""
        return tuple(dict.fromkeys((*self._warnings, *self._safety.warnings)))

    @property
    def safety_key(self) -> str:
        """The backup of what was there before, as soon as it is proven; also when a later step fails."""
        return self._safety.key

    @property
    def submitted(self) -> bool:
        """Whether the submission has begun: there will not be another one."""
        return self._submission.begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give back the login; that this fails is a warning."""
        why = self._bao.give_back(may_be_gone=self.submitted)
        if why:
            self._warn((f"the login token was not revoked: {why}",))

    # --- the first half ------------------------------------------------------------------------

    def prove(self) -> Proposal:
        """Prove the backup, then look at the server. Changes nothing anywhere.

        Raises what says that this restore must not be, or cannot be: ConfigurationError, StorageError,
        VerificationError, LeaderError, LoginError, SnapshotNewerError, RestoreDeniedError,
        SafetyBackupError; InterruptedRunError.
        """
        if self._safety.has_half_a_place:
            raise ConfigurationError(self._doing, "the place of the safety backup and its store do not fit")
        begun = self._clock.monotonic()
        backup = self._source.prove()
        took = self._clock.monotonic() - begun
        self.key = backup.stored.key
        proposal = self._server.in_tries(
            lambda: propose(self._settings, backup, self._server, self._safety.place)
        )
        self._warn(proposal.warnings)
        # To be known before; once it is sent, the server's answer says it better.
        return replace(proposal, warnings=(*proposal.warnings, *slow_source(took)))

    # --- the second half -----------------------------------------------------------------------

    def carry_out(self, proposal: Proposal) -> Restored:
        """Do what was proposed.

        Raises, where the server has what it had: RestoreError and its kinds (but RestoreSealedError),
        StorageError, VerificationError, LeaderError, LeaderLostError, LoginError, InterruptedRunError.
        Where it may not: RestoreSealedError, RestoreUnknownError. `safety_key` is set in any case
        where there is a safety backup.
        """
        if self.submitted:
            raise InternalError(self._doing, "this flow has submitted a snapshot already")
        if proposal.safety and not self.safety_key:
            self._safety.take(proposal)
        sent = self._submission.submit(proposal)
        doing = f"restore {proposal.location} to {sent.leader.address}"
        longest = self._patience.settling(proposal.contents.meta.size)
        try:
            end = self._watch.until_settled(doing, sent, pause=self._patience.pause, longest=longest)
        except RestoreSealedError:
            self._bao.forget()  # with all that was there before
            raise
        self._warn(doubts(sent, end))
        return self._done(proposal, end)

    def _done(self, proposal: Proposal, end: Look) -> Restored:
        leader = end.leader
        assert leader is not None  # noqa: S101 - a settled one
        self._reporter.say(f"{leader.address} leads, with the data of {proposal.location}")
        self._warn(absent_nodes(end.nodes))
        self.release()
        contents = proposal.contents
        return Restored(
            namespace=self._settings.namespace,
            name=self._settings.name,
            key=proposal.stored.key,
            size=contents.size,
            sha256=contents.sha256,
            raft_index=contents.meta.index,
            raft_term=contents.meta.term,
            leader=leader,
            started=self._started,
            finished=self._clock.now(),
            safety_key=self.safety_key,
            next_steps=next_steps(end),
            warnings=self.warnings,
        )

    def _warn(self, warnings: Iterable[str]) -> None:
        self._warnings = (*self._warnings, *warnings)
