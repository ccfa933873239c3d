"""`bao-backup dev-server`: something to try it on."""

from __future__ import annotations

import errno
import signal
import ssl
import threading
from pathlib import Path

import click

from bao_backup.adapters.development import serve_development
from bao_backup.core.errors import ConfigurationError
from bao_backup.entry.output import write_out
from bao_backup.entry.source import verbose_option

EPILOG = """\b
Examples:
  bao-backup dev-server
  bao-backup dev-server --port 8200 --padding 100000000 --rate 5000000
"""


@click.command("dev-server", epilog=EPILOG)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8200,
    show_default=True,
    help="Where it listens; 0: a free one.",
)
@click.option(
    "--padding", type=click.IntRange(0), metavar="BYTES", default=0, help="So many make snapshots larger."
)
@click.option(
    "--rate",
    type=click.IntRange(0),
    metavar="BYTES",
    default=0,
    help="So many a second of a snapshot; 0: no limit.",
)
@click.option("--certificate", type=click.Path(path_type=Path, exists=True), help="PEM, to serve by TLS.")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True), help="Its key, PEM; else in the same file."
)
@verbose_option
def dev_server_command(
    *, port: int, padding: int, rate: int, certificate: Path | None, key: Path | None
) -> None:
    """Serve OpenBao's snapshot API on loopback, with genuine archives, until Ctrl-C.

    It keeps nothing on disk and is no place for real secrets.
    """
    if key is not None and certificate is None:
        raise ConfigurationError("serve by TLS", "--key is given alone", hint="give its --certificate, too")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        serve_development(
            say=write_out, stop=stop, port=port, padding=padding, rate=rate, certificate=certificate, key=key
        )
    except ssl.SSLError as error:
        why = "there is no certificate in PEM with its own key"
        raise ConfigurationError("serve by TLS", why, hint="look at --certificate and --key") from error
    except OSError as error:
        hint = "give another --port" if error.errno == errno.EADDRINUSE else "look at --certificate and --key"
        why = (error.strerror or "failed").lower()
        raise ConfigurationError(f"serve on port {port} of loopback", why, hint=hint) from error
