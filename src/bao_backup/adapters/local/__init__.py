"""The embedded Runtime: status in SQLite, runs as child processes, documents in files.

Never talks to a server or a store itself: the runs do.
"""
