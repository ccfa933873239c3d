"""A development server: speaks OpenBao's API as far as backups need it, and sends genuine archives.

For demonstrations and tests. It keeps nothing on disk, listens on loopback only, and its barrier is
a pretence: never put a real secret into it.
"""

from bao_backup.adapters.development.serve import serve_development
from bao_backup.adapters.development.server import DevelopmentServer
from bao_backup.adapters.development.state import DevelopmentCluster

__all__ = ["DevelopmentCluster", "DevelopmentServer", "serve_development"]
