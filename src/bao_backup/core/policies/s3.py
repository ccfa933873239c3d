"""The sheet of rights for a target on S3: the policy, who may take on the role, and the commands.

Sources: IAM User Guide, "Create a role for OpenID Connect federation"; Amazon EKS User Guide, "EKS Pod
Identity"; MinIO documentation, "mc admin policy".
"""

from __future__ import annotations

from typing import Any

from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.s3_policy import VERSION, aws_policy, is_amazon, minio_policy, partition
from bao_backup.core.policies.sheet import File, Sheet, Step, command

#: The audience of the token that a pod has for AWS.
AUDIENCE = "sts.amazonaws.com"
POLICY = "store-policy.json"
TRUST = "store-trust.json"


def s3_sheet(asked: Asked) -> Sheet:
    """For AWS where the target has no endpoint of another, else for MinIO."""
    steps = _aws_steps(asked) if is_amazon(asked) else _minio_steps(asked)
    about = f"s3://{asked.store.bucket}/{asked.prefix}/ of {asked.where}"
    return Sheet(subject="store", about=about, steps=steps, notes=_notes(asked))


def web_identity_trust(asked: Asked) -> dict[str, Any]:
    """Who may take on the role: this one ServiceAccount, by a token of the cluster's issuer.

    For a restore that of backups stays: the role of the target is the same.
    """
    issuer = asked.issuer.removeprefix("https://").rstrip("/") or "<ISSUER-HOST>"
    provider = f"arn:{partition(asked)}:iam::{_account(asked)}:oidc-provider/{issuer}"
    subjects = [asked.beside, asked.token_subject] if asked.beside else asked.token_subject
    condition = {f"{issuer}:aud": AUDIENCE, f"{issuer}:sub": subjects}
    return _trust({"Federated": provider}, ["sts:AssumeRoleWithWebIdentity"], {"StringEquals": condition})


def pod_identity_trust(asked: Asked) -> dict[str, Any]:
    """Who may take on the role: EKS, for pods of this one ServiceAccount."""
    tags = {
        "aws:RequestTag/kubernetes-namespace": asked.namespace,
        "aws:RequestTag/kubernetes-service-account": asked.account,
    }
    service = {"Service": "pods.eks.amazonaws.com"}
    return _trust(service, ["sts:AssumeRole", "sts:TagSession"], {"StringEquals": tags})


def _aws_steps(asked: Asked) -> tuple[Step, ...]:
    policy = File(name=POLICY, content=aws_policy(asked))
    if asked.keys or asked.purpose is Purpose.VERIFY:
        attach = command(
            *("aws", "iam", "put-user-policy", "--user-name", "<USER>"),
            *("--policy-name", asked.label, "--policy-document", f"file://{POLICY}"),
        )
        return (Step(why="What the user with the keys may do.", files=(policy,), commands=(attach,)),)
    role = asked.store.role_arn.rpartition("/")[2] or "<ROLE>"
    attach = command(
        *("aws", "iam", "put-role-policy", "--role-name", role),
        *("--policy-name", asked.label, "--policy-document", f"file://{POLICY}"),
    )
    return (
        _role_step(asked, role),
        Step(why="What the role may do.", files=(policy,), commands=(attach,)),
    )


def _role_step(asked: Asked, role: str) -> Step:
    by_web = bool(asked.store.role_arn)
    trust = web_identity_trust(asked) if by_web else pod_identity_trust(asked)
    # arn:aws:iam::ACCOUNT:role/PATH/NAME
    path = asked.store.role_arn.partition(":role/")[2].rpartition("/")[0]
    create = command(
        *("aws", "iam", "create-role", "--role-name", role, *(("--path", f"/{path}/") if path else ())),
        *("--assume-role-policy-document", f"file://{TRUST}"),
    )
    file = File(name=TRUST, content=trust)
    if by_web and asked.beside:
        why = "Who may take on the role: the ServiceAccount of restores, too, beside that of backups."
        update = command(
            *("aws", "iam", "update-assume-role-policy", "--role-name", role),
            *("--policy-document", f"file://{TRUST}"),
        )
        return Step(why=why, files=(file,), commands=(update,))
    if by_web:
        why = "Who may take on the role: this ServiceAccount, by the token that its pods have for AWS."
        return Step(why=why, files=(file,), commands=(create,))
    why = "Who may take on the role, by EKS Pod Identity: pods of this ServiceAccount."
    arn = f"arn:{partition(asked)}:iam::{_account(asked)}:role/{role}"
    associate = command(
        *("aws", "eks", "create-pod-identity-association", "--cluster-name", "<EKS-CLUSTER>"),
        *("--namespace", asked.namespace, "--service-account", asked.account, "--role-arn", arn),
    )
    return Step(why=why, files=(file,), commands=(create, associate))


def _minio_steps(asked: Asked) -> tuple[Step, ...]:
    policy = File(name=POLICY, content=minio_policy(asked))
    create = command("mc", "admin", "policy", "create", "<ALIAS>", asked.label, POLICY)
    if asked.store.role_arn:
        why = (
            "What the role may do. The role is given its policies, with commas between them, where MinIO is "
            f"told of the issuer: MINIO_IDENTITY_OPENID_ROLE_POLICY={asked.label}, "
            f"MINIO_IDENTITY_OPENID_CLIENT_ID={AUDIENCE}."
        )
        return (Step(why=why, files=(policy,), commands=(create,)),)
    attach = command("mc", "admin", "policy", "attach", "<ALIAS>", asked.label, "--user", "<USER>")
    why = "What the user with the keys may do."
    return (Step(why=why, files=(policy,), commands=(create, attach)),)


def _notes(asked: Asked) -> tuple[str, ...]:
    found = []
    if asked.purpose is Purpose.BACKUP and not asked.drops:
        found.append(
            "There is no retention, so nothing may be deleted: a body that turns out wrong after its "
            "upload is reported, and stays without a receipt."
        )
    if asked.purpose is Purpose.RESTORE:
        found.append(
            "Writing is for the safety backup: the cluster's state before the restore. "
            "With safetyBackup: false s3:GetObject and s3:ListBucket are enough."
        )
    if asked.purpose is Purpose.VERIFY:
        found.append(
            "Writing and deleting is for receipts alone: verify writes those of unproven backups and "
            "withdraws those of broken ones. To list, show and download, take the part Receipts away."
        )
    by_place = not asked.store.role_arn and not asked.keys and asked.purpose is not Purpose.VERIFY
    if is_amazon(asked) and by_place:
        found.append(
            "The role of a machine or of a task of ECS takes the same policy; who trusts it is another."
        )
    if asked.store.kms_key_id and is_amazon(asked):
        found.append("The key's own policy must leave it to IAM who uses the key, or name the role, too.")
    if not is_amazon(asked):
        found.append(
            "In MinIO's form. Another store that takes policies of IAM takes the same document; how it is "
            "given to it, its own documentation says. Where such a store denies what is not there, as Ceph "
            "did until 2026, the condition of List has to go."
        )
        if any(mark in asked.prefix for mark in "*?"):
            found.append("MinIO reads * and ? in the prefix as wildcards.")
    elif any(ord(character) > 0xFF for character in asked.prefix):
        found.append("A policy of AWS cannot hold all characters of the prefix: ? stands for any one.")
    return tuple(found)


def _account(asked: Asked) -> str:
    parts = asked.store.role_arn.split(":")
    return parts[4] if len(parts) > 5 and parts[4] else "<ACCOUNT>"


def _trust(principal: dict[str, str], actions: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": actions,
        "Condition": condition,
    }
    return {"Version": VERSION, "Statement": [statement]}
