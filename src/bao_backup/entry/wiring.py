"""Where both sides meet: settings become adapters, and flows get what they need."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msgspec.structs import replace

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.system import SystemClock, read_secret_folder
from bao_backup.core.connection import BaoSettings
from bao_backup.core.restore_settings import Place
from bao_backup.core.settings import RunSettings
from bao_backup.core.storage import StoreSettings
from bao_backup.entry.interrupts import hear
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Store


def store_of(settings: RunSettings, environment: Mapping[str, str] | None = None) -> Store:
    """The store, with the credentials of the settings' folder, else of the environment."""
    return _open(settings.store, settings.credentials_folder, environment)


def store_of_place(place: Place, environment: Mapping[str, str] | None = None) -> Store:
    """The same, of a place that a restore reads from, or backs up to."""
    return _open(place.store, place.credentials_folder, environment)


def _open(store: StoreSettings, folder: str, environment: Mapping[str, str] | None) -> Store:
    if folder:
        return open_store(store, read_secret_folder(folder), lambda: read_secret_folder(folder))
    return open_store(store, os.environ if environment is None else environment)


def bao_of(settings: RunSettings) -> Bao:
    """The connection to the cluster's servers."""
    return connect(settings.bao)


def connect(settings: BaoSettings) -> Bao:
    """The connection to these servers; a token's file may be the folder that it is in."""
    from bao_backup.adapters.bao import HttpBao

    auth = settings.auth
    if auth.token_file and os.path.isdir(auth.token_file):  # False, too, where we may not look
        auth = replace(auth, token_file=str(Path(auth.token_file) / "token"))
    return HttpBao(replace(settings, auth=auth))


@contextmanager
def stopped_by_signals(seconds: float | None = None, *, last: bool = False) -> Iterator[Stop]:
    """A Stop that SIGTERM and SIGINT ask, with a deadline where one is given.

    A second SIGINT ends the program at once, for a person who does not want to wait. After the
    `last` one a process does nothing that a signal could end: they are ignored from then on.
    """
    stop = Stop(SystemClock(), seconds)

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            hear()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop.ask(f"ended by {signal.Signals(number).name}")

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if last else handler)
