"""The REST half of the feed: routes as tables, from which OpenAPI is made.

General routes serve outputs that they are handed. What one system alone serves is in
`rest/<system>/`, which is found by its path.
"""
