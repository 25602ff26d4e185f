"""Benchmarks of the live feed: a broadcast, a client that stops, a client that is killed."""
