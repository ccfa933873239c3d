"""Which manager a command speaks to, and what it says where it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, plain_environment
from tests.harness.process import free_ports

from bao_backup.entry.commands.on_kubernetes import exit_code_of
from bao_backup.entry.reach import load

#: As where the extra "operator" is not installed: Python itself then says that there is no such module.
WITHOUT = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from bao_backup.entry.cli import main
sys.exit(main(sys.argv[2:]))
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: a, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: a, user: {{token: token-of-nobody}}}}]
contexts: [{{name: a, context: {{cluster: a, user: a}}}}]
current-context: a
"""


@pytest.mark.parametrize(
    "command",
    [("status", "--kubernetes"), ("trigger", "bao", "--kubernetes"), ("operator", "--image", "bao-backup")],
)
@pytest.mark.parametrize("library", ["kubernetes_asyncio", "aiohttp"])
def test_libraries_that_are_not_installed_are_named(command: tuple[str, ...], library: str) -> None:
    """With the words that install them, and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, *command],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"bao-backup: InvalidConfiguration: speak to Kubernetes: {library} is not installed; "
        "install what speaks to Kubernetes: pip install 'bao-backup[operator]'\n"
    )


def test_nothing_of_kubernetes_is_loaded_without_need() -> None:
    """The commands of the embedded manager work without the extra."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "kubernetes_asyncio", "status", "--state", "/nowhere"],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "not installed" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["kubernetes_asyncio", "aiohttp"])
def test_the_operators_help_needs_nothing(library: str) -> None:
    """Who asks how it is used need not have installed what it uses."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, "operator", "--help"],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--image IMAGE" in done.stdout


def test_a_module_of_our_own_that_is_missing_is_a_defect() -> None:
    """It is not told as something to install."""
    with pytest.raises(ModuleNotFoundError):
        load("bao_backup.entry.commands.of_nothing")
    assert load("bao_backup.core.words").age_in_words


def test_a_kubeconfig_that_is_not_there(command: Command, world: World) -> None:
    """It is named, as is what to do."""
    answer = command("status", "--kubeconfig", str(world.folder / "none"), config=None)
    assert (answer.code, answer.out) == (1, "")
    assert "none: there is no such file; name another with --kubeconfig" in answer.complaint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "kind: Config\nclusters: [{name: a, cluster: {certificate-authority-data: SECRETSECRET}}]\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: b\ncontexts: []\n",
    ],
)
def test_a_kubeconfig_that_cannot_be_read(command: Command, world: World, content: str) -> None:
    """One line that names it, and nothing that is in it."""
    path = world.folder / "kubeconfig"
    path.write_text(content)
    answer = command("trigger", "bao", "--kubeconfig", str(path), config=None)
    assert (answer.code, answer.out) == (1, "")
    assert f"read the kubeconfig {path}: " in answer.complaint
    assert "SECRET" not in answer.err


def test_a_context_that_is_not_in_the_kubeconfig(command: Command, world: World) -> None:
    """An option of its own to name another."""
    path = world.folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(port=1))
    answer = command("status", "--kubeconfig", str(path), "--context", "other", config=None)
    assert answer.code == 1
    assert "other" in answer.complaint
    assert "--context" in answer.complaint


@pytest.mark.parametrize("words", [("status",), ("trigger", "bao"), ("trigger", "a/bao", "--wait")])
def test_an_api_server_that_is_not_there(command: Command, world: World, words: tuple[str, ...]) -> None:
    """It is told as that, at once."""
    path = world.folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(port=free_ports(1)[0]))
    answer = command(*words, "--kubeconfig", str(path), config=None)
    assert (answer.code, answer.out) == (1, "")
    assert "KubernetesUnreachable" in answer.complaint
    assert "token-of-nobody" not in answer.err


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("InvalidConfiguration", 1),
        ("KubernetesDenied", 1),
        ("SecretNotFound", 1),
        ("LoginFailed", 2),
        ("NoLeader", 3),
        ("SnapshotCutOff", 4),
        ("BucketNotFound", 5),
        ("StorageThrottled", 5),
        ("ArchiveTruncated", 6),
        ("DeadlineExceeded", 7),
        ("Evicted", 7),
        ("NoResult", 8),
        ("OutOfMemory", 8),
        ("RunLost", 8),
        ("", 8),
    ],
)
def test_the_reason_of_a_run_has_an_exit_code(reason: str, code: int) -> None:
    """The executor's own, and that of what Kubernetes did to it."""
    assert exit_code_of(reason) == code
