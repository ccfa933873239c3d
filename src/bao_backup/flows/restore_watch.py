"""Finds out from the server what became of a snapshot that was sent to it."""

from __future__ import annotations

from collections import deque

from bao_backup.core.after_restore import (
    LONGEST_LOOKS,
    Judgement,
    Look,
    Sent,
    Verdict,
    judge,
    sealed_error,
    unknown_error,
)
from bao_backup.core.errors import BaoBackupError, InterruptedRunError
from bao_backup.flows.restore_login import RestoreLogin
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Reporter


class RestoreWatch:
    """Looks at the nodes, from now on and again and again."""

    def __init__(self, bao: RestoreLogin, *, clock: Clock, stop: Stop, reporter: Reporter) -> None:
        self._bao = bao
        self._clock = clock
        self._stop = stop
        self._reporter = reporter

    def look(self) -> Look:
        """What the nodes say now, and whether their leader knows the login."""
        look = Look(nodes=self._bao.nodes())
        leader = look.leader
        known = self._bao.still_known(leader) if leader is not None else None
        return Look(nodes=look.nodes, knows_login=known)

    def until_settled(self, doing: str, sent: Sent, *, pause: float, longest: float) -> Look:
        """The look at a settled leader with the snapshot's data.

        Raises RestoreSealedError; RestoreUnknownError when `longest` seconds are over, or the run must end.
        """
        begun = self._clock.monotonic()
        looks: deque[Look] = deque(maxlen=LONGEST_LOOKS)
        told = ""
        while True:
            look, failed = self._look_again()
            looks.append(look)
            judgement = judge(sent, tuple(looks))
            if failed:
                judgement = Judgement(Verdict.NOT_YET, failed)
            if judgement.verdict is Verdict.DONE:
                return looks[-1]
            if judgement.verdict is Verdict.SEALED:
                raise sealed_error(doing, sent, judgement, looks[-1])
            if judgement.why != told:
                self._reporter.say(f"waiting for the server: {judgement.why}")
                told = judgement.why
            if self._clock.monotonic() - begun >= longest:
                raise unknown_error(doing, sent, judgement, f"after {longest:g} s of looking at it")
            self._wait(doing, sent, judgement, pause)

    def _look_again(self) -> tuple[Look, str]:
        """A look after the submission, and why it failed: that is no end of the restore, whatever it is.

        A CA file that is being replaced, or a certificate that is another one since the server began
        anew, say nothing of what the server took.
        """
        try:
            return self.look(), ""
        except BaoBackupError as error:
            return Look(nodes=()), f"{error.doing}: {error.why}"

    def _wait(self, doing: str, sent: Sent, judgement: Judgement, pause: float) -> None:
        try:
            self._stop.wait(pause)
        except InterruptedRunError as error:
            raise unknown_error(doing, sent, judgement, f"since this run was ended ({error.why})") from error
