"""The words about a Job: every reason is explained, foreign texts are translated, cut and cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.adapters.kubernetes import event_texts
from bao_backup.adapters.kubernetes.pod_facts import PodSpec
from bao_backup.adapters.kubernetes.reasons import (
    LONGEST_SAID,
    REASONS,
    Account,
    ended_because,
    parse_ended_because,
    quoted,
)
from bao_backup.core.errors import one_line

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
reasons = st.sampled_from(sorted(REASONS))


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_explained(reason: str) -> None:
    """In its part of the page, and with what to do."""
    part = PAGE.partition("## How a slot ends without a result")[2].partition("\n## ")[0]
    (row,) = (line for line in part.splitlines() if line.startswith(f"| `{reason}` | "))
    _, _, exit_code, meaning, advice, _ = (cell.strip() for cell in row.split("|"))
    assert exit_code == str(REASONS[reason].exit_code)
    assert len(meaning) > 10
    assert len(advice) > 10


def test_a_message_says_what_to_do() -> None:
    """On one line: the reason's own hint, where there is no better one."""
    assert (
        Account(reason="NodeLost", said="run a:\nlost").message == f"run a: lost; {REASONS['NodeLost'].hint}"
    )
    assert Account(reason="NodeLost", said="run a", hint="wait").message == "run a; wait"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n two\t\x1b[2J.", "one two [2J"),
        ("GET https://user:pass@reg/v2/a?X-Sig=SECRET&b=c: 403", "GET https://reg/v2/a?… 403"),
        (
            'Get "https://reg/token?scope=a": dial tcp: refused',
            'Get "https://reg/token?…": dial tcp: refused',
        ),
        ("http://SECRET@reg, https://SECRET@reg", "http://reg, https://reg"),
        ("registry.example/a@sha256:abc: not found", "registry.example/a@sha256:abc: not found"),
        ("x" * 500, "x" * (LONGEST_SAID - 1) + "…"),
    ],
)
def test_a_foreign_text_is_cut_and_cleaned(text: str, expected: str) -> None:
    """Of addresses, users, passwords and queries stay out."""
    assert quoted(text) == expected


@given(st.text())
def test_a_foreign_text_stays_short_and_on_one_line(text: str) -> None:
    """Whatever it is."""
    assert len(quoted(text)) <= LONGEST_SAID
    assert quoted(text).isprintable()


@given(reasons, st.text(max_size=800).map(one_line).filter(bool))
def test_the_annotation_brings_back_what_it_was_given(reason: str, message: str) -> None:
    """Reason and message."""
    assert parse_ended_because(ended_because(reason, message)) == (reason, message)


@given(reasons, st.text(min_size=1))
def test_the_annotation_is_short_and_on_one_line(reason: str, message: str) -> None:
    """However long the message is."""
    value = ended_because(reason, message)
    assert len(value) <= 1_000
    assert value.isprintable()


# --- what kubelet and API server say -----------------------------------------------------------

SPEC = PodSpec()
REFUSED = 'Error creating: pods "a-" is forbidden: '
ACCOUNT = 'error looking up service account vault/b: serviceaccount "b" not found'
QUOTA = "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"
SECURITY = 'violates PodSecurity "restricted:latest"'
SETUP = 'MountVolume.SetUp failed for volume "credentials" : '


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (f'{SETUP}secret "s3" not found', "SecretNotFound", 'no Secret "s3"'),
        (f'(combined from similar events): {SETUP}secrets "s3" not found', "SecretNotFound", '"s3"'),
        (
            f"{SETUP}references non-existent secret key: ca.crt",
            "SecretKeyNotFound",
            'mounts has no key "ca.crt"',
        ),
        (f'{SETUP}failed to fetch token: serviceaccounts "a" not found', "ServiceAccountNotFound", '"a"'),
        (f'{SETUP}configmap "ca" not found', "VolumeNotMounted", 'configmap "ca" not found; look'),
        (f"{SETUP}failed to sync secret cache: timed out", "VolumeNotMounted", "timed out; look"),
        ("", "VolumeNotMounted", "start a:;"),
    ],
)
def test_what_a_mount_says(text: str, reason: str, words: str) -> None:
    """Which Secret, which key, which ServiceAccount; else it is quoted."""
    account = event_texts.of_mount(text, SPEC, "a")
    assert account.reason == reason
    assert words in account.message


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ('secret "s3" not found', "SecretNotFound", 'no Secret "s3"'),
        ("couldn't find key token in Secret vault/s3", "SecretKeyNotFound", 'Secret "s3" has no key "token"'),
        ('configmap "a" not found', "ContainerRefused", 'configmap "a" not found'),
    ],
)
def test_what_a_containers_configuration_says(text: str, reason: str, words: str) -> None:
    """As above, of variables."""
    account = event_texts.of_container_config(text, "a")
    assert account.reason == reason
    assert words in account.message


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (ACCOUNT, "ServiceAccountNotFound", 'no ServiceAccount "b"; create it'),
        (QUOTA, "PodRefused", "exceeded quota: few"),
        (SECURITY, "PodRefused", SECURITY),
    ],
)
def test_what_a_refusal_says(text: str, reason: str, words: str) -> None:
    """A quota, Pod Security, a webhook: all refuse, and say why."""
    account = event_texts.of_refused_pod(REFUSED + text, "a")
    assert account.reason == reason
    assert words in account.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Failed to pull image "i": not found', "ImageNotFound"),
        ('Back-off pulling image "i": ErrImagePull: not found', "ImageNotFound"),
        ('Failed to apply default image tag "I": invalid reference', "ImageNotFound"),
        ('Container image "i" is not present with pull policy of Never', "ImageNotFound"),
        ('Error: secret "s3" not found', "SecretNotFound"),
        ("Error: ErrImagePull", None),
        ("Error: ImagePullBackOff", None),
    ],
)
def test_what_a_failure_says(text: str, reason: str | None) -> None:
    """Of a Pod that is gone, when its Events are all there is."""
    account = event_texts.of_failed(text, "i", "a")
    assert (account.reason if account is not None else None) == reason
