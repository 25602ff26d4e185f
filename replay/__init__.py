"""Recordings: made, cut, imported, replayed without a server, exported and compared.

General tools name no system. What differs by system is in `replay/<system>/`, and what differs by
kind of file in `import_<kind>.py`; both are found by their path (`tools`).
"""
