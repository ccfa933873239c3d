"""How credentials are read, sent, refused, and how what they buy is given back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.adapters.clients import TOKEN, settings_for
from tests.adapters.scripted import Script, ScriptedServer, reply

from bao_backup.adapters.bao import HttpBao
from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import InternalError, LeaderLostError, LoginError
from bao_backup.core.model import Leader

REVOKE = "/v1/auth/token/revoke-self"
SNAPSHOT = "/v1/sys/storage/raft/snapshot"
PATHS = {
    AuthMethod.JWT: "/v1/auth/jwt-operator/login",
    AuthMethod.KUBERNETES: "/v1/auth/kubernetes/login",
    AuthMethod.APPROLE: "/v1/auth/approle/login",
    AuthMethod.USERPASS: "/v1/auth/userpass/login/a%2Fb%20c",
}
SENT = {
    AuthMethod.JWT: {"role": "backup", "jwt": "the.jwt.itself"},
    AuthMethod.KUBERNETES: {"role": "backup", "jwt": "the.jwt.itself"},
    AuthMethod.APPROLE: {"role_id": "the-role-id", "secret_id": "the-secret-id"},
    AuthMethod.USERPASS: {"password": "the-password"},
}
SECRETS = ("the.jwt.itself", "the-secret-id", "the-password")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all credentials, each with a line end as people write them."""
    files = {
        "jwt": "the.jwt.itself",
        "role_id": "the-role-id",
        "secret_id": "the-secret-id",
        "username": "a/b c",
        "password": "the-password",
        "token": TOKEN,
    }
    for name, content in files.items():
        (tmp_path / name).write_text(f"{content}\n", encoding="utf-8")
    return tmp_path


def given(token: str = "s.obtained", **more: object) -> Script:
    """A good answer to a login."""
    return reply(200, json.dumps({"auth": {"client_token": token, **more}}).encode())


def client(server: ScriptedServer, folder: Path, method: AuthMethod) -> tuple[HttpBao, Leader]:
    """A client of this server."""
    return HttpBao(settings_for(server.url, folder=folder, method=method)), Leader(address=server.url)


@pytest.mark.parametrize("method", PATHS)
def test_each_method(method: AuthMethod, folder: Path) -> None:
    """Each method posts its credentials to its mount, and the token it gets opens the snapshot."""
    with ScriptedServer({PATHS[method]: given(), REVOKE: reply(204)}) as server:
        bao, leader = client(server, folder, method)
        bao.login(leader)
        bao.revoke(leader)
    login, revoke = server.seen
    assert (login.method, login.path) == ("POST", PATHS[method])
    assert json.loads(login.body) == SENT[method]
    assert "x-vault-token" not in login.headers
    assert "x-vault-namespace" not in login.headers
    assert (revoke.method, revoke.path) == ("POST", REVOKE)
    assert revoke.headers["x-vault-token"] == "s.obtained"


@pytest.mark.parametrize("method", PATHS)
@pytest.mark.parametrize("status", [400, 403, 404])
def test_refused(method: AuthMethod, status: int, folder: Path) -> None:
    """A refusal tells the mount and the server's words."""
    with ScriptedServer({PATHS[method]: reply(status, b'{"errors":["not\\nyou"]}')}) as server:
        bao, leader = client(server, folder, method)
        with pytest.raises(LoginError, match=f"refused: {status}, not you") as caught:
            bao.login(leader)
    assert caught.value.exit_code == 2
    assert f"by {method}" in caught.value.doing
    assert not any(secret in caught.value.message for secret in SECRETS)


@pytest.mark.parametrize("status", [400, 500, 503])
@pytest.mark.parametrize("method", PATHS)
def test_a_server_that_repeats_secrets(method: AuthMethod, status: int, folder: Path) -> None:
    """Words that hold what was sent are left out, whatever the answer's status."""
    words = json.dumps({"errors": [f"no good: {value}" for value in SENT[method].values()]}).encode()
    with ScriptedServer({PATHS[method]: reply(status, words)}) as server:
        bao, leader = client(server, folder, method)
        with pytest.raises((LoginError, LeaderLostError), match=str(status)) as caught:
            bao.login(leader)
    assert not any(secret in caught.value.message + caught.value.details for secret in SECRETS)


@pytest.mark.parametrize("status", [302, 307, 429, 472, 473, 500, 503])
def test_cannot_serve(status: int, folder: Path) -> None:
    """A node that is no leader (any more) cannot serve logins: that is no refusal, and not followed."""
    with ScriptedServer({}) as elsewhere, ScriptedServer({}) as server:
        path = PATHS[AuthMethod.APPROLE]
        server.scripts[path] = reply(status, b"{}", f"Location: {elsewhere.url}{path}")
        bao, leader = client(server, folder, AuthMethod.APPROLE)
        with pytest.raises(LeaderLostError, match=str(status)):
            bao.login(leader)
        assert elsewhere.seen == []


def test_gone(folder: Path) -> None:
    """A server that went away is no refusal either."""
    bao = HttpBao(settings_for("http://127.0.0.1:1", folder=folder, method=AuthMethod.JWT))
    with pytest.raises(LeaderLostError, match="connection refused"):
        bao.login(Leader(address="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(200, b"<html>"), "the answer holds no token"),
        (reply(200, b'{"auth":null}'), "the answer holds no token"),
        (reply(200, b'{"auth":{"client_token":""}}'), "the answer holds no token"),
        (given("", mfa_requirement={"mfa_request_id": "1"}), "a second factor is asked for"),
    ],
)
def test_no_token(answer: Script, said: str, folder: Path) -> None:
    """A good status without a token is a LoginError that says so."""
    with ScriptedServer({PATHS[AuthMethod.JWT]: answer}) as server:
        bao, leader = client(server, folder, AuthMethod.JWT)
        with pytest.raises(LoginError, match=said):
            bao.login(leader)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (AuthMethod.TOKEN, "token"),
        (AuthMethod.JWT, "jwt"),
        (AuthMethod.KUBERNETES, "jwt"),
        (AuthMethod.APPROLE, "role_id"),
        (AuthMethod.APPROLE, "secret_id"),
        (AuthMethod.USERPASS, "username"),
        (AuthMethod.USERPASS, "password"),
    ],
)
def test_files(method: AuthMethod, name: str, folder: Path) -> None:
    """A file that is missing, empty or not text is named, and nothing is sent."""
    with ScriptedServer({}) as server:
        bao, leader = client(server, folder, method)
        (folder / name).write_bytes(b"\xff\xfe secret")
        with pytest.raises(LoginError, match=f"{name}: it is not text") as caught:
            bao.login(leader)
        assert caught.value.__cause__ is None
        (folder / name).write_text(" \n", encoding="utf-8")
        with pytest.raises(LoginError, match=f"{name}: it is empty") as caught:
            bao.login(leader)
        assert caught.value.hint == "put it there, readable, or correct spec.backup.auth"
        (folder / name).unlink()
        with pytest.raises(LoginError, match=f"{name}: no such file"):
            bao.login(leader)
        assert server.seen == []


@pytest.mark.parametrize("content", ["s.one\ns.two", "s.one\r\nX-Injected: 1", "s.tok en", "s.töken"])
def test_a_token_is_one_word(content: str, folder: Path) -> None:
    """What could not be a header's value is refused at once, and not repeated."""
    (folder / "token").write_text(content, encoding="utf-8")
    with ScriptedServer({}) as server:
        bao, leader = client(server, folder, AuthMethod.TOKEN)
        with pytest.raises(LoginError, match="more than one word") as caught:
            bao.login(leader)
        assert content.split(maxsplit=1)[0] not in caught.value.message
        assert server.seen == []


def test_rotation(folder: Path) -> None:
    """Each login reads the credentials anew."""
    path = PATHS[AuthMethod.JWT]
    with ScriptedServer({path: given()}) as server:
        bao, leader = client(server, folder, AuthMethod.JWT)
        bao.login(leader)
        (folder / "jwt").write_text("another.jwt", encoding="utf-8")
        bao.login(leader)
    assert [json.loads(seen.body)["jwt"] for seen in server.seen] == ["the.jwt.itself", "another.jwt"]


def test_a_token_that_was_obtained_is_kept_by_the_server(folder: Path) -> None:
    """From the login to the revocation."""
    with ScriptedServer({PATHS[AuthMethod.JWT]: given()}) as server:
        bao, leader = client(server, folder, AuthMethod.JWT)
        assert not bao.login_is_stored()
        bao.login(leader)
        assert bao.login_is_stored()


@pytest.mark.parametrize("method", [AuthMethod.TOKEN, AuthMethod.JWT])
def test_what_is_not_revoked(method: AuthMethod, folder: Path) -> None:
    """A configured token is not ours to revoke, a batch token cannot be; both are forgotten."""
    with ScriptedServer({PATHS[AuthMethod.JWT]: given("b.batch", token_type="batch")}) as server:
        bao, leader = client(server, folder, method)
        bao.login(leader)
        assert not bao.login_is_stored()
        bao.revoke(leader)
        assert all(seen.path != REVOKE for seen in server.seen)
        with pytest.raises(InternalError):
            bao.snapshot(leader)


@pytest.mark.parametrize("answer", [reply(403, b'{"errors":["permission denied"]}'), reply(307), Script(())])
def test_a_token_that_is_not_revoked(answer: Script, folder: Path) -> None:
    """That it could not be revoked is a LoginError; it is forgotten all the same."""
    with ScriptedServer({PATHS[AuthMethod.JWT]: given(), REVOKE: answer}) as server:
        bao, leader = client(server, folder, AuthMethod.JWT)
        bao.login(leader)
        with pytest.raises(LoginError, match="revoke the login token") as caught:
            bao.revoke(leader)
        assert "time to live" in caught.value.hint
        assert "s.obtained" not in caught.value.message
        bao.revoke(leader)
        assert [seen.path for seen in server.seen].count(REVOKE) == 1
