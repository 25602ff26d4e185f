"""HL7 version 2 as bytes and text: messages, files of them, times. It knows no hospital.

A message is read by the delimiters that it declares itself, segment by segment where they are
asked for. Nothing is checked against a grammar: a segment is found by its name, wherever it is.
"""
