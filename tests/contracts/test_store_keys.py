"""Which keys every store takes, and which none does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.contracts.asking import KEY, keys, read
from tests.contracts.stores import Place

from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.ports import Store


@pytest.mark.parametrize(
    "key",
    [
        *("with space/a b", "plus+and&and=", "percent%20and%", "hash#1", "question?x=y", "star*~^|<>{}[]`"),
        *(
            "ümläut/日本語/emoji-🗝",
            "quote'\"",
            "dots/..../.hidden",
            "colon:at@comma,",
            "back\\slash",
            "n" * 255,
        ),
    ],
)
def test_keys(place: Place, key: str) -> None:
    """A key is kept as it is, whatever its characters, or refused where the store would change it."""
    store = place.store
    if place.traits.refuses and re.search(place.traits.refuses, key):
        with pytest.raises(ConfigurationError, match="would change"):
            store.put(key, iter([b"body"]))
        with pytest.raises(ConfigurationError, match="would change"):
            store.create(key, b"body")
        assert keys(store) == []
        return
    store.put(key, iter([b"body"]))
    assert keys(store) == [key]
    assert store.head(key).key == key
    assert read(store, key) == b"body"
    store.delete(key)
    assert keys(store) == []


@pytest.mark.parametrize("prefix", ["with space", "ümläut/日本語 🗝", "plus+and&and=", "percent%20"])
def test_prefixes(place: Place, prefix: str) -> None:
    """What is below a folder is listed and swept, whatever the characters of its name."""
    store = place.store
    for key in (f"{prefix}/b c", f"{prefix}/a/ä", f"{prefix} more/x", f"{prefix}x"):
        store.create(key, b"x")
    assert keys(store, prefix) == keys(store, f"{prefix}/") == [f"{prefix}/a/ä", f"{prefix}/b c"]
    assert store.sweep(prefix) == 0
    store.delete(f"{prefix}/b c")
    assert keys(store, prefix) == [f"{prefix}/a/ä"]


BAD_KEYS = ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../../b", "a/./b", "a\nb", "a\0b", "n" * 256]


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
@pytest.mark.parametrize("method", ["put", "create", "get", "head", "delete"])
def test_bad_keys(place: Place, key: str, method: str) -> None:
    """A key that leaves the folder, or that not every store can hold, is refused."""
    store = place.store
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put(key, iter([b"x"])),
        "create": lambda: store.create(key, b"x"),
        "get": lambda: list(store.get(key)),
        "head": lambda: store.head(key),
        "delete": lambda: store.delete(key),
    }
    with pytest.raises(ConfigurationError):
        calls[method]()
    assert keys(store) == []
    assert list(place.hidden()) == []


def test_bad_prefixes(store: Store) -> None:
    """A prefix that leaves the folder is refused."""
    for prefix in ("..", "a/../..", "a//b"):
        with pytest.raises(ConfigurationError):
            list(store.list(prefix))
        with pytest.raises(ConfigurationError):
            store.sweep(prefix)


def test_error(store: Store) -> None:
    """An error says what was tried, on what, and what to do next."""
    with pytest.raises(BaoBackupError) as raised:
        store.head(KEY)
    assert store.location in raised.value.message
    assert KEY in raised.value.doing
    assert raised.value.hint
