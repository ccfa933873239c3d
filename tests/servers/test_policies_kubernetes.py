"""The printed role commands for tokens of ServiceAccounts, with a real API server and a real Vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import account_logins
from tests.harness.certificates import Authority
from tests.harness.control_plane import ControlPlane
from tests.harness.logins import AUDIENCE
from tests.harness.vault import VaultCluster
from tests.servers.places import FolderPlace
from tests.servers.policy_site import CLUSTER, Printed, tokens
from tests.servers.program import Site

pytestmark = pytest.mark.servers

ACCOUNT = f"{CLUSTER}-backup-serviceaccount"


@pytest.fixture(scope="module")
def trusting_vault(servers_folder: Path, vault_binary: Path, authority: Authority) -> Iterator[VaultCluster]:
    """A cluster that may use the plugin of the Kubernetes method."""
    folder = servers_folder / f"{vault_binary.name}-of-accounts"
    plugins = account_logins.plugin_folder()
    with VaultCluster(folder, vault_binary, authority=authority, plugins=plugins) as cluster:
        yield cluster


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_the_commands_for_tokens_of_accounts(
    control_plane: ControlPlane,
    trusting_vault: VaultCluster,
    site: Site,
    in_folder: FolderPlace,
    tmp_path: Path,
    method: str,
) -> None:
    """The run's ServiceAccount logs in and backs up; another, and another audience, are refused."""
    mount = f"printed-{method}"
    printed = Printed(site, in_folder, trusting_vault, mount)
    file = site.secrets / "pod" / "token"
    printed.describe({"method": method, "mountPath": mount, "role": "least", "file": str(file)})
    # With Vault the plugin has to be there, which is no business of the script's.
    account_logins.review_tokens(trusting_vault, [], control_plane, account="nobody")
    options = ("--issuer", control_plane.issuer, "--issuer-ca", str(control_plane.ca_file))
    script = printed.script(*options)
    if method == "kubernetes":
        # That line is for a server in a pod, which knows its CA and has a token of its own.
        lines = script.split("\n")
        script = "\n".join(line for line in lines if not line.startswith(f"bao write auth/{mount}/config "))
        assert len(script.split("\n")) == len(lines) - 1
    printed.paste(script, tmp_path / "pasted")
    if method == "kubernetes":
        # A server elsewhere is told where the API server is, and how to ask it.
        account_logins.review_tokens(trusting_vault, [], control_plane, account="nobody", mount=mount)
    control_plane.create_service_account(ACCOUNT)
    control_plane.create_service_account("stranger")
    before = tokens(trusting_vault)
    site.secret("pod", token=control_plane.token(ACCOUNT, audience=AUDIENCE))
    ended = printed.back_up()
    assert (ended.code, ended.result["warnings"]) == (0, []), ended.err
    assert tokens(trusting_vault) == before
    for account, audience in (("stranger", AUDIENCE), (ACCOUNT, "another")):
        site.secret("pod", token=control_plane.token(account, audience=audience))
        ended = printed.back_up()
        assert (ended.code, ended.result["reason"]) == (2, "LoginFailed")
