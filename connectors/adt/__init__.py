"""Bytes of patient care in: HL7 v2 messages into facts. Nothing here knows what a fact does."""
