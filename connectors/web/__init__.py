"""The live feed: clients that subscribe over WebSocket, and what each of them may see.

Sessions, groups and the mirror know the protocol and have no socket; `connection` and `server`
have the sockets and know no protocol. Sources are outputs that the feed is handed.
"""
