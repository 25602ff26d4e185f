"""The trading controls: each order is accepted or refused, and why.

A decision is a function of the entries so far, in their order; there is no clock and no topic.
"""
