"""Sends a proven snapshot to the server: at most once, and its end only when all of it is still the same."""

from __future__ import annotations

from contextlib import closing

from bao_backup.core.after_restore import Look, Sent
from bao_backup.core.errors import BaoBackupError, InternalError, LeaderLostError, RestoreUnknownError
from bao_backup.core.model import Leader
from bao_backup.core.restore_checks import compare_versions
from bao_backup.core.restore_errors import RestoreCutOffError, RestoreError
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.flows.handover import ahead
from bao_backup.flows.restore_server import RestoreServer
from bao_backup.flows.restore_source import RestoreSource
from bao_backup.flows.restore_watch import RestoreWatch
from bao_backup.flows.stop import Stop
from bao_backup.ports import Reporter


class Submission:
    """The one time that a snapshot is sent.

    Attributes:
        begun: it has begun, and will not begin again, whatever came of it.
    """

    def __init__(
        self,
        settings: RestoreSettings,
        *,
        server: RestoreServer,
        source: RestoreSource,
        watch: RestoreWatch,
        stop: Stop,
        reporter: Reporter,
    ) -> None:
        self._settings = settings
        self._server = server
        self._source = source
        self._watch = watch
        self._stop = stop
        self._reporter = reporter
        self._doing = f"restore {settings.namespace}/{settings.name}"
        self.begun = False

    def submit(self, proposal: Proposal) -> Sent:
        """Send it, once; what comes back says what was sent, and whether it was accepted."""
        leader, before = self._server.in_tries(lambda: self._look_before(proposal))
        fresh = self._server.bao.login_is_stored()
        self._stop.check()
        self._reporter.say(f"sending {proposal.location} to {leader.address}, {proposal.path}")
        accepted = self._send(leader, proposal)
        if accepted:
            self._reporter.say("the server takes it")
        else:
            self._reporter.say("the answer was lost: asking the server what became of it")
        return Sent(before=before, leader=leader, accepted=accepted, fresh_login=fresh)

    def _look_before(self, proposal: Proposal) -> tuple[Leader, Look]:
        """Who leads now, what it says, and that it is still what was shown to a person."""
        leader = self._server.find_leader()
        shown = proposal.leader
        if leader.cluster_id != shown.cluster_id:
            raise RestoreError(
                self._doing, f"{leader.address} is of another cluster than {shown.address} was"
            )
        if leader.version != shown.version:
            compare_versions(proposal.location, proposal.version, leader.version, force=self._settings.force)
        self._server.bao.login(leader)
        look = self._watch.look()
        if not look.led_by(leader):
            raise LeaderLostError(f"look at {leader.address}", "it is not the leader any more")
        return leader, look

    def _send(self, leader: Leader, proposal: Proposal) -> bool:
        """Whether it was accepted; False when nobody knows. Raises where nothing was applied."""
        chunks = ahead(self._source.again(proposal.stored, proposal.contents), self._stop)
        self.begun = True
        try:
            with closing(chunks), self._stop.closing(self._server.bao.interrupt):
                self._server.bao.restore(leader, chunks, proposal.contents.size, force=proposal.force)
        except RestoreUnknownError:
            return False
        except (RestoreCutOffError, LeaderLostError):
            self._stop.check()  # it was cut off because the run must end: say that instead
            raise
        except BaoBackupError:
            raise
        except Exception as error:
            if not self._source.whole:
                raise
            why = InternalError.unforeseen("send", error).why
            raise RestoreUnknownError(f"restore {proposal.location} to {leader.address}", why) from error
        return True
