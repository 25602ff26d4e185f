"""Slow, obviously correct definitions that the fast code is compared with."""
