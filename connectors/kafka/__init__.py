"""Kafka: messages by column, output records, dead letters, offsets and consumer groups.

It knows topics, partitions and bytes. It does not know what a message means: decoders are handed
to it.
"""
