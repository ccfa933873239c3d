"""The console script. It loads the program itself only within reach of Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. No traceback reaches a person without --verbose."""
    try:
        from bao_backup.entry.program import call

        return call(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        if sys.stderr is not None:
            # Only commands that hold nothing half-done end so; the others wait for their own signals.
            print("bao-backup: Interrupted: run: ended by SIGINT; run it again", file=sys.stderr)
        return 7


def run() -> None:
    """The console script."""
    code = main()
    if any(thread.daemon and thread.name == "upload" for thread in threading.enumerate()):
        # A store that hangs keeps its upload's thread: the process ends without it.
        with suppress(AttributeError, OSError, ValueError):  # where it is closed, there is nothing to flush
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
