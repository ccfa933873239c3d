"""Translate between a port and one thing outside: object stores, OpenBao, the local machine.

Adapters never decide what to back up or keep, and never import one another. A foreign error
stops here: what leaves an adapter is one of `core.errors`.
"""
