"""Decides: schedules, names, retention, what a snapshot is, what to do next.

Pure. In here there is never a clock, a random number, an await, a file or a socket:
the time, and everything observed, are arguments.
"""
