"""Kubernetes behind the ports `Runtime` and `RestoreRuntime`: documents, status and Jobs live in its API.

Manifests and outcomes are pure functions of objects as JSON; only `api.py` talks to the API server.
Never in here: a storage key, the contents of a Secret, a call to OpenBao, or a decision when to back up.
"""
