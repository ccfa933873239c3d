"""A restore that a person orders by options: shown and asked for, beside the manager on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks
from bao_backup.core.errors import ConfigurationError, InterruptedRunError
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.entry.asking import ask, is_terminal
from bao_backup.entry.commands.restore_order import Order
from bao_backup.entry.output import say
from bao_backup.entry.progress import ScopedReporter
from bao_backup.entry.restore_settings import DOING, Choice, check_choice, settings_of
from bao_backup.entry.restore_words import done_in_words, may_be_new_in_words, proposal_in_words, way_back
from bao_backup.entry.restoring import RestoreEnded
from bao_backup.entry.source import Source
from bao_backup.flows.stop import Stop


@dataclass
class PersonOrder(Order):
    """By options: a person is asked, unless there was a yes beforehand."""

    source: Source
    choice: Choice
    yes: bool
    state: Path
    #: Whether that folder was named, and is not only the usual one.
    state_given: bool
    settings: RestoreSettings | None = None
    proposal: Proposal | None = field(default=None, repr=False)
    seen: tuple[str, ...] = ()
    locks: RestoreLocks | None = field(default=None, repr=False)

    def load(self) -> RestoreSettings:
        check_choice(self.choice)
        if not self.yes and not is_terminal():
            hint = "run it on a terminal, or say yes beforehand with --yes"
            raise ConfigurationError(DOING, "there is no terminal to ask on", hint=hint)
        self.settings = settings_of(self.source, self.choice)
        _check_files(self.choice)
        self._look_for_a_manager(self.settings)
        return self.settings

    def _look_for_a_manager(self, settings: RestoreSettings) -> None:
        """Refuse before anything is read where it would collide with what a manager does now."""
        overwritten = Overwritten(
            settings.namespace,
            settings.name,
            settings.bao.addresses,
            by_name=bool(settings.uid) and not self.choice.to,
        )
        if self.state_given:
            from bao_backup.entry.commands.manager import open_state

            open_state(self.state).close()
        self.locks = RestoreLocks(self.state, overwritten)
        if not self.locks.check() and self.state_given:
            say(f"the manager with {self.state} knows no such cluster: nothing has to be locked there")

    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        stop.check()
        self.proposal = proposal
        for line in proposal_in_words(proposal, datetime.now(UTC)):
            reporter.say(line)
        if self.yes:
            return
        named = f"{proposal.namespace}/{proposal.name}"
        self.seen = proposal.warnings
        doing, hint = f"restore {named}", "nothing was changed"
        try:
            with reporter.aside(), stop.standing_still():
                agreed = ask(
                    f"Type the cluster's name, {named}, to go on (anything else ends it):",
                    {named, proposal.name, "yes"},
                    stop,
                )
        except InterruptedRunError as error:
            raise InterruptedRunError(doing, error.why, hint=hint) from error
        if not agreed:
            raise ConfigurationError(doing, "nobody said yes", hint=hint)

    @contextmanager
    def hold(self) -> Iterator[None]:
        if self.locks is None:
            yield
            return
        with self.locks.hold(datetime.now(UTC)):
            yield

    def ending(self, ended: RestoreEnded) -> list[str]:
        safety_key, error = ended.result.safety_key, ended.error
        if self.settings is None:
            return []
        back: list[str] = []
        if safety_key:
            state = str(self.state) if self.state_given else ""
            back = way_back(self.source, self.choice, self.settings, safety_key, state)
        if ended.restored is not None:
            leader = ended.restored.leader.address
            return done_in_words(ended.result, leader, ended.restored.next_steps, back)
        if error is not None and ended.may_be_new:
            before = self.proposal.leader.cluster_name if self.proposal is not None else ""
            return may_be_new_in_words(error, before, safety_key, back)
        if not safety_key:
            return []
        return [f"nothing was restored; what is there was backed up before, as {safety_key}"]


def _check_files(choice: Choice) -> None:
    """ConfigurationError for a file that is not there, before a backup of hours is read and proven."""
    for option, path in (("--token-file", choice.token_file), ("--ca-file", choice.ca_file)):
        if path is not None and not os.access(path, os.R_OK):
            why = f"{option} {path} is not there, or may not be read"
            raise ConfigurationError(DOING, why, hint="name a file that may be read")
