"""Where people and machines come in: the command line, the manager, and the wiring.

The only place where flows and adapters meet. Nothing is decided here.
"""
