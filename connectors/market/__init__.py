"""Bytes of the market in: ticks as JSON, frames and Avro, and events, into blocks and records.

It knows wire formats and bounds. It does not know Kafka, nor what the flow makes of a tick.
"""
