"""The printed policy and role commands, on a real Vault: they work as they are, and nothing is too much."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.harness.certificates import Authority
from tests.harness.identities import OpenIdIssuer
from tests.harness.logins import enable_approle
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import FolderPlace
from tests.servers.policy_site import Printed, by_secret, tokens
from tests.servers.program import Site

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import LoginError, SnapshotDeniedError
from bao_backup.core.policies.server import CAPABILITIES, FORCE, LOOKUP, REVOKE, SNAPSHOT, to_hcl
from bao_backup.core.restore_errors import RestoreDeniedError, RestoreRefusedError

pytestmark = pytest.mark.servers

_number = itertools.count(1)

Rules = dict[str, tuple[str, ...]]


@pytest.fixture
def printed(vault: VaultCluster, site: Site, in_folder: FolderPlace) -> Printed:
    """Not yet described."""
    return Printed(site, in_folder, vault, f"least-{next(_number)}")


@pytest.mark.parametrize(
    ("method", "files"),
    [
        ("approle", ("role_id", "secret_id")),
        ("userpass", ("username", "password")),
        ("token", ("token",)),
    ],
)
def test_the_commands_make_a_login_that_backs_up(
    printed: Printed, tmp_path: Path, method: str, files: tuple[str, ...]
) -> None:
    """Pasted as they are; the run has no warning, and its token no policy but the printed one."""
    printed.describe(by_secret(method, printed.mount if method != "token" else ""))
    printed.paste(printed.script(), tmp_path / "pasted")
    printed.give(tmp_path / "pasted", *files)
    before = tokens(printed.vault)
    ended = printed.back_up()
    assert (ended.code, ended.result.get("warnings", [])) == (0, []), ended.err
    assert tokens(printed.vault) == before


def test_the_commands_for_tokens_of_pods(
    printed: Printed, tmp_path: Path, issuer: OpenIdIssuer, authority: Authority
) -> None:
    """By what the issuer publishes; tokens of another ServiceAccount or for another audience are refused."""
    file = printed.site.secrets / "pod" / "token"
    printed.describe({"method": "jwt", "mountPath": printed.mount, "role": "least", "file": str(file)})
    options = ("--issuer", issuer.url, "--issuer-ca", str(authority.ca_file))
    printed.paste(printed.script(*options), tmp_path / "pasted")
    subject = "system:serviceaccount:default:least-backup-serviceaccount"
    before = tokens(printed.vault)
    printed.site.secret("pod", token=issuer.tokens.issue(subject, "openbao-internal"))
    ended = printed.back_up()
    assert (ended.code, ended.result["warnings"]) == (0, []), ended.err
    assert tokens(printed.vault) == before
    for wrong in (
        issuer.tokens.issue("system:serviceaccount:default:other", "openbao-internal"),
        issuer.tokens.issue(subject, "sts.amazonaws.com"),
    ):
        printed.site.secret("pod", token=wrong)
        ended = printed.back_up()
        assert (ended.code, ended.result["reason"]) == (2, "LoginFailed")


def test_a_login_has_no_other_policy(printed: Printed, tmp_path: Path) -> None:
    """Not even the server's default one, so it may not so much as look at itself."""
    printed.describe(by_secret("approle", printed.mount))
    printed.paste(printed.script(), tmp_path / "pasted")
    credentials = {name: (tmp_path / "pasted" / name).read_text() for name in ("role_id", "secret_id")}
    login = printed.vault.ask("PUT", f"auth/{printed.mount}/login", credentials)["auth"]
    assert login["policies"] == ["bao-backup"]
    node = printed.vault.leader()
    for path in ("auth/token/lookup-self", "sys/mounts", "sys/storage/raft/configuration", "secret/x"):
        assert node.request("GET", path, token=login["client_token"]).status == 403


# --- each rule taken away -------------------------------------------------------------------------


@dataclass
class Rights:
    """Logins by a role whose policy a test chooses."""

    vault: VaultCluster
    folder: Path
    mount: str

    def bao(self, rules: Rules, *, default: bool = False) -> HttpBao:
        """A client that has logged in with these rules alone, or with the server's default policy beside."""
        policy = f"{self.mount}-policy"
        self.vault.policy(policy, to_hcl(rules) or "# nothing")
        role = enable_approle(self.vault, [policy], mount=self.mount)
        self.vault.ask("POST", f"auth/{self.mount}/role/backup", {"token_no_default_policy": not default})
        self.folder.mkdir(exist_ok=True)
        (self.folder / "role_id").write_text(role.role_id)
        (self.folder / "secret_id").write_text(role.secret_id)
        auth = BaoAuth(method=AuthMethod.APPROLE, mount=self.mount, secret_folder=str(self.folder))
        settings = BaoSettings(
            addresses=tuple(self.vault.addresses), auth=auth, ca_file=str(self.vault.ca_file)
        )
        bao = HttpBao(settings)
        bao.login(bao.find_leader())
        return bao


@pytest.fixture
def rights(vault: VaultCluster, tmp_path: Path) -> Iterator[Rights]:
    """At a mount of its own."""
    yield Rights(vault, tmp_path / "rights", f"rights-{next(_number)}")
    vault.heal()


def rules_of(printed: Printed, *options: str) -> Rules:
    """The printed policy, as rules: read from its text, as the server does."""
    printed.describe(by_secret("approle", printed.mount))
    text = printed.script(*options).partition("<<'END'\n")[2].partition("\nEND\n")[0]
    found: Rules = {}
    for block in text.split('path "')[1:]:
        path, _, rest = block.partition('"')
        words = rest.partition("[")[2].partition("]")[0]
        found[path] = tuple(shlex.split(words.replace(",", " ")))
    return found


def without(rules: Rules, path: str, capability: str) -> Rules:
    """The rules with this one capability taken away, and its path where none is left."""
    left = tuple(each for each in rules[path] if each != capability)
    assert left != rules[path]
    return {
        **{each: words for each, words in rules.items() if each != path},
        **({path: left} if left else {}),
    }


def snapshot(bao: HttpBao) -> bytes:
    """All of one snapshot."""
    stream = bao.snapshot(bao.find_leader())
    try:
        return b"".join(stream)
    finally:
        stream.close()


def can_read(bao: HttpBao) -> bool:
    """Whether it gets a snapshot."""
    try:
        return bool(snapshot(bao))
    except SnapshotDeniedError:
        return False


def can_give_back(bao: HttpBao) -> bool:
    """Whether the token can be revoked by itself."""
    try:
        bao.revoke(bao.find_leader())
    except LoginError:
        return False
    return True


def can_ask(bao: HttpBao) -> bool:
    """Whether it is told what it may do."""
    return bao.capabilities(bao.find_leader(), [SNAPSHOT]) is not None


def is_known(bao: HttpBao) -> bool:
    """Whether it is told that the server knows it."""
    return bao.knows_login(bao.find_leader())


def may_send(bao: HttpBao, *, force: bool) -> bool:
    """Whether a restore gets so far that the server looks at what it is sent, which is no snapshot."""
    body = b"no snapshot" * 10_000
    try:
        bao.restore(bao.find_leader(), iter([body]), len(body), force=force)
    except RestoreDeniedError:
        return False
    except RestoreRefusedError:
        return True
    raise AssertionError("the server took what is no snapshot")


#: What a rule is for: a path and a capability -> what works with it, and does not without.
BACKUP: dict[tuple[str, str], Callable[[HttpBao], bool]] = {
    (SNAPSHOT, "read"): can_read,
    (CAPABILITIES, "update"): can_ask,
    (REVOKE, "update"): can_give_back,
}
RESTORE: dict[tuple[str, str], Callable[[HttpBao], bool]] = {
    (SNAPSHOT, "read"): can_read,
    (SNAPSHOT, "update"): lambda bao: may_send(bao, force=False),
    (FORCE, "update"): lambda bao: may_send(bao, force=True),
    (LOOKUP, "read"): is_known,
    (CAPABILITIES, "update"): can_ask,
    (REVOKE, "update"): can_give_back,
}
EACH = [("backup", *row) for row in BACKUP] + [("restore", *row) for row in RESTORE]


@pytest.mark.parametrize(("purpose", "table"), [("backup", BACKUP), ("restore", RESTORE)])
def test_the_policy_is_enough(
    printed: Printed,
    rights: Rights,
    purpose: str,
    table: dict[tuple[str, str], Callable[[HttpBao], bool]],
) -> None:
    """All that the tables know works, and the tables are of the whole policy."""
    rules = rules_of(printed, "--for", purpose, "--force")
    assert {(path, word) for path, words in rules.items() for word in words} == table.keys()
    bao = rights.bao(rules)
    assert [row for row, works in table.items() if not works(bao)] == []


@pytest.mark.parametrize(("purpose", "path", "capability"), EACH)
def test_nothing_of_the_policy_is_too_much(
    printed: Printed, rights: Rights, purpose: str, path: str, capability: str
) -> None:
    """With one capability taken away exactly what it is for does not work; all else still does."""
    table = BACKUP if purpose == "backup" else RESTORE
    rules = rules_of(printed, "--for", purpose, "--force")
    bao = rights.bao(without(rules, path, capability))
    failing = [row for row, works in table.items() if not works(bao)]
    assert failing == [(path, capability)]


def test_with_the_default_policy_the_snapshots_paths_are_enough(printed: Printed, rights: Rights) -> None:
    """The others are in it."""
    rules = rules_of(printed, "--for", "restore", "--force")
    bao = rights.bao({path: rules[path] for path in (SNAPSHOT, FORCE)}, default=True)
    assert [row for row, works in RESTORE.items() if not works(bao)] == []


def test_a_backup_cannot_restore(printed: Printed, rights: Rights) -> None:
    """By no path."""
    bao = rights.bao(rules_of(printed))
    assert not may_send(bao, force=False)
    assert not may_send(bao, force=True)


def test_a_run_without_the_right_to_give_its_token_back_says_so(printed: Printed, tmp_path: Path) -> None:
    """The backup is there, and a warning that the token lives on."""
    printed.describe(by_secret("approle", printed.mount))
    printed.paste(printed.script(), tmp_path / "pasted")
    printed.give(tmp_path / "pasted", "role_id", "secret_id")
    printed.vault.policy("bao-backup", to_hcl(without(rules_of(printed), REVOKE, "update")))
    ended = printed.back_up()
    assert ended.code == 0
    assert ["not revoked" in warning for warning in ended.result["warnings"]] == [True]


@pytest.mark.parametrize("force", [False, True])
def test_who_restores_restores(printed: Printed, rights: Rights, force: bool) -> None:
    """With the printed policy a genuine snapshot is taken, and what was written after it is gone."""
    vault = printed.vault
    bao = rights.bao(rules_of(printed, "--for", "restore", "--force"))
    body = snapshot(bao)
    vault.write_secret("after", {"is": "gone"})
    bao.restore(bao.find_leader(), iter([body]), len(body), force=force)
    wait_until("the restored data", lambda: _gone(vault), seconds=60, every=0.2)


def _gone(vault: VaultCluster) -> bool:
    leader = vault.find_leader()
    return leader is not None and leader.request("GET", "secret/after", token=vault.root_token).status == 404
