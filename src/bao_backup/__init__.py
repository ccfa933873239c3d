"""bao-backup: backs up OpenBao and HashiCorp Vault Raft clusters, and proves every backup.

`core` decides, `flows` say what happens in order, `adapters` translate for one vendor each,
`entry` is where people and machines come in. Nothing runs on import.
"""

__version__ = "0.1.0"
