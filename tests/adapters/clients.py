"""Clients for the scripted server."""

from __future__ import annotations

from pathlib import Path

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.model import Leader

TOKEN = "s.aSecretToken"


def settings_for(
    *addresses: str,
    folder: Path,
    method: AuthMethod = AuthMethod.TOKEN,
    ca_file: str = "",
    server_name: str = "",
    connect_seconds: float = 5.0,
    stall_seconds: float = 5.0,
) -> BaoSettings:
    """Settings whose credentials are the files of one folder."""
    auth = BaoAuth(
        method=method,
        role="backup",
        token_file=str(folder / "token"),
        jwt_file=str(folder / "jwt"),
        secret_folder=str(folder),
    )
    return BaoSettings(
        addresses=addresses,
        auth=auth,
        ca_file=ca_file,
        server_name=server_name,
        connect_seconds=connect_seconds,
        stall_seconds=stall_seconds,
    )


def logged_in(url: str, folder: Path, stall_seconds: float = 5.0) -> tuple[HttpBao, Leader]:
    """A client that has a token already, and the address it is for."""
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    bao = HttpBao(settings_for(url, folder=folder, stall_seconds=stall_seconds))
    leader = Leader(address=url)
    bao.login(leader)
    return bao, leader
