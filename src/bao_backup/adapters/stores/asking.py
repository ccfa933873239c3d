"""What those need who ask a service for an identity: Amazon's, Microsoft's or Google's."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bao_backup.adapters.stores.failures import Translator
from bao_backup.core.storage_errors import StorageLoginError


class Asking(NamedTuple):
    """What requests need: what for, whom to trust, and who keeps secrets out of what is said."""

    doing: str
    context: Callable[[], ssl.SSLContext]
    translator: Translator
    #: URL of the proxy for services that are not of the machine itself; empty: the environment's.
    proxy: str = ""


def read_token(file: str, asking: Asking) -> str:
    """The token in a file, now. Raises StorageLoginError: there is none."""
    doing = f"{asking.doing} with the token in {file}"
    hint = "see that the token is mounted there"
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except OSError as error:
        why = f"the token file cannot be read: {(error.strerror or 'unreadable').lower()}"
        raise StorageLoginError(doing, why, hint=hint) from error
    except UnicodeDecodeError as error:
        raise StorageLoginError(doing, "the token file holds no token", hint=hint) from error
    if not token or not token.isprintable():
        raise StorageLoginError(doing, "the token file holds no token", hint=hint)
    asking.translator.hide(token)
    return token
