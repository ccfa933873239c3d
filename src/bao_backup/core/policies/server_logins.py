"""How the policy comes to a run: the role of each way to log in, as commands."""

from __future__ import annotations

import math

from bao_backup.core.connection import AuthMethod, BaoAuth
from bao_backup.core.policies.asked import DEFAULT_AUDIENCE, Asked
from bao_backup.core.policies.sheet import Step, command

#: A token that somebody has to replace: 32 days, the longest by default.
_TOKEN_TTL = "768h"  # noqa: S105 - a duration


def login_steps(asked: Asked, policy: str) -> tuple[Step, ...]:
    """The steps that make a login by the document's method have the policy, and nothing else."""
    auth = asked.auth
    if auth is None:
        return ()
    if auth.method is AuthMethod.JWT:
        return _jwt(asked, auth, policy)
    if auth.method is AuthMethod.KUBERNETES:
        return _kubernetes(asked, auth, policy)
    if auth.method is AuthMethod.APPROLE:
        return _approle(asked, auth, policy)
    if auth.method is AuthMethod.USERPASS:
        return _userpass(asked, auth, policy)
    return _token(policy)


def _jwt(asked: Asked, auth: BaoAuth, policy: str) -> tuple[Step, ...]:
    mount, issuer = auth.mount_path, asked.issuer or "<ISSUER>"
    trust = [f"oidc_discovery_url={issuer}", f"bound_issuer={issuer}"]
    if asked.issuer_ca:
        trust.append(f"oidc_discovery_ca_pem=@{asked.issuer_ca}")
    role = command(
        *("bao", "write", f"auth/{mount}/role/{auth.role or policy}", "role_type=jwt", "user_claim=sub"),
        *(f"bound_audiences={auth.audience or DEFAULT_AUDIENCE}", f"bound_subject={asked.token_subject}"),
        *_token_parameters(asked, policy),
    )
    return (
        _mount(auth, command("bao", "write", f"auth/{mount}/config", *trust)),
        Step(
            why="The role: for this subject's tokens, of this audience, and for nobody else.",
            commands=(role,),
        ),
    )


def _kubernetes(asked: Asked, auth: BaoAuth, policy: str) -> tuple[Step, ...]:
    mount = auth.mount_path
    config = command("bao", "write", f"auth/{mount}/config", "kubernetes_host=https://kubernetes.default.svc")
    role = command(
        *("bao", "write", f"auth/{mount}/role/{auth.role or policy}"),
        *(f"audience={auth.audience or DEFAULT_AUDIENCE}", f"bound_service_account_names={asked.account}"),
        *(f"bound_service_account_namespaces={asked.namespace}", *_token_parameters(asked, policy)),
    )
    why = (
        "The role: for this ServiceAccount, and for nobody else. The server asks the API server about each "
        "token, so its own ServiceAccount needs the ClusterRole system:auth-delegator; one that runs outside "
        "of Kubernetes needs kubernetes_ca_cert and token_reviewer_jwt in its config."
    )
    return _mount(auth, config), Step(why=why, commands=(role,))


def _approle(asked: Asked, auth: BaoAuth, policy: str) -> tuple[Step, ...]:
    role = f"auth/{auth.mount_path}/role/{auth.role or policy}"
    write = command("bao", "write", role, *_token_parameters(asked, policy))
    credentials = (
        "umask 077",
        command("bao", "read", "-field=role_id", f"{role}/role-id") + " > role_id",
        command("bao", "write", "-f", "-field=secret_id", f"{role}/secret-id") + " > secret_id",
    )
    return (
        _mount(auth),
        Step(why="The role.", commands=(write,)),
        Step(
            why="What the run logs in with: the files of its Secret, then remove them.", commands=credentials
        ),
    )


def _userpass(asked: Asked, auth: BaoAuth, policy: str) -> tuple[Step, ...]:
    user = auth.role or policy
    path = f"auth/{auth.mount_path}/users/{user}"
    commands = (
        "umask 077",
        command("printf", "%s", user) + " > username",
        "head -c 32 /dev/urandom | base64 | tr -d '\\n' > password",
        command("bao", "write", path, "password=@password", *_token_parameters(asked, policy)),
    )
    why = "The user, with a password that nobody sees: the files of the run's Secret, then remove them."
    return _mount(auth), Step(why=why, commands=commands)


def _token(policy: str) -> tuple[Step, ...]:
    create = command(
        *("bao", "token", "create", "-orphan", "-no-default-policy", f"-policy={policy}"),
        *(f"-ttl={_TOKEN_TTL}", "-field=token"),
    )
    why = (
        "A token: the file of the run's Secret, then remove it. It ends after 32 days, and nobody renews it: "
        "each other way to log in spares one that."
    )
    return (Step(why=why, commands=("umask 077", f"{create} > token")),)


def _mount(auth: BaoAuth, *configure: str) -> Step:
    enable = command("bao", "auth", "enable", f"-path={auth.mount_path}", auth.method)
    why = "Once for each server; leave it out where this is mounted and configured already."
    return Step(why=why, commands=(enable, *configure))


def _token_parameters(asked: Asked, policy: str) -> tuple[str, ...]:
    """A token lives as long as a run may: one that ended could not be given back."""
    ttl = f"{max(1, math.ceil(asked.seconds / 60))}m"
    return (
        f"token_policies={policy}",
        "token_no_default_policy=true",
        f"token_ttl={ttl}",
        f"token_max_ttl={ttl}",
    )
