"""Log in: read the credentials from their files, trade them for a token, give it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bao_backup.adapters.bao.connection import Reply
from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.errors import LeaderLostError, LoginError

#: What a file with a credential may have at most, in bytes.
_CREDENTIAL_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and whether it is ours to revoke."""

    value: str = field(repr=False)
    revocable: bool


@dataclass(frozen=True, slots=True)
class LoginCall:
    """What to post, and where."""

    path: str
    body: dict[str, str] = field(repr=False)


def read_token(auth: BaoAuth) -> Token:
    """The configured token, which stays when the run ends.

    Raises LoginError naming the file.
    """
    value = _read(auth, Path(auth.token_file), "the token")
    if not value.isascii() or not value.isprintable() or " " in value:
        doing, hint = f"read the token from {auth.token_file}", f"put one token there, or {_correct(auth)}"
        raise LoginError(doing, "it is more than one word of plain ASCII", hint=hint)
    return Token(value, revocable=False)


def read_login(auth: BaoAuth) -> LoginCall:
    """Read the credentials anew and say what to post for a token.

    Raises LoginError naming the file that is missing, empty or not text.
    """
    folder = Path(auth.secret_folder)
    path = f"/v1/auth/{quote(auth.mount_path)}/login"
    match auth.method:
        case AuthMethod.JWT | AuthMethod.KUBERNETES:
            return LoginCall(path, {"role": auth.role, "jwt": _read(auth, Path(auth.jwt_file), "the JWT")})
        case AuthMethod.APPROLE:
            body = {
                name: _read(auth, folder / name, "the AppRole's " + name) for name in ("role_id", "secret_id")
            }
            return LoginCall(path, body)
        case _:
            user = quote(_read(auth, folder / "username", "the user name"), safe="")
            return LoginCall(f"{path}/{user}", {"password": _read(auth, folder / "password", "the password")})


def judge_login(doing: str, reply: Reply, sent: LoginCall) -> Token:
    """Take the token from the answer.

    Raises LoginError when it is refused, LeaderLostError when this node does not serve logins.
    """
    secrets = tuple(sent.body.values())
    if not_serving(reply.status):
        raise LeaderLostError(doing, f"it answers {reply.describe(secrets)}")
    if reply.status != 200:
        raise LoginError(doing, f"refused: {reply.describe(secrets)}")
    given = reply.decode().get("auth")
    if not isinstance(given, dict) or not given.get("client_token"):
        needs_more = isinstance(given, dict) and given.get("mfa_requirement")
        raise LoginError(doing, "a second factor is asked for" if needs_more else "the answer holds no token")
    # A batch token cannot be revoked: it ends with its time to live.
    return Token(str(given["client_token"]), revocable=given.get("token_type") != "batch")


def not_serving(status: int) -> bool:
    """Whether an answer says: not the leader (any more), or not now."""
    return 300 <= status < 400 or status in (429, 472, 473) or status >= 500


def _read(auth: BaoAuth, path: Path, what: str) -> str:
    doing, hint = f"read {what} from {path}", f"put it there, readable, or {_correct(auth)}"
    try:
        with path.open("rb") as file:
            content = file.read(_CREDENTIAL_LIMIT).decode().strip()
    except UnicodeDecodeError:
        raise LoginError(doing, "it is not text", hint=hint) from None  # it would quote the credential
    except OSError as error:
        raise LoginError(doing, (error.strerror or "it cannot be read").lower(), hint=hint) from error
    if not content:
        raise LoginError(doing, "it is empty", hint=hint)
    return content


def _correct(auth: BaoAuth) -> str:
    return f"correct {auth.said_in}"
