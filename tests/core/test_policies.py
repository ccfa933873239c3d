"""The sheets of rights: what each of them holds, and that it holds nothing of others."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.policy_cases import AWS, CASES, FOLDER, KEYS, MINIO, asked, cluster, script, secret

from bao_backup.core.errors import ConfigurationError, DocumentError
from bao_backup.core.naming import cluster_prefix
from bao_backup.core.policies import gcs, lifecycle, s3, s3_policy, server
from bao_backup.core.policies.asked import Asked, Purpose
from bao_backup.core.policies.azure import role
from bao_backup.core.policies.sheet import BLANKS, command, to_script, to_value
from bao_backup.core.policies.sheets import SUBJECTS

DROPS = {"retention": {"maxCount": 3}}
WRITES = ["s3:PutObject", "s3:GetObject"]
PARTS = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def statements(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its statements by their names."""
    return {each["Sid"]: each for each in policy["Statement"]}


@pytest.mark.parametrize("name", CASES)
def test_a_sheet_is_as_it_was_looked_at(name: str) -> None:
    """Word for word; after a change: python -m tests.core.policy_cases, and look at the difference."""
    assert script(CASES[name]) == (FOLDER / f"{name}.sh").read_text(encoding="utf-8")


def test_no_other_sheet_is_kept() -> None:
    """Each file has its case."""
    assert {file.stem for file in FOLDER.iterdir()} == set(CASES)


@pytest.mark.parametrize(
    ("purpose", "backup", "expected"),
    [
        (Purpose.BACKUP, {}, [*WRITES, *PARTS]),
        (Purpose.BACKUP, {"retention": {}}, [*WRITES, *PARTS]),
        (Purpose.BACKUP, DROPS, [*WRITES, "s3:DeleteObject", *PARTS]),
        (
            Purpose.BACKUP,
            {"retention": {"preUpgrade": {"maxAge": "1h"}}},
            [*WRITES, "s3:DeleteObject", *PARTS],
        ),
        (Purpose.RESTORE, DROPS, [*WRITES, *PARTS]),
        (Purpose.VERIFY, DROPS, ["s3:GetObject"]),
    ],
)
def test_what_is_done_with_objects(purpose: Purpose, backup: dict[str, Any], expected: list[str]) -> None:
    """To delete is for who drops backups; a restore writes its safety backup; who verifies reads."""
    found = s3_policy.aws_policy(asked(cluster({"bucket": "b", **KEYS}, **backup), purpose))
    backups = statements(found)["Backups"]
    assert backups["Action"] == expected
    assert backups["Resource"] == "arn:aws:s3:::b/openbao/prod/*"


def test_who_verifies_writes_receipts_alone() -> None:
    """Never a body."""
    found = statements(s3_policy.aws_policy(asked(AWS, Purpose.VERIFY)))
    assert list(found) == ["Backups", "Receipts", "List"]
    assert found["Receipts"]["Resource"] == "arn:aws:s3:::backups/openbao/prod/*.snap.json"
    assert found["Receipts"]["Action"] == ["s3:PutObject", "s3:DeleteObject"]


@pytest.mark.parametrize("purpose", Purpose)
def test_tags_need_a_right_wherever_something_is_written(purpose: Purpose) -> None:
    """On AWS; MinIO asks for none."""
    tagged = asked(cluster({"bucket": "b", "s3": {"tags": {"a": "b"}}}), purpose)
    actions = [
        action for each in statements(s3_policy.aws_policy(tagged)).values() for action in each["Action"]
    ]
    assert actions.count("s3:PutObjectTagging") == 1
    assert "Tagging" not in json.dumps(s3_policy.minio_policy(tagged))


@pytest.mark.parametrize(
    ("key", "resource", "aliases"),
    [
        ("1234", "arn:aws:kms:us-east-1:*:key/1234", None),
        ("arn:aws:kms:eu-west-1:1:key/1", "arn:aws:kms:eu-west-1:1:key/1", None),
        ("alias/bao", "arn:aws:kms:us-east-1:*:key/*", "alias/bao"),
        ("arn:aws:kms:us-east-1:1:alias/bao", "arn:aws:kms:us-east-1:*:key/*", "alias/bao"),
    ],
)
def test_a_key_of_ones_own(key: str, resource: str, aliases: str | None) -> None:
    """To make data keys and to read parts, through S3 alone; an alias is a condition, as KMS has it."""
    document = cluster({"bucket": "b", "s3": {"sse": "aws:kms", "kmsKeyId": key}})
    found = statements(s3_policy.aws_policy(asked(document)))["Encryption"]
    assert found["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    assert found["Resource"] == resource
    assert found["Condition"]["StringLike"] == {"kms:ViaService": "s3.us-east-1.amazonaws.com"}
    named = {"kms:ResourceAliases": aliases} if aliases else None
    assert found["Condition"].get("ForAnyValue:StringEquals") == named


LOCK = {"objectLock": {"mode": "GOVERNANCE", "days": 3}}


@pytest.mark.parametrize("endpoint", ["", "https://minio.example"])
@pytest.mark.parametrize("purpose", Purpose)
def test_locks_need_rights_wherever_something_is_written(endpoint: str, purpose: Purpose) -> None:
    """To set them, and to read what a bucket sets by itself; never to go round them."""
    locked = asked(cluster({"bucket": "b", "endpoint": endpoint, **LOCK}), purpose)
    found = s3_policy.aws_policy(locked) if not endpoint else s3_policy.minio_policy(locked)
    actions = [each for statement in found["Statement"] for each in statement["Action"]]
    assert [each for each in actions if "Retention" in each] == [
        "s3:PutObjectRetention",
        "s3:GetObjectRetention",
    ]
    assert "Bypass" not in json.dumps(found)


def test_a_lock_on_azure_needs_an_action() -> None:
    """That of immutable storage."""
    target = {"provider": "azure", "bucket": "b", "azure": {"storageAccount": "acme"}}
    assert role(asked(cluster(target | LOCK)))["DataActions"][-1].endswith(
        "/immutableStorage/runAsSuperUser/action"
    )


def test_a_lock_on_google_cloud_needs_a_permission() -> None:
    """Also of who restores, for the safety backup."""
    document = cluster({"provider": "gcs", "bucket": "b", **LOCK})
    for purpose in Purpose:
        assert gcs.permissions(asked(document, purpose))[-1] == "storage.objects.setRetention"


def test_amazons_own_key_needs_no_right() -> None:
    """With sse aws:kms and no kmsKeyId."""
    found = s3_policy.aws_policy(asked(cluster({"bucket": "b", "s3": {"sse": "aws:kms"}})))
    assert "kms" not in json.dumps(found)


@pytest.mark.parametrize(
    ("target", "amazon", "partition"),
    [
        ({}, True, "aws"),
        ({"region": "cn-north-1"}, True, "aws-cn"),
        ({"region": "us-gov-west-1"}, True, "aws-us-gov"),
        ({"endpoint": "https://s3.cn-north-1.amazonaws.com.cn", "region": "cn-north-1"}, True, "aws-cn"),
        ({"roleArn": "arn:aws-iso:iam::1:role/r"}, True, "aws-iso"),
        ({"endpoint": "https://minio.example"}, False, "aws"),
        ({"endpoint": "https://amazonaws.com.example"}, False, "aws"),
    ],
)
def test_whose_store_it_is(target: dict[str, str], amazon: bool, partition: str) -> None:
    """Amazon's in each of its partitions, or another that speaks S3."""
    found = asked(cluster({"bucket": "b", **target}))
    assert (s3_policy.is_amazon(found), s3_policy.partition(found)) == (amazon, partition)


def test_who_may_take_on_the_role() -> None:
    """One ServiceAccount's tokens, of one issuer and audience; a restore's comes beside it."""
    issuer = "https://issuer.example/id/1"
    (trusted,) = s3.web_identity_trust(asked(AWS, issuer=issuer))["Statement"]
    assert trusted["Principal"] == {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/issuer.example/id/1"
    }
    assert trusted["Condition"]["StringEquals"] == {
        "issuer.example/id/1:aud": "sts.amazonaws.com",
        "issuer.example/id/1:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount",
    }
    (other,) = s3.web_identity_trust(asked(AWS, Purpose.RESTORE, issuer=issuer))["Statement"]
    assert other["Condition"]["StringEquals"]["issuer.example/id/1:sub"] == [
        "system:serviceaccount:openbao:prod-backup-serviceaccount",
        "system:serviceaccount:openbao:prod-restore-serviceaccount",
    ]


def test_a_role_of_minio_is_for_one_account() -> None:
    """Each statement is; with keys none needs to be."""
    role = asked(cluster(MINIO | {"roleArn": "arn:minio:iam:::role/abc"}))
    subject = {"jwt:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount"}
    found = s3_policy.minio_policy(role)["Statement"]
    assert [each["Condition"]["StringEquals"] for each in found] == [subject] * 3
    assert "jwt" not in json.dumps(s3_policy.minio_policy(asked(cluster(MINIO | KEYS))))


def test_the_run_of_another_account_is_named() -> None:
    """By jobTemplate.serviceAccountName; a restore does not have it."""
    document = cluster({"bucket": "b"}, jobTemplate={"serviceAccountName": "mine"})
    assert asked(document).token_subject == "system:serviceaccount:openbao:mine"
    assert asked(document, Purpose.RESTORE).account == "prod-restore-serviceaccount"
    assert asked(document, subject="somebody").token_subject == "somebody"


@pytest.mark.parametrize(
    ("purpose", "verbs"),
    [
        (Purpose.BACKUP, ["create", "get", "delete"]),
        (Purpose.RESTORE, ["create", "get"]),
        (Purpose.VERIFY, ["create", "get", "delete"]),
    ],
)
def test_what_is_done_on_google_cloud(purpose: Purpose, verbs: list[str]) -> None:
    """With objects; to list is a role of its own, since no condition on a name holds for it."""
    document = cluster({"provider": "gcs", "bucket": "b"}, **DROPS)
    assert gcs.permissions(asked(document, purpose)) == [f"storage.objects.{verb}" for verb in verbs]


@pytest.mark.parametrize(
    ("purpose", "backup", "verbs"),
    [
        (Purpose.BACKUP, {}, ["read", "write"]),
        (Purpose.BACKUP, DROPS, ["read", "write", "delete"]),
        (Purpose.RESTORE, DROPS, ["read", "write"]),
        (Purpose.VERIFY, {}, ["read", "write", "delete"]),
    ],
)
def test_what_is_done_on_azure(purpose: Purpose, backup: dict[str, Any], verbs: list[str]) -> None:
    """With blobs, and nothing with the account."""
    target = {"provider": "azure", "bucket": "b", "azure": {"storageAccount": "acme"}}
    found = role(asked(cluster(target, **backup), purpose))
    assert [each.rpartition("/")[2] for each in found["DataActions"]] == verbs
    assert found["Actions"] == []


READ = ("read",)
KNOWN = {"auth/token/lookup-self": READ}
SELF = {"auth/token/revoke-self": ("update",), "sys/capabilities-self": ("update",)}
SNAPSHOT = "sys/storage/raft/snapshot"


@pytest.mark.parametrize(
    ("purpose", "backup", "force", "expected"),
    [
        (Purpose.BACKUP, {}, False, {SNAPSHOT: READ, **SELF}),
        (Purpose.BACKUP, {}, True, {SNAPSHOT: READ, **SELF}),
        (
            Purpose.BACKUP,
            {"auth": secret("token")},
            False,
            {SNAPSHOT: READ, "sys/capabilities-self": ("update",)},
        ),
        (Purpose.RESTORE, {}, False, {SNAPSHOT: ("read", "update"), **KNOWN, **SELF}),
        (
            Purpose.RESTORE,
            {},
            True,
            {SNAPSHOT: ("read", "update"), f"{SNAPSHOT}-force": ("update",), **KNOWN, **SELF},
        ),
    ],
)
def test_what_the_server_has_to_allow(
    purpose: Purpose, backup: dict[str, Any], force: bool, expected: dict[str, tuple[str, ...]]
) -> None:
    """A backup reads, and only a restore updates; a configured token is not given back."""
    found = asked(cluster({"bucket": "b"}, **backup), purpose, force=force)
    assert server.rules(found) == expected


def test_who_reads_needs_nothing_of_the_server() -> None:
    """It is said so."""
    sheet = server.server_sheet(asked(AWS, Purpose.VERIFY))
    assert (sheet.steps, len(sheet.notes)) == ((), 1)


@pytest.mark.parametrize(
    ("retention", "rules", "unsaid"),
    [
        (None, {}, ["no retention"]),
        ({}, {}, []),
        ({"maxAge": "720h"}, {"20": 30}, []),
        ({"maxAge": "1h"}, {"20": 1}, ["rounded up"]),
        ({"maxAge": "25h"}, {"20": 2}, ["rounded up"]),
        ({"maxAge": "720h", "maxCount": 3}, {"20": 30}, ["maxCount 3"]),
        ({"maxCount": 3}, {}, ["maxCount 3"]),
        ({"keepDaily": 7}, {}, ["keepDaily 7"]),
        ({"keepDaily": 7, "maxAge": "24h"}, {}, ["keepDaily 7, nor then maxAge 24h"]),
        ({"maxAge": "48h", "minKeep": 5}, {"20": 2}, ["minKeep 5"]),
        ({"maxAge": "48h", "preUpgrade": {"maxAge": "72h"}}, {"20": 2, "pre-upgrade-": 3}, []),
        ({"preUpgrade": {"maxAge": "72h"}}, {"pre-upgrade-": 3}, []),
        ({"maxAge": "48h", "preUpgrade": {"keepWeekly": 2}}, {"20": 2}, ["keepWeekly 2"]),
    ],
)
def test_what_a_rule_can_say_of_the_retention(
    retention: dict[str, Any] | None, rules: dict[str, int], unsaid: list[str]
) -> None:
    """Age, never earlier than the retention, and only of its own class; the rest is told."""
    backup = {} if retention is None else {"retention": retention}
    expiries, words = lifecycle.plan(asked(cluster({"bucket": "b"}, **backup)))
    assert {each.prefix.removeprefix("openbao/prod/"): each.days for each in expiries} == rules
    assert len(words) == len(unsaid)
    assert all(part in whole for part, whole in zip(unsaid, words, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_rule_comes_with_a_warning(name: str) -> None:
    """Wherever something expires, it is said that a rule never keeps the last good backup."""
    sheet = lifecycle.lifecycle_sheet(CASES[name])
    expires = bool(lifecycle.plan(CASES[name])[0])
    assert expires == any("never keeps the last good backup" in note for note in sheet.notes)


@pytest.mark.parametrize(("seconds", "days"), [(60, 1), (86_400, 1), (86_401, 2), (10**6, 7)])
def test_an_upload_is_abandoned_when_no_run_can_be_at_it(seconds: float, days: int) -> None:
    """One to seven days, by how long a run may take."""
    assert lifecycle.abandoned_after(replace(CASES["aws-role"], seconds=seconds)) == days


def test_a_document_without_backups_is_told() -> None:
    """By its field."""
    document = cluster({"bucket": "b"})
    document["spec"] = {}
    with pytest.raises(DocumentError, match=r"spec\.backup"):
        asked(document)


def prefixes(text: str) -> bool:
    """Whether a cluster may have this as its path prefix."""
    try:
        return text.isprintable() and bool(cluster_prefix(text, "openbao", "prod"))
    except ConfigurationError:
        return False


path_prefixes = st.text(max_size=40).filter(prefixes)


def literal(pattern: str) -> re.Pattern[str]:
    """What AWS matches with it: ${*}, ${?} and ${$} are those characters, ? is any one, * any number."""
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    meanings = {"*": ".*", "?": "."}
    made = (
        re.escape(part[2]) if part.startswith("${") else meanings.get(part, re.escape(part)) for part in parts
    )
    return re.compile("".join(made), re.DOTALL)


@given(path_prefixes, st.sampled_from(Purpose))
def test_a_policy_holds_the_prefix_and_nothing_beside_it(path_prefix: str, purpose: Purpose) -> None:
    """Whatever characters the prefix has, wildcards among them."""
    found = asked(cluster({"bucket": "b", "pathPrefix": path_prefix}), purpose)
    for each in s3_policy.aws_policy(found)["Statement"]:
        if each["Sid"] in {"Backups", "Receipts"}:
            pattern = literal(each["Resource"].removeprefix("arn:aws:s3:::"))
            assert pattern.fullmatch(f"b/{found.prefix}/2026-11-22T02-00-00Z-0a1b2c3d.snap.json")
            assert not pattern.fullmatch("b/other/prod/x.snap.json")
            assert not pattern.fullmatch("b/x.snap.json")
            assert not pattern.fullmatch(f"b/more/{found.prefix}/x.snap.json")
        else:
            assert each["Resource"] == "arn:aws:s3:::b"
            assert set(each["Action"]) <= {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
        assert not any("*" in action for action in each["Action"])


@given(path_prefixes, st.sampled_from(list(CASES)), st.sampled_from(Purpose))
def test_what_is_printed_can_be_read(path_prefix: str, name: str, purpose: Purpose) -> None:
    """Each JSON file is JSON, each command splits into words, and no comment breaks into commands."""
    prefix = cluster_prefix(path_prefix, "openbao", "prod")
    case = replace(CASES[name], prefix=prefix, purpose=purpose)
    sheets = tuple(make(case) for make in SUBJECTS.values())
    for sheet in sheets:
        assert json.loads(json.dumps(to_value(sheet)))["fillIn"].keys() <= BLANKS.keys()
        for step in sheet.steps:
            assert all(
                file.text == json.dumps(json.loads(file.text), indent=2, ensure_ascii=False)
                for file in step.files
                if file.name.endswith(".json")
            )
            assert all(words_of(each) for each in step.commands)
    files = {file.text for sheet in sheets for step in sheet.steps for file in step.files}
    commands = {each for sheet in sheets for step in sheet.steps for each in step.commands}
    left = to_script(sheets)
    for text in sorted(files | commands, key=len, reverse=True):
        left = left.replace(text, "")
    lines = [line for line in left.split("\n") if line and not line.startswith("#")]
    assert all(line == "END" or re.fullmatch(r"cat > [\w.-]+ <<'END'", line) for line in lines)


def words_of(line: str) -> list[str]:
    """The words that a shell makes of a command line: a backslash at a line's end folds it."""
    return shlex.split(line.replace(" \\\n", " "))


@given(st.lists(st.text(st.characters(exclude_characters="\0\\", codec="utf-8")), min_size=1))
def test_a_command_is_the_words_that_it_was_made_of(words: list[str]) -> None:
    """However it is folded and quoted."""
    assert words_of(command(*words)) == words


def test_every_blank_is_explained() -> None:
    """Nothing in angle brackets is without its meaning."""
    for case in CASES.values():
        found = set(re.findall(r"<[A-Z-]+>", script(case)))
        assert found - {"<ID>"} <= BLANKS.keys()  # an element of XML


def test_the_parts_of_a_cluster_are_asked_for() -> None:
    """A cluster without a role, keys or a login is still answered."""
    bare: Asked = replace(CASES["aws-pod-identity"], auth=None)
    assert "no role is printed" in to_script((server.server_sheet(bare),))
