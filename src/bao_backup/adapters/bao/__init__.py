"""OpenBao and Vault over HTTP: find the leader, log in, read a snapshot.

No token goes to a host that is not configured: redirects are never followed, proxies named by the
environment are never used, and no namespace header is sent, since `sys/storage/raft` belongs to
the root namespace alone.
"""

from bao_backup.adapters.bao.cluster import HttpBao

__all__ = ["HttpBao"]
