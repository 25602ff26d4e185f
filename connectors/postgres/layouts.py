"""How history can be stored; chosen when a database is first migrated."""

from __future__ import annotations

NATIVE, APACHE, TIMESCALE = "native", "apache", "timescaledb"
"""Native partitions; hypertables alone (TimescaleDB under the Apache licence); hypertables with
compression and continuous aggregates (under the Timescale licence)."""
