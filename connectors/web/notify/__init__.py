"""Notifications: signed HTTP requests to endpoints, sent again until they are taken.

What is due is decided without a socket or a clock (`delivery`); `sender` has both.
"""
