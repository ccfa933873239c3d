"""`python -m bao_backup` is `bao-backup`."""

from bao_backup.entry.cli import run

if __name__ == "__main__":
    run()
