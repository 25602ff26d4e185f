"""Bytes in and out: brokers, databases and the web, and the wire formats of systems.

Connectors and operators do not know of each other; both speak state's words. A general room is
handed the outputs it works on and names no system. `market` and `adt` are the systems' own rooms.
"""
