"""Who started a restore: what is restored, who is asked, and what is said at its end."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings, from_environment
from bao_backup.entry.progress import ScopedReporter
from bao_backup.entry.restoring import RestoreEnded
from bao_backup.flows.stop import Stop


class Order(ABC):
    """Whoever started the restore: what is restored, and who is asked."""

    #: The warnings that a person was shown and asked about: they are not told again.
    seen: tuple[str, ...] = ()

    @abstractmethod
    def load(self) -> RestoreSettings:
        """The settings."""

    @abstractmethod
    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        """Show what would be done; raises where it must not be."""

    @abstractmethod
    def hold(self) -> AbstractContextManager[None]:
        """Keep others away while inside."""

    @abstractmethod
    def ending(self, ended: RestoreEnded) -> list[str]:
        """What is said at the end, besides errors and warnings."""


class JobOrder(Order):
    """By the environment: somebody wrote a document, and the manager holds the lock."""

    def load(self) -> RestoreSettings:
        return from_environment(os.environ)

    def agree(self, proposal: Proposal, stop: Stop, reporter: ScopedReporter) -> None:
        stop.check()
        for line in proposal.lines():
            reporter.say(line)

    @contextmanager
    def hold(self) -> Iterator[None]:
        yield

    def ending(self, ended: RestoreEnded) -> list[str]:
        return [ended.result.message] if ended.error is None else []
