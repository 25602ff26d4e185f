"""Redis or Valkey: streams and latest values, written exactly once by one script, and read back.

It knows records as bytes with a place and a key. It does not know what they say.
"""
