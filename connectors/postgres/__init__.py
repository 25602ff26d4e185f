"""History in PostgreSQL or TimescaleDB: tables derived from outputs, rows in, pages out.

It knows the declarations of outputs that it is handed, and no system.
"""
