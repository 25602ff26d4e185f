"""Streaming signals of the market, a signal a file, on windows in event time.

A signal sees the columns of a block; it does not know which others are enabled.
"""
