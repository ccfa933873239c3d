"""The sentences of the executor and the manager: what happens, in which order.

Flows talk to ports. They never import an adapter and never name a vendor.
"""
