"""Avro messages in Confluent's framing: where schemas are, and fields read by their writer's.

The room knows no system: whoever reads says which fields it wants and what its setting is called.
Only `registry` loads an HTTP client, and only a process that was given a registry loads it.
"""
